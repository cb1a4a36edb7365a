//! What became of a run, as one word and as an exit status.

use std::process::ExitCode;

use queuelab_record::Verdict;

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
