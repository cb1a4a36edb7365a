//! `sweep.csv`.

use super::{Setting, Sweep, SweepPoint};
use crate::MetricEnsemble;
use crate::export::quoted;
use crate::statistics::Interval;

impl Sweep {
    /// A row per point. First its settings, numbers in seconds, 1/s, bytes or plain, and words as they are; `runs`, and in how many of
    /// them all expectations are met (`met`); the largest offered load of a queue (`load`). Then of each quantity its estimate under its
    /// name (of one run alone what that measured), the ends of its interval (`low`, `high`), what theory predicts (`predicted`, if anything), and the p-value of its difference
    /// from the first point adjusted for all of them (`p`). What is not known is left empty.
    pub fn to_csv(&self) -> String {
        let columns = self.columns();
        let mut csv = row(columns.iter().map(|(name, _)| name.as_str()));
        for point in 0..self.points.len() {
            csv += &row(columns.iter().map(|(_, cells)| cells[point].as_str()));
        }
        csv
    }

    /// Names, and a cell per point.
    fn columns(&self) -> Vec<(String, Vec<String>)> {
        let column = |name: &str, cell: &dyn Fn(&SweepPoint) -> String| {
            (name.to_string(), self.points.iter().map(cell).collect())
        };
        let settings = self.axes.iter().enumerate().map(|(at, axis)| {
            column(&axis.path, &|it| {
                it.settings.get(at).map_or(String::new(), setting)
            })
        });
        let mut columns: Vec<_> = settings.collect();
        columns.push(column("runs", &|it| it.seeds.len().to_string()));
        columns.push(column("met", &|it| it.met().to_string()));
        columns.push(column("load", &|it| {
            figure(it.busiest.as_ref().map(|busiest| busiest.load))
        }));
        for (at, quantity) in self.quantities.iter().enumerate() {
            let name = quantity.to_string();
            let of = |it: &SweepPoint, end: fn(&Interval) -> f64| {
                let interval = it.metrics.get(at).and_then(|metric| metric.interval);
                figure(interval.as_ref().map(end))
            };
            columns.push(column(&name, &|it| {
                figure(it.metrics.get(at).and_then(MetricEnsemble::estimate))
            }));
            columns.push(column(&format!("{name} low"), &|it| of(it, Interval::low)));
            columns.push(column(&format!("{name} high"), &|it| {
                of(it, Interval::high)
            }));
            let predicted = |it: &SweepPoint| it.prediction(quantity).map(|it| it.value);
            if self.points.iter().any(|point| predicted(point).is_some()) {
                columns.push(column(&format!("{name} predicted"), &|it| {
                    figure(predicted(it))
                }));
            }
            columns.push(column(&format!("{name} p"), &|it| {
                let difference = it.differences.get(at).and_then(Option::as_ref);
                figure(difference.map(|difference| difference.adjusted))
            }));
        }
        columns
    }
}

fn setting(setting: &Setting) -> String {
    match setting.number {
        Some(number) => number.to_string(),
        None => setting.text.clone(),
    }
}

/// The shortest text that reads as the same number.
fn figure(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn row<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}
