//! Filter expressions over a message's headers, as in JMS: the SQL-92 subset.

use crate::message::Message;

/// A condition on headers: `region = 'eu' AND (size > 10 OR urgent)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
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
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        Ok(Selector { text: text.into() })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True if the condition is true (neither false nor unknown).
    pub fn matches(&self, _message: &Message) -> bool {
        true
    }
}
