//! From text to expression, by recursive descent.

use bytes::Bytes;

use super::{Comparison, Expression, Field, Operator, Part, Pattern, SelectorError};
use crate::message::Value;

/// How deep parentheses and prefixes may nest.
const DEPTH: u32 = 64;

pub(super) fn parse(text: &str) -> Result<Expression, SelectorError> {
    let mut parser = Parser {
        text,
        at: 0,
        end: 0,
        token: Token::End,
        depth: 0,
    };
    parser.advance()?;
    let expression = parser.disjunction()?;
    require_condition(&expression, 0)?;
    match parser.token {
        Token::End => Ok(expression),
        _ => Err(parser.unexpected("the end, AND, or OR")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'a> {
    /// A keyword or a name.
    Word(&'a str),
    /// A name in double quotes.
    Quoted(String),
    Literal(Value),
    Symbol(&'static str),
    End,
}

struct Parser<'a> {
    text: &'a str,
    /// Where the token begins and ends.
    at: usize,
    end: usize,
    token: Token<'a>,
    depth: u32,
}

const KEYWORDS: [&str; 11] = [
    "AND", "BETWEEN", "ESCAPE", "FALSE", "IN", "IS", "LIKE", "NOT", "NULL", "OR", "TRUE",
];

const SYMBOLS: [&str; 13] = [
    "<>", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "(", ")", ",",
];

const COMPARISONS: [(&str, Comparison); 6] = [
    ("=", Comparison::Equal),
    ("<>", Comparison::Unequal),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterOrEqual),
];

/// The grammar, loosest binding first.
impl Parser<'_> {
    fn disjunction(&mut self) -> Result<Expression, SelectorError> {
        self.chain("OR", Self::conjunction, Expression::Any)
    }

    fn conjunction(&mut self) -> Result<Expression, SelectorError> {
        self.chain("AND", Self::negation, Expression::All)
    }

    fn chain(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Expression, SelectorError>,
        build: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, SelectorError> {
        let at = self.at;
        let first = part(self)?;
        if !self.is_keyword(keyword) {
            return Ok(first);
        }
        require_condition(&first, at)?;
        let mut parts = vec![first];
        while self.take_keyword(keyword)? {
            let at = self.at;
            let next = part(self)?;
            require_condition(&next, at)?;
            parts.push(next);
        }
        Ok(build(parts))
    }

    fn negation(&mut self) -> Result<Expression, SelectorError> {
        if !self.take_keyword("NOT")? {
            return self.predicate();
        }
        let at = self.at;
        let condition = self.nested(Self::negation)?;
        require_condition(&condition, at)?;
        Ok(Expression::Not(Box::new(condition)))
    }

    fn predicate(&mut self) -> Result<Expression, SelectorError> {
        let at = self.at;
        let value = self.sum()?;
        let comparison = COMPARISONS
            .iter()
            .find(|(symbol, _)| self.token == Token::Symbol(symbol));
        if let Some((_, comparison)) = comparison {
            self.advance()?;
            let right = self.sum()?;
            require_comparable(*comparison, &value, &right, at)?;
            return Ok(Expression::Compare(*comparison, Box::new([value, right])));
        }
        if self.take_keyword("IS")? {
            let not = self.take_keyword("NOT")?;
            self.expect_keyword("NULL")?;
            return Ok(negate_if(not, Expression::IsNull(Box::new(value))));
        }
        let not = self.take_keyword("NOT")?;
        let predicate = if self.take_keyword("BETWEEN")? {
            self.between(value, at)?
        } else if self.take_keyword("IN")? {
            Expression::In(Box::new(value), self.list()?)
        } else if self.take_keyword("LIKE")? {
            if !matches!(kind(&value), Kind::Text | Kind::Any) {
                return Err(error(at, "LIKE compares texts"));
            }
            Expression::Like(Box::new(value), self.pattern()?)
        } else if not {
            return Err(self.unexpected("BETWEEN, IN, or LIKE"));
        } else {
            return Ok(value);
        };
        Ok(negate_if(not, predicate))
    }

    fn between(&mut self, value: Expression, at: usize) -> Result<Expression, SelectorError> {
        let low = self.sum()?;
        self.expect_keyword("AND")?;
        let high = self.sum()?;
        require_comparable(Comparison::GreaterOrEqual, &value, &low, at)?;
        require_comparable(Comparison::LessOrEqual, &value, &high, at)?;
        Ok(Expression::Between(Box::new([value, low, high])))
    }

    fn list(&mut self) -> Result<Vec<Value>, SelectorError> {
        self.expect_symbol("(")?;
        let mut list = Vec::new();
        loop {
            let negative = self.take_symbol("-")?;
            match (std::mem::replace(&mut self.token, Token::End), negative) {
                (Token::Literal(value), false) => list.push(value),
                (Token::Literal(Value::Int(int)), true) => list.push(Value::Int(-int)),
                (Token::Literal(Value::Float(float)), true) => list.push(Value::Float(-float)),
                (token, _) => {
                    self.token = token;
                    return Err(self.unexpected("a literal"));
                }
            }
            self.advance()?;
            if !self.take_symbol(",")? {
                self.expect_symbol(")")?;
                return Ok(list);
            }
        }
    }

    fn pattern(&mut self) -> Result<Pattern, SelectorError> {
        let (pattern, at) = self.literal_text()?;
        let mut escape = None;
        if self.take_keyword("ESCAPE")? {
            let (text, at) = self.literal_text()?;
            let mut characters = text.chars();
            escape = characters.next();
            if escape.is_none() || characters.next().is_some() {
                return Err(error(at, "the escape is one character"));
            }
        }
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                _ if Some(character) == escape => match characters.next() {
                    Some(escaped) => Part::Exactly(escaped),
                    None => return Err(error(at, "the pattern ends after its escape")),
                },
                '_' => Part::One,
                '%' => Part::Many,
                other => Part::Exactly(other),
            });
        }
        Ok(Pattern(parts))
    }

    fn literal_text(&mut self) -> Result<(String, usize), SelectorError> {
        let Token::Literal(Value::Text(text)) = &self.token else {
            return Err(self.unexpected("a text in quotes"));
        };
        let found = (String::from_utf8_lossy(text).into_owned(), self.at);
        self.advance()?;
        Ok(found)
    }

    fn sum(&mut self) -> Result<Expression, SelectorError> {
        let operators = [("+", Operator::Add), ("-", Operator::Subtract)];
        self.computation(operators, Self::product)
    }

    fn product(&mut self) -> Result<Expression, SelectorError> {
        let operators = [("*", Operator::Multiply), ("/", Operator::Divide)];
        self.computation(operators, Self::sign)
    }

    fn computation(
        &mut self,
        operators: [(&'static str, Operator); 2],
        part: fn(&mut Self) -> Result<Expression, SelectorError>,
    ) -> Result<Expression, SelectorError> {
        let at = self.at;
        let first = part(self)?;
        let mut rest = Vec::new();
        while let Some((_, operator)) = operators
            .iter()
            .find(|(symbol, _)| self.token == Token::Symbol(symbol))
        {
            self.advance()?;
            let at = self.at;
            let next = part(self)?;
            require_number(&next, at)?;
            rest.push((*operator, next));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        require_number(&first, at)?;
        Ok(Expression::Compute(Box::new(first), rest))
    }

    fn sign(&mut self) -> Result<Expression, SelectorError> {
        let negative = self.take_symbol("-")?;
        if !negative && !self.take_symbol("+")? {
            return self.primary();
        }
        let at = self.at;
        let value = self.nested(Self::sign)?;
        require_number(&value, at)?;
        // A sign makes of a header that is no number something unknown.
        let zero = Box::new(Expression::Literal(Value::Int(0)));
        let operator = match negative {
            true => Operator::Subtract,
            false => Operator::Add,
        };
        Ok(Expression::Compute(zero, vec![(operator, value)]))
    }

    fn primary(&mut self) -> Result<Expression, SelectorError> {
        if self.take_symbol("(")? {
            let inner = self.nested(Self::disjunction)?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        let expression = match &self.token {
            Token::Literal(value) => Expression::Literal(value.clone()),
            Token::Quoted(name) => Expression::Field(field(name)),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => {
                Expression::Literal(Value::Bool(true))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => {
                Expression::Literal(Value::Bool(false))
            }
            Token::Word(word) if !is_keyword(word) => Expression::Field(field(word)),
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Ok(expression)
    }

    fn nested(
        &mut self,
        part: fn(&mut Self) -> Result<Expression, SelectorError>,
    ) -> Result<Expression, SelectorError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(error(self.at, "nested too deeply"));
        }
        let inner = part(self);
        self.depth -= 1;
        inner
    }
}

/// Tokens.
impl Parser<'_> {
    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> Result<bool, SelectorError> {
        let found = self.is_keyword(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<(), SelectorError> {
        match self.take_keyword(keyword)? {
            true => Ok(()),
            false => Err(self.unexpected(keyword)),
        }
    }

    fn take_symbol(&mut self, symbol: &'static str) -> Result<bool, SelectorError> {
        let found = self.token == Token::Symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_symbol(&mut self, symbol: &'static str) -> Result<(), SelectorError> {
        match self.take_symbol(symbol)? {
            true => Ok(()),
            false => Err(self.unexpected(symbol)),
        }
    }

    fn unexpected(&self, wanted: &str) -> SelectorError {
        match self.token {
            Token::End => error(
                self.at,
                &format!("expected {wanted}, and the expression ends"),
            ),
            _ => {
                let found = &self.text[self.at..self.end];
                error(self.at, &format!("expected {wanted} instead of {found}"))
            }
        }
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<(), SelectorError> {
        let rest = self.text[self.end..].trim_start();
        self.at = self.text.len() - rest.len();
        let (token, length) = read_token(rest, self.at)?;
        self.end = self.at + length;
        self.token = token;
        Ok(())
    }
}

/// The token at the beginning of `rest`, and its length; `at` is where that is.
fn read_token(rest: &str, at: usize) -> Result<(Token<'_>, usize), SelectorError> {
    let Some(first) = rest.chars().next() else {
        return Ok((Token::End, 0));
    };
    if first == '\'' {
        let (text, length) =
            read_quoted(rest, first).ok_or_else(|| error(at, "a text is not closed by a quote"))?;
        return Ok((Token::Literal(Value::Text(text.into())), length));
    }
    if first == '"' {
        let (name, length) =
            read_quoted(rest, first).ok_or_else(|| error(at, "a name is not closed by a quote"))?;
        return Ok((Token::Quoted(name), length));
    }
    let second = rest.chars().nth(1);
    let fraction = first == '.' && second.is_some_and(|next| next.is_ascii_digit());
    if first.is_ascii_digit() || fraction {
        return read_number(rest, at);
    }
    if is_name(first) {
        let end = rest.find(|next: char| !(is_name(next) || next.is_numeric() || next == '.'));
        let word = &rest[..end.unwrap_or(rest.len())];
        return Ok((Token::Word(word), word.len()));
    }
    let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
    match symbol {
        Some(symbol) => Ok((Token::Symbol(symbol), symbol.len())),
        None => Err(error(at, &format!("{first} means nothing here"))),
    }
}

/// A text up to its closing quote, in which a doubled quote is one; with its length.
fn read_quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            text.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Some((text, at + 1));
        }
    }
    None
}

/// `12`, `1.5`, `7.`, `.5`, `1E3`, `1.5e-3`.
fn read_number(rest: &str, at: usize) -> Result<(Token<'_>, usize), SelectorError> {
    let digits = |from: usize| {
        let found = rest[from..].find(|next: char| !next.is_ascii_digit());
        found.map_or(rest.len(), |length| from + length)
    };
    let mut end = digits(0);
    let whole = end;
    if rest[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let signed = rest[end + 1..].starts_with(['+', '-']);
        let from = end + 1 + usize::from(signed);
        if digits(from) == from {
            return Err(error(at + end, "an exponent needs digits"));
        }
        end = digits(from);
    }
    let number = &rest[..end];
    let value = if end == whole {
        number.parse().map(Value::Int).ok()
    } else {
        number.parse().map(Value::Float).ok()
    };
    let value = value.ok_or_else(|| error(at, "the number is too large"))?;
    Ok((Token::Literal(value), end))
}

fn is_name(character: char) -> bool {
    character.is_alphabetic() || character == '_' || character == '$'
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn field(name: &str) -> Field {
    match name {
        "JMSPriority" => Field::Priority,
        "JMSMessageID" => Field::MessageId,
        "JMSReplyTo" => Field::ReplyTo,
        "JMSDeliveryMode" => Field::DeliveryMode,
        "JMSXGroupID" => Field::Group,
        _ => Field::Header(Bytes::copy_from_slice(name.as_bytes())),
    }
}

fn negate_if(not: bool, condition: Expression) -> Expression {
    match not {
        true => Expression::Not(Box::new(condition)),
        false => condition,
    }
}

/// What is known of an expression's value before there is a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Truth,
    Number,
    Text,
    Any,
}

fn kind(expression: &Expression) -> Kind {
    match expression {
        Expression::Literal(Value::Bool(_)) => Kind::Truth,
        Expression::Literal(Value::Text(_)) => Kind::Text,
        Expression::Literal(_) | Expression::Compute(..) => Kind::Number,
        Expression::Field(Field::Priority) => Kind::Number,
        Expression::Field(Field::Header(_)) => Kind::Any,
        Expression::Field(_) => Kind::Text,
        _ => Kind::Truth,
    }
}

fn require_condition(expression: &Expression, at: usize) -> Result<(), SelectorError> {
    match kind(expression) {
        Kind::Truth | Kind::Any => Ok(()),
        Kind::Number | Kind::Text => Err(error(at, "expected a condition")),
    }
}

fn require_number(expression: &Expression, at: usize) -> Result<(), SelectorError> {
    match kind(expression) {
        Kind::Number | Kind::Any => Ok(()),
        Kind::Truth | Kind::Text => Err(error(at, "expected a number")),
    }
}

fn require_comparable(
    comparison: Comparison,
    left: &Expression,
    right: &Expression,
    at: usize,
) -> Result<(), SelectorError> {
    let (left, right) = (kind(left), kind(right));
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::Unequal);
    if ordered
        && [left, right]
            .iter()
            .any(|side| matches!(side, Kind::Text | Kind::Truth))
    {
        return Err(error(at, "only numbers have an order"));
    }
    if left != right && left != Kind::Any && right != Kind::Any {
        return Err(error(at, "values of different kinds are never equal"));
    }
    Ok(())
}

fn error(at: usize, problem: &str) -> SelectorError {
    SelectorError {
        at,
        problem: problem.into(),
    }
}
