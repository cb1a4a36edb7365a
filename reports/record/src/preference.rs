//! Of which metrics one wants less, of which more, and how one says so.

/// What one wants of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Less is better: latencies, backlogs, losses.
    Less,
    /// More is better: rates, messages that arrive.
    More,
    /// It depends: utilisation.
    Neither,
}

/// What one wants of a metric, by its name.
pub fn preference(metric: &str) -> Preference {
    match metric {
        "count.offered" | "utilisation" | "count.rebalances" | "count.deduplicated" => {
            Preference::Neither
        }
        "count.sent" | "count.confirmed" | "count.enqueued" | "count.delivered" | "count.acked"
        | "count.served" => Preference::More,
        _ if metric.starts_with("rate.") => Preference::More,
        _ => Preference::Less,
    }
}

/// How one says that there is less of a metric, and more: `faster` and `slower`.
pub fn less_and_more(metric: &str) -> [&'static str; 2] {
    match metric.split('.').next().unwrap_or(metric) {
        "latency" | "drain_time" => ["faster", "slower"],
        "alarm_time" => ["shorter", "longer"],
        "oldest_age" => ["younger", "older"],
        "backlog" | "delayed" | "lag" => ["smaller", "larger"],
        "count" => ["fewer", "more"],
        _ => ["lower", "higher"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_latencies_are_better_small() {
        for metric in [
            "latency.confirm.p99",
            "backlog.max",
            "count.lost",
            "drain_time",
        ] {
            assert_eq!(preference(metric), Preference::Less, "{metric}");
        }
        assert_eq!(preference("rate.acked"), Preference::More);
        assert_eq!(preference("count.acked"), Preference::More);
        assert_eq!(preference("utilisation"), Preference::Neither);
        assert_eq!(less_and_more("latency.confirm.p99"), ["faster", "slower"]);
        assert_eq!(less_and_more("count.lost"), ["fewer", "more"]);
        assert_eq!(less_and_more("utilisation"), ["lower", "higher"]);
    }
}
