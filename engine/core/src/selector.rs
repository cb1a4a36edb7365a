//! Filter expressions over a message's headers, as in JMS: its subset of SQL-92 conditions (Jakarta Messaging 3.1, section 3.8).
//!
//! ```text
//! condition:  NOT, AND, OR, and parentheses; TRUE, FALSE; a header that is a truth value
//! comparison: = <> < <= > >=,  x [NOT] BETWEEN a AND b,  x [NOT] IN ('a', 'b'),
//!             x [NOT] LIKE 'a_b%' [ESCAPE '\'],  x IS [NOT] NULL
//! value:      'text' ('' is a quote in it), 12, 1.5E3, a header's name ("in quotes" if it is no word), + - * / and parentheses
//! ```
//!
//! Logic has three values: what is compared or computed with a header that is absent is unknown, and only a condition that is true
//! selects. Comparing values of different kinds is false; only numbers have an order. Whole numbers divide without remainder and go on
//! as floating point where they overflow; what is divided by a whole zero is unknown. JMSPriority, JMSMessageID, JMSReplyTo,
//! JMSDeliveryMode and JMSXGroupID name properties rather than headers.

mod evaluate;
mod parse;

use bytes::Bytes;

use crate::message::{Message, Value};

/// A condition on headers: `region = 'eu' AND (size > 10 OR urgent)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
    condition: Expression,
}

/// Where and why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong, for a person.
    pub problem: String,
}

impl Selector {
    /// Parses an expression. Its parentheses and prefixes may be nested 64 deep.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        Ok(Selector {
            text: text.into(),
            condition: parse::parse(text)?,
        })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if the condition is true (neither false nor unknown).
    pub fn matches(&self, message: &Message) -> bool {
        self.condition.truth(message) == Some(true)
    }
}

impl std::fmt::Display for SelectorError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "at byte {}: {}", self.at, self.problem)
    }
}

impl std::error::Error for SelectorError {}

/// Conditions and values alike. Chains are flat, so that only parentheses and prefixes nest.
#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Literal(Value),
    Field(Field),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Comparison, Box<[Expression; 2]>),
    /// The value, the lower bound, the upper bound.
    Between(Box<[Expression; 3]>),
    In(Box<Expression>, Vec<Value>),
    Like(Box<Expression>, Pattern),
    IsNull(Box<Expression>),
    /// From left to right. A sign is a computation from zero.
    Compute(Box<Expression>, Vec<(Operator, Expression)>),
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Header(Bytes),
    Priority,
    MessageId,
    ReplyTo,
    DeliveryMode,
    Group,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What `LIKE` compares with.
#[derive(Clone, Debug, PartialEq)]
struct Pattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// This character.
    Exactly(char),
    /// Any one character.
    One,
    /// Any number of characters.
    Many,
}

#[cfg(test)]
mod tests;
