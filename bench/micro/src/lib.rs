//! Scenarios that benchmarks share; the benchmarks themselves live in `benches/` and `examples/`.

/// The text of a benchmark's scenario for about so many messages: `mm1` or `durable`.
pub fn scenario(model: &str, messages: f64) -> Option<String> {
    let (duration, rest) = match model {
        "mm1" => (messages / 0.8, MM1),
        "durable" => (messages / 50_000.0, DURABLE),
        _ => return None,
    };
    Some(format!(
        "title = \"{model}\"\nabout = \"A benchmark.\"\nduration = \"{duration}s\"\n{rest}"
    ))
}

/// λ = 0.8, μ = 1, free hardware.
const MM1: &str = r#"
[cluster]
profile = "ideal"

[[queue]]
name = "q"
kind = "memory"

[[producer]]
name = "p"
to = { queue = "q" }
arrivals = "poisson"
rate = "0.8/s"
confirm = false
size = "100B"

[[consumer]]
name = "c"
from = "q"
prefetch = 1
service = { dist = "exponential", mean = "1s" }
"#;

/// Ten producers with confirms, ten consumers with manual acks, 50,000 messages a second through an fsync log.
const DURABLE: &str = r#"
[cluster]
profile = "lan"

[[queue]]
name = "q"
kind = "durable"
durability = "fsync"

[[producer]]
name = "p"
count = 10
to = { queue = "q" }
arrivals = "poisson"
rate = "50000/s"
confirm = { window = 1000 }
size = "100B"

[[consumer]]
name = "c"
from = "q"
count = 10
prefetch = 100
service = { dist = "exponential", mean = "100us" }
"#;
