//! What a reader wants to know first: the answer, the verdicts, three figures.

use std::fmt::Write as _;

use queuelab_record::{Ensemble, Judgement, Measured, RunRecord, Verdict, percent};

use crate::html::escaped;

pub(super) fn section(record: &RunRecord, ensemble: Option<&Ensemble>) -> String {
    let judgements = match ensemble {
        Some(ensemble) => ensemble.judgements(record),
        None => record.judgements(),
    };
    let verdict = Verdict::worst(judgements.iter().map(|it| it.verdict));
    let scenario = &record.scenario;
    let mut html = String::from("<header>\n");
    let changed = scenario
        .overrides
        .iter()
        .map(|change| format!(" · with {change}"));
    let _ = write!(
        html,
        "<p class=\"kind\">queuelab {} · seed {} · {} simulated{}</p>\n<h1>{}</h1>\n<p class=\"about\">{}</p>\n",
        escaped(&record.version),
        record.seed,
        record.end,
        escaped(&changed.collect::<String>()),
        escaped(&scenario.title),
        escaped(&scenario.about),
    );
    let (class, sign, word) = words(verdict);
    let _ = writeln!(
        html,
        "<p class=\"answer {class}\"><span class=\"badge {class}\">{sign} {word}</span> {}</p>",
        escaped(&record.answer_in_words(&judgements))
    );
    html.push_str(&cards(record, ensemble));
    html.push_str(&verdicts(&judgements));
    html.push_str("</header>\n");
    html
}

/// Class, sign and word of a verdict.
pub(super) fn words(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("pass", "✓", "PASS"),
        Verdict::Fail => ("fail", "✗", "FAIL"),
        Verdict::Undecided => ("undecided", "?", "UNDECIDED"),
    }
}

fn verdicts(judgements: &[Judgement]) -> String {
    if judgements.is_empty() {
        return "<p>Nothing was expected of this run.</p>\n".into();
    }
    let mut html = String::from("<ul class=\"verdicts\">\n");
    for judgement in judgements {
        let (class, sign, word) = words(judgement.verdict);
        let elsewhere = judgement.elsewhere.iter();
        let elsewhere: String = elsewhere.map(|it| format!(" · {it}")).collect();
        let _ = writeln!(
            html,
            "<li class=\"{class}\"><span class=\"sign\" title=\"{word}\">{sign}</span><code>{}</code><span class=\"measured\">{}{}</span></li>",
            escaped(&judgement.text),
            escaped(&judgement.measured),
            escaped(&elsewhere)
        );
    }
    html.push_str("</ul>\n");
    html
}

/// A figure: how it is called, what it came to, and what stands below it.
struct Card {
    /// As metrics call it; each is shown once.
    key: String,
    name: String,
    figure: String,
    note: String,
}

/// Those that the scenario's expectations are about, then what one asks of every run; three in all.
fn cards(record: &RunRecord, ensemble: Option<&Ensemble>) -> String {
    let mut cards: Vec<Card> = Vec::new();
    for expectation in &record.expectations {
        let Some((quantity, limit)) = split(&expectation.text) else {
            continue;
        };
        let metric = quantity.split_whitespace().next().unwrap_or_default();
        cards.push(Card {
            key: metric.into(),
            name: named(&quantity),
            figure: expectation.measured.clone(),
            note: format!("expected {limit}{}", over_seeds(&quantity, ensemble)),
        });
    }
    cards.extend(usual(record, ensemble));
    let mut shown: Vec<&Card> = Vec::new();
    for card in &cards {
        let new = shown.iter().all(|other| other.key != card.key);
        if new && shown.len() < CARDS_MAX {
            shown.push(card);
        }
    }
    let mut html = String::from("<div class=\"cards\">\n");
    for card in shown {
        let _ = writeln!(
            html,
            "<div class=\"card\"><p>{}</p><p class=\"figure\">{}</p><p class=\"note\">{}</p></div>",
            escaped(&card.name),
            escaped(&card.figure),
            escaped(&card.note)
        );
    }
    html.push_str("</div>\n");
    html
}

/// What one asks of every run.
fn usual(record: &RunRecord, ensemble: Option<&Ensemble>) -> Vec<Card> {
    let mut cards = Vec::new();
    let mut add = |metric: &str, note: String| {
        if let Ok(measured @ Measured::Value { .. }) = record.metric(metric, None, None) {
            cards.push(Card {
                key: metric.into(),
                name: named(metric),
                figure: measured.to_string(),
                note: note + &over_seeds(metric, ensemble),
            });
        }
    };
    if record.groups.iter().any(|group| group.lag_max.0 > 0) {
        add("lag.max", "records not settled".into());
    }
    if record
        .queues
        .iter()
        .any(|queue| !queue.stream && queue.ready_max.0 > 0)
    {
        let at = record.queues.iter().map(|queue| queue.ready_max).max();
        let at = at.map_or(String::new(), |(_, at)| format!("at {at}"));
        add("backlog.max", at);
    }
    add(
        "latency.end_to_end.p99",
        "99 of 100 messages took less".into(),
    );
    add("rate.acked", "on average over the run".into());
    add("utilisation", "of consumers' time".into());
    cards
}

/// ` · 180,052 ± 225 over 10 seeds`, if it was asked about.
fn over_seeds(quantity: &str, ensemble: Option<&Ensemble>) -> String {
    let shown = ensemble.and_then(|ensemble| {
        let mut metrics = ensemble.metrics.iter();
        let metric = metrics.find(|it| it.quantity.to_string() == quantity)?;
        metric.interval?;
        let seeds = ensemble.seeds.len();
        Some(format!(" · {} over {seeds} seeds", metric.shown()))
    });
    shown.unwrap_or_default()
}

/// `drain_time < 5m` as `drain_time` and `< 5m`; nothing of invariants.
fn split(text: &str) -> Option<(String, String)> {
    let at = text.find(['<', '>', '=', '≤', '≥'])?;
    let (quantity, limit) = text.split_at(at);
    Some((quantity.trim().into(), limit.trim().into()))
}

/// A quantity as people call it: `99 % end-to-end latency of orders`.
fn named(quantity: &str) -> String {
    let (metric, rest) = quantity.split_once(' ').unwrap_or((quantity, ""));
    let words = match metric {
        "backlog.max" => "peak backlog".into(),
        "backlog.mean" => "mean backlog".into(),
        "backlog.end" => "backlog at the end".into(),
        "oldest_age.max" => "longest wait for a delivery".into(),
        "drain_time" => "drain time".into(),
        "lag.max" => "largest lag".into(),
        "alarm_time" => "publishers blocked for".into(),
        "utilisation" => "utilisation".into(),
        "rate.acked" => "acknowledged".into(),
        _ => match metric.splitn(3, '.').collect::<Vec<_>>()[..] {
            ["latency", stage, figure] => {
                let stage = stage.replace('_', "-");
                match figure
                    .strip_prefix('p')
                    .and_then(|it| it.parse::<f64>().ok())
                {
                    Some(share) => format!("{stage} latency, {}", percent(share / 100.0)),
                    None => format!("{stage} latency, {figure}"),
                }
            }
            ["count", what] => format!("messages {}", what.replace('_', " ")),
            ["rate", what] => format!("{what} per second"),
            _ => metric.replace(['.', '_'], " "),
        },
    };
    match rest {
        "" => words,
        rest => format!("{words} {rest}"),
    }
}

const CARDS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_named() {
        for (quantity, name) in [
            ("backlog.max of orders", "peak backlog of orders"),
            (
                "latency.end_to_end.p99.9 in after",
                "end-to-end latency, 99.9 % in after",
            ),
            ("latency.end_to_end.p99", "end-to-end latency, 99 %"),
            ("count.dead_lettered", "messages dead lettered"),
        ] {
            assert_eq!(named(quantity), name);
        }
    }

    #[test]
    fn invariants_are_no_figures() {
        assert_eq!(
            split("drain_time < 5m"),
            Some(("drain_time".into(), "< 5m".into()))
        );
        assert_eq!(split("violates no-loss"), None);
    }
}
