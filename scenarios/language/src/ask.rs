//! Sentences about a scenario that do not stand in it: what a command line asks.

use crate::error::{Error, Invalid, Problem};
use crate::scenario::{Expectation, MetricRef, Scenario};
use crate::sentence::{self, Names};
use crate::source::Source;

impl Scenario {
    /// Reads a sentence as `expect` has them: `latency.confirm.p99 < 100ms`, `no-loss of orders`. `origin` is where it comes from, as
    /// messages show it: `--while`.
    ///
    /// # Errors
    /// If it is no such sentence, or names what the scenario does not declare.
    pub fn expectation(&self, origin: &str, text: &str) -> Result<Expectation, Error> {
        let claim = sentence::expectation(text, &Names::of(self));
        claim
            .map(|claim| Expectation {
                text: text.trim().to_string(),
                claim,
            })
            .map_err(|problem| said(origin, text, problem))
    }

    /// Reads a metric as holes of `answer` name them: `backlog.max of orders in burst`.
    ///
    /// # Errors
    /// As [`Scenario::expectation`].
    pub fn metric(&self, origin: &str, text: &str) -> Result<MetricRef, Error> {
        sentence::metric(text, &Names::of(self)).map_err(|problem| said(origin, text, problem))
    }
}

fn said(origin: &str, text: &str, problem: Problem) -> Error {
    Error::Invalid(Invalid::new(vec![problem], Source::new(origin, text, &[])))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::open;

    #[test]
    fn sentences_are_read_as_those_of_the_file() {
        let scenario = open("flash-sale", &[]).unwrap();
        let asked = scenario
            .expectation("--while", " drain_time < 5m ")
            .unwrap();
        assert_eq!(asked.text, "drain_time < 5m");
        assert!(scenario.expectations.contains(&asked));
        let metric = scenario.metric("--metric", "backlog.max of orders in burst");
        assert_eq!(metric.unwrap().phase.as_deref(), Some("burst"));
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_was_typed() {
        let scenario = open("flash-sale", &[]).unwrap();
        let error = scenario.expectation("--while", "drain_time of ordres < 5m");
        expect![[r#"
            error: there is no queue `ordres`
             --> --while:1:15
              |
            1 | drain_time of ordres < 5m
              |               ^^^^^^
              |
              = help: did you mean `orders`?
        "#]]
        .assert_eq(&format!("{}\n", error.unwrap_err().to_string().trim_end()));
        let error = scenario.metric("--metric", "backlog.mex").unwrap_err();
        assert!(
            error.to_string().contains("did you mean `backlog.max`?"),
            "{error}"
        );
        let error = scenario.metric("--metric", "backlog.max < 5").unwrap_err();
        assert!(
            error.to_string().contains("is not understood here"),
            "{error}"
        );
    }
}
