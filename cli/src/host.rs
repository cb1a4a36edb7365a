//! The machine that this is: wall-clock figures of another one say nothing about a change.

use std::fs;

use serde::{Deserialize, Serialize};

/// What wall-clock figures depend on besides the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// `linux x86_64`
    pub(crate) system: String,
    /// The model of its processor, as far as the system tells.
    pub(crate) processor: String,
    /// How many threads it runs at a time.
    pub(crate) threads: usize,
    /// How queuelab was compiled: `release` or `debug`.
    pub(crate) profile: String,
}

impl Host {
    /// This one.
    pub(crate) fn this() -> Host {
        let name = std::env::var("HOSTNAME").ok();
        let name = name.or_else(|| fs::read_to_string("/etc/hostname").ok());
        let processor = fs::read_to_string("/proc/cpuinfo").ok();
        let profile = match cfg!(debug_assertions) {
            true => "debug",
            false => "release",
        };
        Host {
            name: name.map_or_else(|| "unknown".into(), |name| name.trim().to_string()),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor
                .as_deref()
                .and_then(model)
                .unwrap_or("unknown")
                .to_string(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            profile: profile.into(),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Host {
            name,
            system,
            processor,
            threads,
            profile,
        } = self;
        write!(
            f,
            "{name} ({processor}, {threads} threads, {system}, {profile})"
        )
    }
}

/// The model in the text of `/proc/cpuinfo`.
fn model(text: &str) -> Option<&str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut models = lines.filter(|(key, _)| key.trim() == "model name");
    models.next().map(|(_, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_a_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: a b\n";
        assert_eq!(model(text), Some("Some CPU @ 2 GHz"));
        assert_eq!(model("processor : 0"), None);
        assert_eq!(Host::this(), Host::this());
    }
}
