use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::id::ExchangeId;
use crate::message::Properties;

fn message(headers: &[(&'static str, Value)]) -> Message {
    let mut headers: Vec<(Bytes, Value)> = headers
        .iter()
        .map(|(name, value)| (Bytes::from_static(name.as_bytes()), value.clone()))
        .collect();
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    Message {
        tag: 0,
        exchange: ExchangeId::DEFAULT,
        persistent: true,
        routing_key: Bytes::new(),
        body: Bytes::new(),
        properties: Some(Arc::new(Properties {
            headers,
            priority: 7,
            group: Some(Bytes::from_static(b"g")),
            ..Properties::default()
        })),
    }
}

fn text(text: &'static str) -> Value {
    Value::Text(Bytes::from_static(text.as_bytes()))
}

fn check(cases: &[(&str, Option<bool>)]) {
    let message = message(&[
        ("region", text("eu")),
        ("quote", text("it's 100%")),
        ("size", Value::Int(10)),
        ("price", Value::Float(2.5)),
        ("vip", Value::Bool(true)),
        ("huge", Value::Int(i64::MAX)),
        ("x-y", Value::Int(1)),
    ]);
    for (expression, expected) in cases {
        let selector = Selector::parse(expression).expect(expression);
        assert_eq!(
            selector.condition.truth(&message),
            *expected,
            "{expression}"
        );
        assert_eq!(
            selector.matches(&message),
            *expected == Some(true),
            "{expression}"
        );
    }
}

#[test]
fn comparisons_and_arithmetic() {
    check(&[
        ("size = 10", Some(true)),
        ("size <> 10", Some(false)),
        ("size >= 10.0 and size <= 1E1", Some(true)),
        ("region = 'eu'", Some(true)),
        ("region <> 'us'", Some(true)),
        ("quote = 'it''s 100%'", Some(true)),
        ("vip", Some(true)),
        ("vip = TRUE AND NOT vip = false", Some(true)),
        ("1 + 2 * 3 = 7", Some(true)),
        ("(1 + 2) * 3 = 9", Some(true)),
        ("10 - 2 - 3 = 5", Some(true)),
        ("7 / 2 = 3", Some(true)),
        ("7. / 2 = 3.5", Some(true)),
        (".5 + 1.5e0 = 2", Some(true)),
        ("-size = -10 AND - -size = +10", Some(true)),
        ("size * price > 24.9", Some(true)),
        ("huge + 1 > huge - 1000", Some(true)),
        ("JMSPriority > 6", Some(true)),
        ("JMSDeliveryMode = 'PERSISTENT'", Some(true)),
        ("JMSXGroupID = 'g'", Some(true)),
        ("JMSMessageID IS NULL", Some(true)),
        ("\"x-y\" = 1", Some(true)),
        ("x-y = 1", None),
    ]);
}

#[test]
fn logic_has_three_values() {
    check(&[
        ("missing = 1", None),
        ("NOT missing = 1", None),
        ("missing", None),
        ("size", None),
        ("missing = 1 OR vip", Some(true)),
        ("missing = 1 AND vip", None),
        ("missing = 1 AND NOT vip", Some(false)),
        ("missing = 1 OR NOT vip", None),
        ("missing IS NULL", Some(true)),
        ("missing IS NOT NULL", Some(false)),
        ("size IS NULL", Some(false)),
        ("missing + 1 = 1", None),
        ("region + 1 = 1", None),
        ("size / 0 = 1", None),
        ("1. / 0 > huge", Some(true)),
        ("region = 10", Some(false)),
        ("region <> 10", Some(false)),
        ("region < size", Some(false)),
        ("(missing = 1) IS NULL", Some(true)),
        ("NOT NOT vip OR missing AND vip", Some(true)),
    ]);
}

#[test]
fn between_in_and_like() {
    check(&[
        ("size BETWEEN 9 AND 10 AND vip", Some(true)),
        ("size NOT BETWEEN 9 AND 10", Some(false)),
        ("size BETWEEN 11 AND missing", Some(false)),
        ("size BETWEEN 9 AND missing", None),
        ("region IN ('us', 'eu')", Some(true)),
        ("region NOT IN ('us', 'eu')", Some(false)),
        ("size IN (-10, 10, 'x')", Some(true)),
        ("missing IN ('us')", None),
        ("missing NOT IN ('us')", None),
        ("region LIKE 'e_'", Some(true)),
        ("region LIKE 'e'", Some(false)),
        (
            "region LIKE '%u' AND region LIKE 'e%' AND region LIKE '%'",
            Some(true),
        ),
        ("region NOT LIKE '_%_'", Some(false)),
        ("quote LIKE '%100!%' ESCAPE '!'", Some(true)),
        ("quote LIKE '%!%_' ESCAPE '!'", Some(false)),
        ("quote LIKE '%s%1%0%'", Some(true)),
        ("size LIKE '1%'", Some(false)),
        ("missing LIKE '%'", None),
    ]);
}

#[test]
fn errors_say_where_and_why() {
    let check = |expected: Expect, cases: &[&str]| {
        let lines = cases
            .iter()
            .map(|case| format!("{case:<24} {}\n", Selector::parse(case).unwrap_err()));
        expected.assert_eq(&lines.collect::<String>());
    };
    check(
        expect![[r#"
                                     at byte 0: expected a value, and the expression ends
            a =                      at byte 3: expected a value, and the expression ends
            a = 1 b                  at byte 6: expected the end, AND, or OR instead of b
            a == 1                   at byte 3: expected a value instead of =
            (a = 1                   at byte 6: expected ), and the expression ends
            a = 'x                   at byte 4: a text is not closed by a quote
            "a = 1                   at byte 0: a name is not closed by a quote
            1 + 2                    at byte 0: expected a condition
            'x'                      at byte 0: expected a condition
            a AND 1                  at byte 6: expected a condition
            NOT 'x'                  at byte 4: expected a condition
            a + 'x' = 1              at byte 4: expected a number
            -TRUE = 1                at byte 1: expected a number
            a < 'x'                  at byte 0: only numbers have an order
            1 = 'x'                  at byte 0: values of different kinds are never equal
            a BETWEEN 1              at byte 11: expected AND, and the expression ends
            a IN ()                  at byte 6: expected a literal instead of )
            a IN ('x'                at byte 9: expected ), and the expression ends
            a IN (b)                 at byte 6: expected a literal instead of b
            a LIKE b                 at byte 7: expected a text in quotes instead of b
            1 LIKE 'x'               at byte 0: LIKE compares texts
            a LIKE 'x' ESCAPE 'yz'   at byte 18: the escape is one character
            a LIKE 'x!' ESCAPE '!'   at byte 7: the pattern ends after its escape
            a NOT NULL               at byte 6: expected BETWEEN, IN, or LIKE instead of NULL
            a IS 1                   at byte 5: expected NULL instead of 1
            a = NULL                 at byte 4: expected a value instead of NULL
            a = 1E                   at byte 5: an exponent needs digits
            a = 9223372036854775808  at byte 4: the number is too large
            a ? 1                    at byte 2: ? means nothing here
            ä = ö AND é = ☃          at byte 17: ☃ means nothing here
        "#]],
        &[
            "",
            "a =",
            "a = 1 b",
            "a == 1",
            "(a = 1",
            "a = 'x",
            "\"a = 1",
            "1 + 2",
            "'x'",
            "a AND 1",
            "NOT 'x'",
            "a + 'x' = 1",
            "-TRUE = 1",
            "a < 'x'",
            "1 = 'x'",
            "a BETWEEN 1",
            "a IN ()",
            "a IN ('x'",
            "a IN (b)",
            "a LIKE b",
            "1 LIKE 'x'",
            "a LIKE 'x' ESCAPE 'yz'",
            "a LIKE 'x!' ESCAPE '!'",
            "a NOT NULL",
            "a IS 1",
            "a = NULL",
            "a = 1E",
            "a = 9223372036854775808",
            "a ? 1",
            "ä = ö AND é = ☃",
        ],
    );
    let deep = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Selector::parse(&deep(64)).is_ok());
    assert_eq!(Selector::parse(&deep(65)).unwrap_err().at, 65);
    assert!(Selector::parse(&"NOT ".repeat(100_000)).is_err());
    assert!(Selector::parse(&format!("a = {}1", "-".repeat(100_000))).is_err());
    let chain = "a + 1 > 0 AND ".repeat(10_000) + "a";
    assert!(!Selector::parse(&chain).unwrap().matches(&message(&[])));
}

#[test]
fn like_takes_no_exponential_time() {
    let pattern = format!("a LIKE '{}b'", "%a".repeat(200));
    let selector = Selector::parse(&pattern).unwrap();
    let text = Value::Text(Bytes::from("a".repeat(5_000)));
    assert!(!selector.matches(&message(&[("a", text)])));
}

/// An expression to be written and to be evaluated naively.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(&'static str, Option<Value>),
    Prefix(&'static str, Box<Tree>),
    Infix(&'static str, Box<Tree>, Box<Tree>),
    Between(Box<Tree>, Box<Tree>, Box<Tree>),
    In(Box<Tree>, Vec<(&'static str, Value)>),
    IsNull(Box<Tree>),
}

fn numbers() -> impl Strategy<Value = Tree> {
    let leaf = prop::sample::select(vec![
        Tree::Leaf("0", Some(Value::Int(0))),
        Tree::Leaf("3", Some(Value::Int(3))),
        Tree::Leaf("2.5", Some(Value::Float(2.5))),
        Tree::Leaf("huge", Some(Value::Int(i64::MAX))),
        Tree::Leaf("size", Some(Value::Int(10))),
        Tree::Leaf("region", Some(text("eu"))),
        Tree::Leaf("missing", None),
    ]);
    leaf.prop_recursive(3, 16, 2, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/"]);
        prop_oneof![
            3 => (operator, inner.clone(), inner.clone())
                .prop_map(|(operator, left, right)| Tree::Infix(operator, left.into(), right.into())),
            1 => inner.prop_map(|inner| Tree::Prefix("-", inner.into())),
        ]
    })
}

fn conditions() -> impl Strategy<Value = Tree> {
    let comparison = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let literal = prop::sample::select(vec![
        ("'eu'", text("eu")),
        ("10", Value::Int(10)),
        ("3.0", Value::Float(3.0)),
    ]);
    let leaf = prop_oneof![
        Just(Tree::Leaf("TRUE", Some(Value::Bool(true)))),
        Just(Tree::Leaf("vip", Some(Value::Bool(true)))),
        Just(Tree::Leaf("missing", None)),
        (comparison, numbers(), numbers()).prop_map(|(comparison, left, right)| Tree::Infix(
            comparison,
            left.into(),
            right.into()
        )),
        (numbers(), numbers(), numbers()).prop_map(|(value, low, high)| Tree::Between(
            value.into(),
            low.into(),
            high.into()
        )),
        (numbers(), prop::collection::vec(literal, 1..3))
            .prop_map(|(value, list)| Tree::In(value.into(), list)),
        numbers().prop_map(|value| Tree::IsNull(value.into())),
    ];
    leaf.prop_recursive(4, 32, 2, |inner| {
        let both = prop::sample::select(vec!["AND", "OR", "=", "<>"]);
        prop_oneof![
            3 => (both, inner.clone(), inner.clone())
                .prop_map(|(both, left, right)| Tree::Infix(both, left.into(), right.into())),
            1 => inner.clone().prop_map(|inner| Tree::Prefix("NOT", inner.into())),
            1 => inner.prop_map(|inner| Tree::IsNull(inner.into())),
        ]
    })
}

impl Tree {
    fn write(&self) -> String {
        match self {
            Tree::Leaf(text, _) => (*text).into(),
            Tree::Prefix(operator, inner) => format!("({operator} {})", inner.write()),
            Tree::Infix(operator, left, right) => {
                format!("({} {operator} {})", left.write(), right.write())
            }
            Tree::Between(value, low, high) => {
                let (value, low, high) = (value.write(), low.write(), high.write());
                format!("({value} BETWEEN {low} AND {high})")
            }
            Tree::In(value, list) => {
                let list: Vec<&str> = list.iter().map(|(text, _)| *text).collect();
                format!("({} IN ({}))", value.write(), list.join(", "))
            }
            Tree::IsNull(inner) => format!("({} IS NULL)", inner.write()),
        }
    }

    /// The value, by the book: truth tables and cases.
    fn value(&self) -> Option<Value> {
        use Value::{Bool, Float, Int, Text};
        match self {
            Tree::Leaf(_, value) => value.clone(),
            Tree::Prefix("NOT", inner) => match inner.value() {
                Some(Bool(truth)) => Some(Bool(!truth)),
                _ => None,
            },
            Tree::Prefix(_, inner) => {
                let zero = Tree::Leaf("0", Some(Int(0)));
                Tree::Infix("-", zero.into(), inner.clone()).value()
            }
            Tree::IsNull(inner) => Some(Bool(inner.value().is_none())),
            Tree::In(value, list) => {
                let value = value.value()?;
                let found = list.iter().any(|(_, other)| compare("=", &value, other));
                Some(Bool(found))
            }
            Tree::Between(value, low, high) => {
                let at_least = Tree::Infix(">=", value.clone(), low.clone());
                let at_most = Tree::Infix("<=", value.clone(), high.clone());
                Tree::Infix("AND", at_least.into(), at_most.into()).value()
            }
            Tree::Infix(logic @ ("AND" | "OR"), left, right) => {
                let truth = |tree: &Tree| match tree.value() {
                    Some(Bool(truth)) => Some(truth),
                    _ => None,
                };
                let table = match (*logic, truth(left), truth(right)) {
                    ("AND", Some(true), Some(true)) => Some(true),
                    ("AND", Some(false), _) | ("AND", _, Some(false)) => Some(false),
                    ("OR", Some(false), Some(false)) => Some(false),
                    ("OR", Some(true), _) | ("OR", _, Some(true)) => Some(true),
                    _ => None,
                };
                table.map(Bool)
            }
            Tree::Infix(operator @ ("+" | "-" | "*" | "/"), left, right) => {
                match (left.value()?, right.value()?) {
                    (Int(_), Int(0)) if *operator == "/" => None,
                    (Int(left), Int(right)) => {
                        let (wide, other) = (i128::from(left), i128::from(right));
                        let exact = match *operator {
                            "+" => wide + other,
                            "-" => wide - other,
                            "*" => wide * other,
                            _ => wide / other,
                        };
                        let fits = i64::try_from(exact).map(Int);
                        Some(fits.unwrap_or(Float(compute(operator, left as f64, right as f64))))
                    }
                    (Text(_) | Bool(_), _) | (_, Text(_) | Bool(_)) => None,
                    (left, right) => Some(Float(compute(operator, float(&left), float(&right)))),
                }
            }
            Tree::Infix(comparison, left, right) => {
                Some(Bool(compare(comparison, &left.value()?, &right.value()?)))
            }
        }
    }
}

fn compute(operator: &str, left: f64, right: f64) -> f64 {
    match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        _ => left / right,
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Int(int) => *int as f64,
        Value::Float(float) => *float,
        other => panic!("{other:?} is no number"),
    }
}

fn compare(comparison: &str, left: &Value, right: &Value) -> bool {
    let (less, equal) = match (left, right) {
        (Value::Text(_), Value::Text(_)) | (Value::Bool(_), Value::Bool(_)) => {
            return match comparison {
                "=" => left == right,
                "<>" => left != right,
                _ => false,
            };
        }
        (Value::Int(left), Value::Int(right)) => (left < right, left == right),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            (float(left) < float(right), float(left) == float(right))
        }
        _ => return false,
    };
    let nan = |value: &Value| matches!(value, Value::Float(float) if float.is_nan());
    let comparable = !nan(left) && !nan(right);
    match comparison {
        "=" => equal,
        "<>" => !equal,
        "<" => less,
        "<=" => less || equal,
        ">" => comparable && !less && !equal,
        _ => comparable && !less,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(2_000)
    })]

    #[test]
    fn evaluates_as_the_naive_evaluator_does(tree in conditions()) {
        let message = message(&[
            ("size", Value::Int(10)),
            ("region", text("eu")),
            ("huge", Value::Int(i64::MAX)),
            ("vip", Value::Bool(true)),
        ]);
        let written = tree.write();
        let expected = match tree.value() {
            Some(Value::Bool(truth)) => Some(truth),
            _ => None,
        };
        let selector = Selector::parse(&written).expect("a sensible tree is a selector");
        prop_assert_eq!(selector.condition.truth(&message), expected, "{}", written);
    }

    #[test]
    fn any_text_is_a_selector_or_an_error_at_a_place_in_it(text in any::<String>()) {
        no_panic(&text)?;
    }

    #[test]
    fn any_row_of_tokens_is_a_selector_or_an_error_at_a_place_in_it(
        tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..20)
    ) {
        no_panic(&tokens.join(" "))?;
        no_panic(&tokens.concat())?;
    }
}

const TOKENS: [&str; 32] = [
    "a",
    "JMSPriority",
    "\"b\"",
    "'x'",
    "'",
    "\"",
    "1",
    "2.5",
    "1e9",
    ".",
    "=",
    "<>",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "(",
    ")",
    ",",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "LIKE",
    "ESCAPE",
    "IS",
    "NULL",
    "TRUE",
    "é☃",
];

fn no_panic(text: &str) -> Result<(), TestCaseError> {
    match Selector::parse(text) {
        Ok(selector) => drop(selector.matches(&message(&[("a", Value::Int(1))]))),
        Err(error) => prop_assert!(text.is_char_boundary(error.at), "{}", error),
    }
    Ok(())
}
