//! What became of a run, as one word and as an exit status.

use std::process::ExitCode;

use queuelab_record::{RunRecord, Verdict};

/// What a command ends with. Part of the interface: scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All expectations and invariants are met.
    Met = 0,
    /// One is not.
    Unmet = 1,
    /// Wrong usage or bad input.
    Refused = 2,
    /// It cannot be said.
    Undecided = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

impl From<Verdict> for Status {
    fn from(verdict: Verdict) -> Status {
        match verdict {
            Verdict::Pass => Status::Met,
            Verdict::Fail => Status::Unmet,
            Verdict::Undecided => Status::Undecided,
        }
    }
}

/// One thing that a run was judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// `drain_time < 5m`
    pub(crate) text: String,
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// What was measured.
    pub(crate) measured: String,
}

/// The expectations in order, then the invariants that are violated although no expectation speaks of it.
pub(crate) fn judgements(record: &RunRecord) -> Vec<Judgement> {
    let expectations = record.expectations.iter().map(|expectation| Judgement {
        text: expectation.text.clone(),
        verdict: expectation.verdict,
        measured: expectation.measured.clone(),
    });
    let invariants = record
        .invariants
        .iter()
        .filter(|invariant| invariant.verdict == Verdict::Fail);
    let unspoken =
        invariants.filter(|invariant| !spoken_of(record, &invariant.name, &invariant.by_queue));
    let violations = unspoken.map(|invariant| Judgement {
        text: invariant.name.clone(),
        verdict: Verdict::Fail,
        measured: match invariant.violations {
            1 => "violated once".into(),
            times => format!("violated {} times", queuelab_record::grouped(times)),
        },
    });
    expectations.chain(violations).collect()
}

/// The worst of all: one failure fails the run, one doubt leaves it undecided.
pub(crate) fn verdict(judgements: &[Judgement]) -> Verdict {
    let any = |verdict| {
        judgements
            .iter()
            .any(|judgement| judgement.verdict == verdict)
    };
    if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Undecided) {
        Verdict::Undecided
    } else {
        Verdict::Pass
    }
}

/// The worst of several runs.
pub(crate) fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    verdicts
        .into_iter()
        .fold(Verdict::Pass, |worst, verdict| match (worst, verdict) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Undecided, _) | (_, Verdict::Undecided) => Verdict::Undecided,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        })
}

/// Whether an expectation already judges all violations of an invariant: it asserts the invariant (and fails for it), or it
/// says `violates` to show the anomaly. With `of QUEUE` it judges that queue alone.
fn spoken_of(record: &RunRecord, invariant: &str, by_queue: &[u64]) -> bool {
    record.expectations.iter().any(|expectation| {
        let claim = expectation.text.trim().trim_start_matches("violates ");
        match claim.trim().split_once(" of ") {
            None => claim.trim() == invariant,
            Some((name, queue)) => {
                let elsewhere = record
                    .queues
                    .iter()
                    .zip(by_queue)
                    .any(|(record, &violations)| violations > 0 && record.name != queue.trim());
                name.trim() == invariant && !elsewhere
            }
        }
    })
}
