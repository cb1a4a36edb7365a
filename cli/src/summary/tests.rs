//! The page as a whole, on made-up records.

use std::time::Duration;

use expect_test::{Expect, expect};
use queuelab_record::{RunRecord, Verdict, fixture};

use super::*;

fn context() -> Context {
    let names = [
        "record.json",
        "environment.json",
        "series.csv",
        "latency.hgrm",
        "backlog.svg",
        "backlog.png",
    ];
    Context {
        wall: Duration::from_millis(600),
        files: Some(Files {
            folder: "out/flash-sale-7/".into(),
            names: names.map(String::from).to_vec(),
        }),
        typed: "flash-sale".into(),
        width: 100,
        color: false,
    }
}

fn check(record: &RunRecord, context: &Context, expected: Expect) {
    expected.assert_eq(&summary(record, context));
}

#[test]
fn a_run_that_does_not_meet_its_expectations() {
    check(&fixture::flash_sale(), &context(), expect![[""]]);
}

#[test]
fn a_run_that_meets_them_on_a_narrow_terminal() {
    let mut record = fixture::flash_sale();
    record.queues.truncate(1);
    record.expectations.truncate(1);
    record.faults.clear();
    record.answer = None;
    check(
        &record,
        &Context {
            width: 72,
            files: None,
            typed: "./sale.toml".into(),
            ..context()
        },
        expect![[""]],
    );
}

#[test]
fn a_run_in_which_nothing_happened() {
    check(&fixture::empty(), &context(), expect![[""]]);
}

#[test]
fn a_violated_invariant_fails_a_run_unless_an_expectation_wants_it() {
    let mut record = fixture::flash_sale();
    record.expectations.truncate(1);
    let invariant = &mut record.invariants[0];
    (invariant.verdict, invariant.violations) = (Verdict::Fail, 3);
    invariant.by_queue = vec![3, 0];
    assert_eq!(
        outcome::verdict(&outcome::judgements(&record)),
        Verdict::Fail
    );
    let mut judged = |text: &str| {
        let expectation = &mut record.expectations[0];
        (expectation.text, expectation.verdict) = (text.into(), Verdict::Pass);
        outcome::verdict(&outcome::judgements(&record))
    };
    assert_eq!(judged("violates no-loss"), Verdict::Pass);
    assert_eq!(judged("violates no-loss of orders"), Verdict::Pass);
    assert_eq!(judged("violates no-loss of payments"), Verdict::Fail);
    assert_eq!(judged("violates no-phantom"), Verdict::Fail);
}

#[test]
fn colours_change_nothing_but_colours() {
    let record = fixture::flash_sale();
    let painted = summary(
        &record,
        &Context {
            color: true,
            ..context()
        },
    );
    assert!(painted.contains("\x1b[31m✗ drain_time"));
    let mut plain = String::new();
    for (at, part) in painted.split("\x1b[").enumerate() {
        plain.push_str(if at == 0 {
            part
        } else {
            part.split_once('m').map_or("", |(_, text)| text)
        });
    }
    assert_eq!(plain, summary(&record, &context()));
}
