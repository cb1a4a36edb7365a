//! A summary in Markdown, which GitHub shows at the top of a job.

use queuelab_record::Verdict;

use super::Suite;

/// A heading and a table per suite.
pub(super) fn text(suites: &[Suite]) -> String {
    suites.iter().map(of_suite).collect()
}

fn of_suite(suite: &Suite) -> String {
    let all = suite.cases.len();
    let met = suite.count(Verdict::Pass);
    let verdict = match suite.verdict() {
        Verdict::Pass if all == 0 => "nothing expected".to_string(),
        Verdict::Pass => format!("✅ {met} of {all}"),
        Verdict::Fail => format!("❌ {met} of {all} met"),
        Verdict::Undecided => format!("❔ {met} of {all} met"),
    };
    let mut text = format!("### {} · {verdict}\n\n", plain(&suite.name));
    if all > 0 {
        text.push_str("| | expected | measured |\n|---|---|---|\n");
    }
    for case in &suite.cases {
        let sign = match case.verdict {
            Verdict::Pass => "✅",
            Verdict::Fail => "❌",
            Verdict::Undecided => "❔",
        };
        let mut measured = plain(&case.measured);
        for line in &case.details {
            measured.push_str("<br>");
            measured.push_str(&plain(line));
        }
        text.push_str(&format!(
            "| {sign} | {} | {measured} |\n",
            plain(&case.name)
        ));
    }
    if all > 0 {
        text.push('\n');
    }
    for note in &suite.notes {
        text.push_str(&format!("{}\n\n", plain(note)));
    }
    // Longer than any run of backticks within.
    let fence = "`".repeat(
        (suite.command.split(|c| c != '`').map(str::len).max()).map_or(3, |run| run.max(2) + 1),
    );
    text + &format!("{fence}sh\n{}\n{fence}\n\n", suite.command)
}

/// Text that is shown as it is, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => plain.push(' '),
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '|' | '*' | '_' | '`' | '~' | '\\' | '[' | ']' | '#' | '$' => {
                plain.push('\\');
                plain.push(c);
            }
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::suite;
    use super::*;

    #[test]
    fn a_table_per_suite() {
        expect![[r#"
            ### run mine · ❌ 1 of 3 met

            | | expected | measured |
            |---|---|---|
            | ✅ | no-loss | 1,632 events compared |
            | ❌ | drain\_time &lt; 5m | never \| &amp; &lt;ever&gt;<br>100 % of "orders"<br>holds in 8 of 10 |
            | ❔ | latency.p99 &lt; 1s | no samples |

            did not converge

            ```sh
            queuelab run mine.toml --seed 7
            ```

        "#]]
        .assert_eq(&text(&[suite()]).replace('\u{1}', ""));
    }
}
