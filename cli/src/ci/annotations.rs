//! Workflow commands, which GitHub shows beside the code: `::error file=mine.toml,line=3::…`
//! (<https://docs.github.com/actions/reference/workflow-commands-for-github-actions>).

use queuelab_record::Verdict;

use super::{Case, Suite, Undecided};

/// A line per case that is not met, and per case that cannot be said.
pub(super) fn text(suites: &[Suite], undecided: Option<Undecided>) -> String {
    let lines = suites.iter().flat_map(|suite| {
        let cases = suite.cases.iter();
        cases.filter_map(move |case| line(suite, case, undecided))
    });
    lines.collect()
}

fn line(suite: &Suite, case: &Case, undecided: Option<Undecided>) -> Option<String> {
    let (level, word) = match (case.verdict, undecided) {
        (Verdict::Pass, _) => return None,
        (Verdict::Fail, _) => ("error", "not met"),
        (Verdict::Undecided, Some(Undecided::Fail)) => ("error", "undecided"),
        (Verdict::Undecided, None) => ("warning", "undecided"),
        (Verdict::Undecided, Some(Undecided::Pass)) => ("notice", "undecided"),
    };
    let mut properties = Vec::new();
    if let Some(place) = &case.place {
        properties.push(format!("file={}", property(&place.file)));
        properties.extend(place.line.map(|line| format!("line={line}")));
        properties.extend(place.column.map(|column| format!("col={column}")));
    }
    let title = format!("{}: {}", suite.name, case.name);
    properties.push(format!("title={}", property(&title)));
    let mut message = format!("{word}: {} ({})", case.name, case.measured);
    for line in &case.details {
        message.push('\n');
        message.push_str(line);
    }
    message.push_str(&format!("\n{}", suite.command));
    Some(format!(
        "::{level} {}::{}\n",
        properties.join(","),
        data(&message)
    ))
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::suite;
    use super::*;

    #[test]
    fn what_is_not_met_has_its_place() {
        expect![[r#"
            ::error file=a%2Cb%3Ac.toml,line=3,col=5,title=run mine%3A drain_time < 5m::not met: drain_time < 5m (never | & <ever>)%0A100 %25 of "orders"%0Aholds in 8 of 10%0Aqueuelab run mine.toml --seed 7
            ::warning title=run mine%3A latency.p99 < 1s::undecided: latency.p99 < 1s (no samples)%0Aqueuelab run mine.toml --seed 7
        "#]]
        .assert_eq(&text(&[suite()], None).replace('\u{1}', ""));
        assert!(text(&[suite()], Some(Undecided::Pass)).contains("\n::notice "));
        assert!(text(&[suite()], Some(Undecided::Fail)).contains("\n::error "));
    }
}
