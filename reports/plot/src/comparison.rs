//! How far designs are from the first of them.

use plotters::style::RGBColor;
use queuelab_record::{
    Comparison, Contrast, Finding, MetricComparison, Preference, less_and_more, percent, preference,
};

use crate::Plot;
use crate::axis::{Scale, values};
use crate::canvas::{Align, Font, GREY, GRID, INK, PALETTE, QUIET, WIDTH, picture};
use crate::frame::{Entry, Frame, LABEL, Look, heading_of, x_axis};
use crate::hover::{Hover, Labels, Reading};
use crate::sweep::{figure, middle};

/// The pictures of a comparison, one per metric in which designs could be compared (the first eight): how far each is from the reference,
/// with its interval, and what each measured.
pub fn comparison_plots(comparison: &Comparison) -> Vec<Plot> {
    let compared = |it: &&MetricComparison| it.differences.iter().any(Option::is_some);
    let metrics = comparison.metrics.iter().filter(compared);
    let draw = |(index, metric)| draw(comparison, index, metric);
    metrics.take(METRICS_MAX).enumerate().map(draw).collect()
}

/// Colour and word of a finding.
pub(crate) fn verdict(metric: &str, finding: Finding) -> (RGBColor, &'static str) {
    let [less, more] = less_and_more(metric);
    match (finding, preference(metric)) {
        (Finding::Nothing, _) => (GREY, "no difference found"),
        (Finding::Less, Preference::Less) => (BETTER, less),
        (Finding::More, Preference::More) => (BETTER, more),
        (Finding::Less, Preference::More) => (WORSE, less),
        (Finding::More, Preference::Less) => (WORSE, more),
        (Finding::Less, Preference::Neither) => (INK, less),
        (Finding::More, Preference::Neither) => (INK, more),
    }
}

fn draw(comparison: &Comparison, index: usize, metric: &MetricComparison) -> Plot {
    let reading = Reading::from(metric.unit);
    let quantity = &metric.quantity;
    let reference = comparison
        .variants
        .first()
        .map_or("", |it| it.label.as_str());
    let title = format!("{quantity}: difference from {reference}");
    let confidence = percent(comparison.confidence);
    let legend = [
        (BETTER, "better"),
        (WORSE, "worse"),
        (GREY, "no difference found"),
    ];
    let legend = legend.map(|(color, label)| Entry {
        label: label.into(),
        color,
        look: Look::Line(3.0),
    });
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = quantity.to_string().chars().take(60).map(plain).collect();
    picture(format!("compare-{}-{name}", index + 1), &title, |canvas| {
        let about =
            format!("{confidence} intervals, runs with the same seed in pairs where there are any");
        let top = heading_of(canvas, &title, &about, &legend);
        let widest = comparison
            .variants
            .iter()
            .map(|it| canvas.width_of(&it.label, LABEL));
        let widest = widest.fold(80.0, f64::max).min(300.0);
        let frame = Frame {
            left: 40.0 + widest,
            right: WIDTH - 330.0,
            top: top + 8.0,
            bottom: 560.0,
        };
        let mut ends = vec![0.0];
        for it in metric.differences.iter().flatten() {
            ends.extend([it.interval.low(), it.interval.high()]);
        }
        ends.retain(|end| end.is_finite());
        let low = ends.iter().copied().fold(0.0, f64::min);
        let high = ends.iter().copied().fold(0.0, f64::max);
        let (low, high) = if high > low { (low, high) } else { (-1.0, 1.0) };
        let mut ticks = values(low, high, reading);
        let x = Scale::new(
            ticks[0].value,
            ticks[ticks.len() - 1].value,
            (frame.left, frame.right),
        );
        for tick in &mut ticks {
            let x = x.at(tick.value);
            canvas.line(&[(x, frame.top), (x, frame.bottom)], GRID, 1.0);
            if tick.value > 0.0 {
                tick.label = format!("+{}", tick.label);
            }
        }
        // Labels that would touch each other give way.
        let widest_tick = ticks.iter().map(|it| canvas.width_of(&it.label, LABEL));
        let room = (frame.right - frame.left) / (ticks.len() - 1).max(1) as f64;
        let step = ((widest_tick.fold(0.0, f64::max) + 12.0) / room)
            .ceil()
            .max(1.0) as usize;
        let zero = ticks
            .iter()
            .position(|it| it.value.abs() < 1e-12)
            .unwrap_or(0);
        let ticks: Vec<_> = ticks
            .into_iter()
            .enumerate()
            .filter(|(index, _)| index.abs_diff(zero).is_multiple_of(step))
            .map(|(_, tick)| tick)
            .collect();
        let axis = format!("{quantity}, less that of {reference}");
        x_axis(canvas, frame, &x, &ticks, &axis);
        let middle_line = [(x.at(0.0), frame.top), (x.at(0.0), frame.bottom)];
        canvas.line(&middle_line, INK, 1.5);

        let height = (frame.bottom - frame.top) / comparison.variants.len().max(1) as f64;
        for (row, variant) in comparison.variants.iter().enumerate() {
            let y = frame.top + height * (row as f64 + 0.5);
            let label = canvas.fitted(&variant.label, LABEL, widest);
            canvas.text(&label, (frame.left - 12.0, y), LABEL, Align::Right);
            let measured = variant.ensemble.as_ref().and_then(|it| it.metric(quantity));
            let measured = match (&variant.refused, measured) {
                (Some(_), _) => "refused".to_string(),
                (None, Some(measured)) => figure(measured),
                (None, None) => "—".into(),
            };
            let difference: Option<&Contrast> =
                metric.differences.get(row).and_then(Option::as_ref);
            let (color, word) = match difference {
                None if row == 0 => (INK, "the reference"),
                None => (QUIET, ""),
                Some(it) => verdict(&quantity.metric, it.finding),
            };
            if let Some(Contrast { interval, .. }) = difference {
                let place = |value: f64| x.at(value);
                let line = [(place(interval.low()), y), (place(interval.high()), y)];
                canvas.line(&line, color, 3.0);
                for (end, _) in line {
                    canvas.line(&[(end, y - 7.0), (end, y + 7.0)], color, 2.0);
                }
                canvas.dot((place(interval.estimate), y), 6.0, color);
            } else if row == 0 {
                canvas.dot((x.at(0.0), y), 6.0, INK);
            }
            let text = match word {
                "" => measured,
                word => format!("{measured} · {word}"),
            };
            // Colours in which a line stands out are faint as text.
            let ink = if [GREY, QUIET].contains(&color) {
                QUIET
            } else {
                INK
            };
            let font = Font::plain(16.0, ink);
            let text = canvas.fitted(&text, font, 290.0);
            canvas.text(&text, (frame.right + 20.0, y), font, Align::Left);
        }
        Some(hover(comparison, metric, frame, height))
    })
}

/// Each design's difference, and what it measured.
fn hover(comparison: &Comparison, metric: &MetricComparison, frame: Frame, height: f64) -> Hover {
    let reading = Reading::from(metric.unit);
    let rows = 0..comparison.variants.len();
    let places = rows.map(|row| frame.top + height * (row as f64 + 0.5));
    let labels = comparison.variants.iter().map(|it| it.label.clone());
    let mut hover = Hover::down(frame, places.collect(), Labels::Text(labels.collect()));
    let interval = |it: &Option<Contrast>| it.map(|it| it.interval);
    let intervals = metric.differences.iter().map(interval);
    let differences = intervals.clone().map(|it| Some(it?.estimate));
    hover.series("difference", INK, reading, differences);
    let halves = intervals.map(|it| Some(it?.half_width));
    hover.series("±", QUIET, reading, halves);
    let measured = comparison.variants.iter().map(|variant| {
        let ensemble = variant.ensemble.as_ref()?;
        Some(middle(ensemble.metric(&metric.quantity)?)?.0)
    });
    hover.series("measured", GREY, reading, measured);
    let refused = comparison.variants.iter();
    let refused = refused.map(|it| Some(format!("refused: {}", it.refused.as_ref()?)));
    hover.notes("", QUIET, refused);
    hover
}

const BETTER: RGBColor = PALETTE[1];
const WORSE: RGBColor = PALETTE[2];
/// More pictures would not be looked at; the table has all metrics.
const METRICS_MAX: usize = 8;
