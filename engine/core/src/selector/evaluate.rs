//! What an expression is for a message.

use std::cmp::Ordering;

use bytes::Bytes;

use super::{Comparison, Expression, Field, Operator, Part, Pattern};
use crate::message::{Message, Value};

impl Expression {
    /// As a condition; `None` is unknown.
    pub(super) fn truth(&self, message: &Message) -> Option<bool> {
        match self {
            Expression::All(conditions) => {
                let mut all = conditions.iter().map(|condition| condition.truth(message));
                decide(&mut all, false)
            }
            Expression::Any(conditions) => {
                let mut all = conditions.iter().map(|condition| condition.truth(message));
                decide(&mut all, true)
            }
            Expression::Not(condition) => condition.truth(message).map(|truth| !truth),
            Expression::Compare(comparison, sides) => {
                let [left, right] = &**sides;
                Some(comparison.holds(&left.value(message)?, &right.value(message)?))
            }
            Expression::Between(values) => {
                let [value, low, high] = &**values;
                let value = value.value(message);
                let bound = |comparison: Comparison, bound: &Expression| {
                    Some(comparison.holds(value.as_ref()?, &bound.value(message)?))
                };
                let mut both = [
                    bound(Comparison::GreaterOrEqual, low),
                    bound(Comparison::LessOrEqual, high),
                ]
                .into_iter();
                decide(&mut both, false)
            }
            Expression::In(value, list) => {
                let value = value.value(message)?;
                Some(
                    list.iter()
                        .any(|other| Comparison::Equal.holds(&value, other)),
                )
            }
            Expression::Like(value, pattern) => match value.value(message)? {
                Value::Text(text) => Some(pattern.matches(&String::from_utf8_lossy(&text))),
                _ => Some(false),
            },
            Expression::IsNull(value) => Some(value.value(message).is_none()),
            Expression::Literal(_) | Expression::Field(_) | Expression::Compute(..) => {
                match self.value(message)? {
                    Value::Bool(truth) => Some(truth),
                    _ => None,
                }
            }
        }
    }

    /// As a value; `None` is unknown.
    fn value(&self, message: &Message) -> Option<Value> {
        match self {
            Expression::Literal(value) => Some(value.clone()),
            Expression::Field(field) => field.of(message),
            Expression::Compute(first, rest) => rest
                .iter()
                .try_fold(first.value(message)?, |left, (operator, right)| {
                    operator.apply(&left, &right.value(message)?)
                }),
            _ => self.truth(message).map(Value::Bool),
        }
    }
}

/// `decisive` if any is, else unknown if any is, else the opposite.
fn decide(truths: &mut dyn Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut result = Some(!decisive);
    for truth in truths {
        match truth {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

impl Field {
    fn of(&self, message: &Message) -> Option<Value> {
        let properties = message.properties.as_deref();
        let text = |text: Option<&Bytes>| text.cloned().map(Value::Text);
        match self {
            Field::Header(name) => message.header(name).cloned(),
            Field::Priority => Some(Value::Int(message.priority().into())),
            Field::MessageId => text(properties?.id.as_ref()),
            Field::ReplyTo => text(properties?.reply_to.as_ref()),
            Field::Group => text(properties?.group.as_ref()),
            Field::DeliveryMode => {
                let mode = if message.persistent {
                    "PERSISTENT"
                } else {
                    "NON_PERSISTENT"
                };
                Some(Value::Text(Bytes::from_static(mode.as_bytes())))
            }
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Value::Text(left), Value::Text(right)) => return self.holds_if(left == right),
            (Value::Bool(left), Value::Bool(right)) => return self.holds_if(left == right),
            _ => match (float(left), float(right)) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => return false,
            },
        };
        match self {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::Unequal => order != Some(Ordering::Equal),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Comparison::GreaterOrEqual => {
                matches!(order, Some(Ordering::Greater | Ordering::Equal))
            }
        }
    }

    /// Of values without an order.
    fn holds_if(self, equal: bool) -> bool {
        match self {
            Comparison::Equal => equal,
            Comparison::Unequal => !equal,
            _ => false,
        }
    }
}

impl Operator {
    fn apply(self, left: &Value, right: &Value) -> Option<Value> {
        if let (Value::Int(left), Value::Int(right)) = (left, right) {
            let exact = match self {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                Operator::Multiply => left.checked_mul(*right),
                Operator::Divide if *right == 0 => return None,
                Operator::Divide => left.checked_div(*right),
            };
            if let Some(exact) = exact {
                return Some(Value::Int(exact));
            }
        }
        let (left, right) = (float(left)?, float(right)?);
        Some(Value::Float(match self {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => left / right,
        }))
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::Bool(_) | Value::Text(_) => None,
    }
}

impl Pattern {
    /// True if it covers the whole text. Goes back to the last `%` only: that takes at most length times length steps.
    fn matches(&self, text: &str) -> bool {
        let (parts, mut rest) = (&self.0, text);
        let mut at = 0;
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut after = rest.chars();
            let fits = match (parts.get(at), after.next()) {
                (None, None) => return true,
                (Some(Part::Many), _) => {
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                (Some(Part::One), Some(_)) => true,
                (Some(Part::Exactly(part)), Some(next)) => *part == next,
                (_, None) => return false,
                (None, Some(_)) => false,
            };
            if fits {
                (at, rest) = (at + 1, after.as_str());
                continue;
            }
            let Some((from, text)) = retry else {
                return false;
            };
            let mut later = text.chars();
            later.next();
            (at, rest) = (from, later.as_str());
            retry = Some((at, rest));
        }
    }
}
