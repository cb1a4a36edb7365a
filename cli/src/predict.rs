//! `queuelab predict`: what theory says of scenarios. Nothing is run.

use queuelab_record::PredictionRecord;
use queuelab_scenario::Scenario;
use serde_json::{Value, json};

use crate::args::{Format, Predict};
use crate::ci::JSON_SCHEMA_VERSION;
use crate::layout::{Align, Cell, Painter, Style, table, wrap};
use crate::outcome::Status;
use crate::terminal::{self, ColorChoice};

/// Prints predictions of scenarios.
///
/// # Errors
/// If a scenario has errors. All are read before anything is printed.
pub(crate) fn predict(args: &Predict, color: ColorChoice) -> anyhow::Result<Status> {
    let open = |name: &String| queuelab_scenario::open(name, &args.set);
    let scenarios: Vec<Scenario> = args.scenarios.iter().map(open).collect::<Result<_, _>>()?;
    let forecasts: Vec<Forecast> = scenarios.iter().map(Forecast::new).collect();
    match args.printed.format {
        Format::Json => {
            let objects: Vec<Value> = forecasts.iter().map(Forecast::json).collect();
            let value = json!({ "schema_version": JSON_SCHEMA_VERSION, "scenarios": objects });
            terminal::data(&format!("{value:#}\n"))?;
        }
        Format::Text => {
            let painter = Painter {
                color: color.stdout(),
            };
            let pages: Vec<String> = forecasts
                .iter()
                .map(|forecast| forecast.page(painter, terminal::width()))
                .collect();
            terminal::print(&pages.join("\n"))?;
        }
    }
    let known = forecasts
        .iter()
        .all(|forecast| !forecast.predictions.is_empty());
    Ok(if known {
        Status::Met
    } else {
        Status::Undecided
    })
}

/// Predictions as a record keeps them.
pub(crate) fn records(scenario: &Scenario) -> Vec<PredictionRecord> {
    let record = |prediction: queuelab_theory::Prediction| PredictionRecord {
        model: prediction.model,
        metric: prediction.metric.name,
        of: prediction.metric.of,
        phase: prediction.metric.phase,
        value: prediction.value,
        kind: prediction.kind.to_string(),
        source: prediction.source.into(),
        covers: prediction.covers,
        assumptions: prediction.assumptions,
    };
    queuelab_theory::recognise(scenario)
        .into_iter()
        .map(record)
        .collect()
}

/// A prediction's metric as expectations write it.
pub(crate) fn metric(prediction: &PredictionRecord) -> String {
    let part = |word: &str, name: &Option<String>| {
        name.as_ref()
            .map_or(String::new(), |name| format!(" {word} {name}"))
    };
    format!(
        "{}{}{}",
        prediction.metric,
        part("of", &prediction.of),
        part("in", &prediction.phase)
    )
}

/// What predictions take for granted, each once.
pub(crate) fn assumptions(predictions: &[PredictionRecord]) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for assumption in predictions
        .iter()
        .flat_map(|prediction| &prediction.assumptions)
    {
        if !all.contains(&assumption.as_str()) {
            all.push(assumption);
        }
    }
    all
}

/// All that theory says of a scenario.
struct Forecast {
    scenario: String,
    overrides: Vec<String>,
    predictions: Vec<PredictionRecord>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

impl Forecast {
    fn new(scenario: &Scenario) -> Forecast {
        Forecast {
            scenario: scenario.name.clone(),
            overrides: scenario.overrides.clone(),
            predictions: records(scenario),
            warnings: queuelab_theory::warnings(scenario),
            notes: queuelab_theory::notes(scenario),
        }
    }

    fn json(&self) -> Value {
        json!({
            "scenario": self.scenario,
            "set": self.overrides,
            "predictions": self.predictions,
            "warnings": self.warnings,
            "notes": self.notes,
        })
    }

    fn page(&self, painter: Painter, width: usize) -> String {
        let mut lines = vec![painter.paint(Style::Bold, &self.scenario)];
        if self.predictions.is_empty() {
            lines.push("  no model applies".into());
        }
        for model in self
            .predictions
            .chunk_by(|a, b| (&a.model, &a.source) == (&b.model, &b.source))
        {
            let source = painter.paint(Style::Dim, &model[0].source);
            lines.push(format!("  {} · {source}", model[0].model));
            let row = |prediction: &PredictionRecord| {
                vec![
                    metric(prediction).into(),
                    prediction.value_in_words().into(),
                    prediction.kind.clone().into(),
                    Cell::new(Style::Dim, prediction.covers.clone()),
                ]
            };
            let rows: Vec<Vec<Cell>> = model.iter().map(row).collect();
            let align = [Align::Left, Align::Right, Align::Left, Align::Left];
            lines.extend(
                table(&rows, &align, painter)
                    .into_iter()
                    .map(|line| format!("    {line}")),
            );
        }
        let told = [
            ("assumes", Style::Dim, assumptions(&self.predictions)),
            (
                "note",
                Style::Dim,
                self.notes.iter().map(String::as_str).collect(),
            ),
            (
                "warning",
                Style::Yellow,
                self.warnings.iter().map(String::as_str).collect(),
            ),
        ];
        for (label, style, texts) in told {
            for text in texts {
                for (at, line) in wrap(text, width.saturating_sub(12)).iter().enumerate() {
                    let label = if at == 0 {
                        format!("{label:<8}")
                    } else {
                        " ".repeat(8)
                    };
                    lines.push(format!("  {}{line}", painter.paint(style, &label)));
                }
            }
        }
        lines.join("\n") + "\n"
    }
}
