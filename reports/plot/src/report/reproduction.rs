//! The scenario's text, and what to type to have all this again.

use std::fmt::Write as _;

use queuelab_core::Span;
use queuelab_record::{Environment, RunRecord};

use super::table::terms;
use crate::html::escaped;

pub(super) fn section(record: &RunRecord, environment: Option<&Environment>) -> String {
    let name = &record.scenario.name;
    let mut arguments = format!(" --seed {}", record.seed);
    for change in &record.scenario.overrides {
        let _ = write!(arguments, " --set {}", shell_word(change));
    }
    // Other expectations are none of the viewer's options.
    let grading = record.scenario.grading.as_ref();
    let grading = grading.map_or(String::new(), |it| format!(" --expect {}", shell_word(it)));
    let what = match grading.is_empty() {
        true => "scenario and seed",
        false => "scenario, seed and expectations",
    };
    let mut html = format!(
        "<p>The same version, {what} give the same record.json, byte for byte; its trace hash is <code>{}</code>. If the text below \
         is saved as <code>{1}.toml</code>:</p>\n<pre class=\"commands\"><code>queuelab run {2}{3}{4}\nqueuelab watch {2}{3}</code></pre>\n",
        escaped(&record.trace_hash),
        escaped(name),
        escaped(&shell_word(&format!("{name}.toml"))),
        escaped(&arguments),
        escaped(&grading),
    );
    if !record.suggestions.is_empty() {
        html.push_str("<p>Then try:</p>\n<dl class=\"wide\">\n");
        for (command, question) in &record.suggestions {
            let _ = writeln!(
                html,
                "<div><dt>{}</dt><dd><code>{}</code></dd></div>",
                escaped(question),
                escaped(command)
            );
        }
        html.push_str("</dl>\n");
    }
    let overrides = record.scenario.overrides.iter();
    let comments: String = overrides.map(|it| format!("# --set {it}\n")).collect();
    let _ = write!(
        html,
        "<details open><summary>{}.toml, run with seed {}</summary>\n<pre><code>{}{}</code></pre></details>\n",
        escaped(name),
        record.seed,
        escaped(&comments),
        escaped(&record.scenario.source)
    );
    let mut items = vec![
        ("version", format!("queuelab {}", escaped(&record.version))),
        ("events", queuelab_record::grouped(record.events)),
    ];
    if let Some(it) = environment {
        let wall = Span::from_secs_f64(it.wall_seconds);
        items.push(("took", format!("{wall} of real time")));
        items.push(("machine", escaped(&it.host)));
        items.push(("build", escaped(&it.profile)));
        if let Some(commit) = &it.commit {
            items.push(("commit", escaped(commit)));
        }
    }
    html.push_str(&terms(&items));
    html
}

/// A word as a shell reads it back: quoted where that is needed.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./~+=@:,".contains(c);
    if word.chars().all(plain) && !word.is_empty() {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
