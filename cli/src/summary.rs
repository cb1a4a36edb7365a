//! What `run` prints: the answer first, then what it rests on. A pure function of the record.

mod account;
mod backlog;
mod faults;
mod figures;
mod latency;
mod load;
mod theory;
mod verdict;

use std::cmp::Reverse;
use std::time::Duration;

use queuelab_record::{Ensemble, Judgement, QueueRecord, RunRecord, Verdict};

use crate::layout::{Painter, Style, one_line, wrap};

pub(crate) use figures::{shell_word, speed, wall};

/// What the summary tells beyond the record.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// How long the run took.
    pub(crate) wall: Duration,
    /// Where its files are, if any were written.
    pub(crate) files: Option<Files>,
    /// The scenario as it was typed: a name or a path.
    pub(crate) typed: String,
    /// What theory warns of.
    pub(crate) warnings: Vec<String>,
    /// The run together with those of other seeds, if there were any.
    pub(crate) ensemble: Option<Ensemble>,
    /// Columns to keep to where possible.
    pub(crate) width: usize,
    /// Whether to colour.
    pub(crate) color: bool,
}

/// Files of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// Their folder, as shown to people.
    pub(crate) folder: String,
    /// Their names.
    pub(crate) names: Vec<String>,
}

/// The whole summary, ending with the verdict line.
pub(crate) fn summary(record: &RunRecord, context: &Context) -> String {
    let page = Page {
        record,
        context,
        painter: Painter {
            color: context.color,
        },
    };
    let sections = [
        page.title(),
        verdict::answer(&page),
        theory::section(&page),
        backlog::section(&page),
        load::section(&page),
        latency::section(&page),
        account::section(&page),
        verdict::section(&page),
        page.next(),
    ];
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        for line in section {
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
    }
    // The verdict closes the page without a gap: it is what the eye looks for at the bottom.
    text.pop();
    text.push_str(&verdict_line(record, context));
    text
}

/// The verdict of a run in one line.
pub(crate) fn verdict_line(record: &RunRecord, context: &Context) -> String {
    let painter = Painter {
        color: context.color,
    };
    let judgements = judgements(record, context);
    format!("{}\n", verdict::line(record, &judgements, painter))
}

/// What a run is judged by, in the light of other seeds where there are some.
pub(crate) fn judgements(record: &RunRecord, context: &Context) -> Vec<Judgement> {
    match &context.ensemble {
        Some(ensemble) => ensemble.judgements(record),
        None => record.judgements(),
    }
}

/// The worst of [`judgements`].
pub(crate) fn verdict(record: &RunRecord, context: &Context) -> Verdict {
    Verdict::worst(judgements(record, context).iter().map(|it| it.verdict))
}

/// What the sections share.
struct Page<'a> {
    record: &'a RunRecord,
    context: &'a Context,
    painter: Painter,
}

impl<'a> Page<'a> {
    fn title(&self) -> Vec<String> {
        let Page {
            record,
            context,
            painter,
        } = self;
        let simulated = format!(
            "simulated {} in {} ({})",
            record.end,
            figures::wall(context.wall),
            speed(record.end.as_secs_f64(), context.wall)
        );
        let title = painter.paint(Style::Bold, &one_line(&record.scenario.title));
        let intervals = match context.ensemble.as_ref().map(|it| it.seeds.as_slice()) {
            Some([first, .., last]) => format!(", intervals over seeds {first}..{last}"),
            _ => String::new(),
        };
        let mut lines = vec![format!(
            "{title} · {simulated} · seed {}{intervals}",
            record.seed
        )];
        lines.extend(
            record
                .scenario
                .overrides
                .iter()
                .map(|change| format!("with {change}")),
        );
        lines.extend(wrap(&record.scenario.about, context.width));
        lines
    }

    /// Where to go from here.
    fn next(&self) -> Vec<String> {
        let Page { context, .. } = self;
        let mut lines = self.labelled("try", self.suggestions());
        if let Some(files) = &context.files {
            let plots = files
                .names
                .iter()
                .filter(|name| name.ends_with(".svg"))
                .count();
            let is_plot = |name: &&String| name.ends_with(".svg") || name.ends_with(".png");
            let mut shown = vec![files.folder.clone()];
            shown.extend(files.names.iter().filter(|name| !is_plot(name)).cloned());
            match plots {
                0 => {}
                1 => shown.push("1 plot".into()),
                _ => shown.push(format!("{plots} plots")),
            }
            lines.extend(self.labelled("files", vec![shown.join("  ")]));
        }
        lines
    }

    /// Commands to type, with the questions they answer beside or below them.
    fn suggestions(&self) -> Vec<String> {
        let Page {
            record,
            context,
            painter,
        } = self;
        let named = format!("queuelab run {}", record.scenario.name);
        let scenario = figures::shell_word(&context.typed);
        let typed = format!("queuelab run {scenario}");
        let other_seeds = verdict::other_seeds(self, &scenario).into_iter();
        let suggested = record.suggestions.iter();
        let suggested = suggested.map(|(command, question)| match command.strip_prefix(&named) {
            Some(rest) => (format!("{typed}{rest}"), question.clone()),
            None => (command.clone(), question.clone()),
        });
        let mut commands: Vec<(String, String)> = other_seeds.chain(suggested).collect();
        commands.push((format!("queuelab watch {scenario}"), "see it happen".into()));

        // What is too long to have its question beside it does not push the others away.
        let beside = |width: usize, question: &str| {
            LABEL + width + GAP + figures::width(question) <= context.width
        };
        let widths = commands
            .iter()
            .map(|(command, question)| (figures::width(command), question))
            .filter(|(width, question)| beside(*width, question));
        let column = widths.map(|(width, _)| width).max().unwrap_or(0);
        let line = |(command, question): &(String, String)| {
            let painted = painter.paint(Style::Dim, question);
            let width = figures::width(command);
            if width <= column && beside(column, question) {
                let padding = " ".repeat(column - width + GAP);
                vec![format!("{command}{padding}{painted}")]
            } else {
                vec![command.clone(), format!("  {painted}")]
            }
        };
        commands.iter().flat_map(line).collect()
    }

    /// Lines with a label before the first and as much space before the others.
    fn labelled(&self, label: &str, lines: Vec<String>) -> Vec<String> {
        let head = format!("{label:<width$}", width = LABEL - INDENT.len());
        let head = self.painter.paint(Style::Dim, &head);
        let margin = " ".repeat(LABEL);
        let line = |(at, line)| match at {
            0 => format!("{INDENT}{head}{line}"),
            _ => format!("{margin}{line}"),
        };
        lines.into_iter().enumerate().map(line).collect()
    }

    /// The busiest queues, at most four, in the order of the scenario, with their indexes. Queues that nothing ever reached are left out.
    fn busiest(&self) -> Vec<(usize, &'a QueueRecord)> {
        let queues = self.record.queues.iter().enumerate();
        let mut reached: Vec<(usize, &QueueRecord)> =
            queues.filter(|(_, queue)| queue.enqueued > 0).collect();
        reached.sort_by_key(|(index, queue)| (Reverse(queue.enqueued), *index));
        reached.truncate(QUEUES_MAX);
        reached.sort_by_key(|(index, _)| *index);
        if reached.is_empty() {
            self.record.queues.iter().enumerate().take(1).collect()
        } else {
            reached
        }
    }

    /// How many queues that messages reached are not among [`Page::busiest`].
    fn quieter(&self) -> usize {
        self.record
            .queues
            .iter()
            .filter(|queue| queue.enqueued > 0)
            .count()
            .saturating_sub(QUEUES_MAX)
    }

    /// Whether figures need the name of their queue beside them.
    fn names_queues(&self) -> bool {
        self.record.queues.len() > 1
    }
}

const INDENT: &str = "  ";

/// Columns between a command and its question.
const GAP: usize = 3;

/// Columns before the text of a labelled line.
const LABEL: usize = 12;

/// More would push the verdict off the screen; record.json and series.csv have them all.
const QUEUES_MAX: usize = 4;

#[cfg(test)]
mod tests;
