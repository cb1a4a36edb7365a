//! JUnit XML, as Jenkins, GitLab and the others read it: a suite per scenario, a test case per judgement.

use queuelab_record::Verdict;
use quick_xml::escape::escape;

use super::{Case, Suite, Undecided};

/// The whole file. What is undecided is an error, which says that nothing was found out; a failure or skipped if it counts as that.
pub(super) fn text(suites: &[Suite], undecided: Option<Undecided>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = suites.iter().flat_map(|suite| &suite.cases);
    let wall = suites.iter().map(|suite| suite.wall.as_secs_f64()).sum();
    let head = attributes("queuelab", all, wall, undecided);
    xml.push_str(&format!("<testsuites {head}>\n"));
    for suite in suites {
        let wall = suite.wall.as_secs_f64();
        let head = attributes(&suite.name, suite.cases.iter(), wall, undecided);
        xml.push_str(&format!("  <testsuite {head}>\n"));
        for case in &suite.cases {
            xml.push_str(&of_case(suite, case, undecided));
        }
        let notes = suite.notes.iter().chain([&suite.command]);
        let notes: Vec<&str> = notes.map(String::as_str).collect();
        let notes = content(&notes.join("\n"));
        xml.push_str(&format!("    <system-out>{notes}</system-out>\n"));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn attributes<'a>(
    name: &str,
    cases: impl Iterator<Item = &'a Case> + Clone,
    wall: f64,
    undecided: Option<Undecided>,
) -> String {
    let count = |wanted| {
        let cases = cases.clone();
        cases
            .filter(|case| element(case.verdict, undecided) == Some(wanted))
            .count()
    };
    format!(
        "name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{wall:.3}\"",
        content(name),
        cases.clone().count(),
        count("failure"),
        count("error"),
        count("skipped"),
    )
}

fn of_case(suite: &Suite, case: &Case, undecided: Option<Undecided>) -> String {
    let place = case.place.as_ref().map_or_else(String::new, |place| {
        let line = (place.line).map_or_else(String::new, |line| format!(" line=\"{line}\""));
        format!(" file=\"{}\"{line}", content(&place.file))
    });
    let head = format!(
        "name=\"{}\" classname=\"{}\"{place}",
        content(&case.name),
        content(&suite.name)
    );
    let Some(element) = element(case.verdict, undecided) else {
        return format!("    <testcase {head}/>\n");
    };
    let message = content(&case.measured);
    let body = match case.details.is_empty() {
        true => format!("<{element} message=\"{message}\"/>"),
        false => {
            let details = content(&case.details.join("\n"));
            format!("<{element} message=\"{message}\">{details}</{element}>")
        }
    };
    format!("    <testcase {head}>{body}</testcase>\n")
}

/// What a case that is not met has in it.
fn element(verdict: Verdict, undecided: Option<Undecided>) -> Option<&'static str> {
    match (verdict, undecided) {
        (Verdict::Pass, _) => None,
        (Verdict::Fail, _) | (Verdict::Undecided, Some(Undecided::Fail)) => Some("failure"),
        (Verdict::Undecided, Some(Undecided::Pass)) => Some("skipped"),
        (Verdict::Undecided, None) => Some("error"),
    }
}

/// Text within an element or an attribute. XML 1.0 has no way to write most control characters.
fn content(text: &str) -> String {
    let allowed = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => '\u{fffd}',
        c => c,
    };
    let text: String = text.chars().map(allowed).collect();
    escape(text.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::tests::suite;
    use super::*;

    #[test]
    fn a_suite_per_scenario_and_a_case_per_judgement() {
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="queuelab" tests="3" failures="1" errors="1" skipped="0" time="1.500">
              <testsuite name="run mine" tests="3" failures="1" errors="1" skipped="0" time="1.500">
                <testcase name="no-loss" classname="run mine"/>
                <testcase name="drain_time &lt; 5m" classname="run mine" file="a,b:c.toml" line="3"><failure message="never | &amp; &lt;ever&gt;">100 % of &quot;orders&quot;
            holds in 8 of 10</failure></testcase>
                <testcase name="latency.p99 &lt; 1s" classname="run mine"><error message="no� samples"/></testcase>
                <system-out>did not converge
            queuelab run mine.toml --seed 7</system-out>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&text(&[suite()], None));
        let skipped = text(&[suite()], Some(Undecided::Pass));
        assert!(skipped.contains("failures=\"1\" errors=\"0\" skipped=\"1\""));
        let failed = text(&[suite()], Some(Undecided::Fail));
        assert!(failed.contains("failures=\"2\" errors=\"0\" skipped=\"0\""));
    }

    #[test]
    fn a_reader_of_xml_gets_back_what_was_written() {
        use quick_xml::{escape::unescape, events::Event};
        let xml = text(&[suite()], None);
        let mut reader = quick_xml::Reader::from_str(&xml);
        let mut names = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) | Event::Empty(start)
                    if start.name().as_ref() == "testcase" =>
                {
                    let name = start.try_get_attribute("name").unwrap().unwrap();
                    names.push(unescape(&name.value).unwrap().into_owned());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(names, ["no-loss", "drain_time < 5m", "latency.p99 < 1s"]);
    }
}
