//! The values that a pointer over a picture reads, as compact data for the script of the report.

use plotters::style::RGBColor;
use serde_json::{Value, json};

use crate::canvas::{HEIGHT, WIDTH};
use crate::frame::Frame;
pub(crate) use crate::reading::Reading;
use crate::theme::hex;

/// What stands at the places of a picture, or of one panel of it.
pub(crate) struct Hover {
    frame: Frame,
    /// Pixels from the left (or from the top), ascending.
    places: Vec<f64>,
    labels: Labels,
    /// Whether places are heights.
    down: bool,
    /// Pixels that a place takes, where it is a cell and not a line.
    width: Option<f64>,
    series: Vec<Series>,
}

/// What a place is called.
pub(crate) enum Labels {
    /// As these.
    Text(Vec<String>),
    /// Numbers that read so.
    Values(Reading, Vec<f64>),
}

struct Series {
    name: String,
    color: RGBColor,
    unit: &'static str,
    values: Vec<Value>,
}

impl Hover {
    /// At places from left to right.
    pub(crate) fn across(frame: Frame, places: Vec<f64>, labels: Labels) -> Hover {
        Hover {
            frame,
            places,
            labels,
            down: false,
            width: None,
            series: Vec::new(),
        }
    }

    /// At places from the top down.
    pub(crate) fn down(frame: Frame, places: Vec<f64>, labels: Labels) -> Hover {
        Hover {
            down: true,
            ..Hover::across(frame, places, labels)
        }
    }

    /// The same with places that are cells, so many pixels wide.
    pub(crate) fn cells(self, width: f64) -> Hover {
        Hover {
            width: Some(width),
            ..self
        }
    }

    /// Adds a series: a value for each place.
    pub(crate) fn series(
        &mut self,
        name: impl Into<String>,
        color: RGBColor,
        reading: Reading,
        values: impl IntoIterator<Item = Option<f64>>,
    ) {
        self.series.push(Series {
            name: name.into(),
            color,
            unit: reading.name(),
            values: values.into_iter().map(short).collect(),
        });
    }

    /// Adds what is to be said of places in words.
    pub(crate) fn notes(
        &mut self,
        name: impl Into<String>,
        color: RGBColor,
        notes: impl IntoIterator<Item = Option<String>>,
    ) {
        self.series.push(Series {
            name: name.into(),
            color,
            unit: "text",
            values: notes.into_iter().map(|note| json!(note)).collect(),
        });
    }

    /// Places and the frame in thousandths of the picture's width (heights: of its height); values in four figures.
    fn to_json(&self) -> Value {
        let across = |x: f64| json!((x / WIDTH * 10_000.0 + 0.5) as i64);
        let high = |y: f64| json!((y / HEIGHT * 10_000.0 + 0.5) as i64);
        let place = |&place: &f64| {
            if self.down {
                high(place)
            } else {
                across(place)
            }
        };
        let (unit, labels) = match &self.labels {
            Labels::Text(texts) => ("text", texts.iter().map(|text| json!(text)).collect()),
            Labels::Values(reading, values) => {
                let values = values.iter().map(|&value| short(Some(value)));
                (reading.name(), values.collect::<Vec<Value>>())
            }
        };
        // A series without a value is not there.
        let known = self.series.iter();
        let known = known.filter(|it| it.values.iter().any(|value| !value.is_null()));
        let series = known.map(|series| {
            json!({
                "n": series.name,
                "c": hex(series.color),
                "u": series.unit,
                "v": series.values,
            })
        });
        let Frame {
            left,
            right,
            top,
            bottom,
        } = self.frame;
        let mut data = json!({
            "f": [across(left), across(right), high(top), high(bottom)],
            "d": self.down,
            "p": self.places.iter().map(place).collect::<Vec<Value>>(),
            "u": unit,
            "x": labels,
            "s": series.collect::<Vec<Value>>(),
        });
        if let Some(width) = self.width {
            data["w"] = across(width);
        }
        data
    }
}

/// The panels of a picture, for a script element.
pub(crate) fn script(panels: &[Hover]) -> Option<String> {
    let panels: Vec<Value> = panels
        .iter()
        .filter(|panel| !panel.places.is_empty())
        .map(Hover::to_json)
        .collect();
    // Inside a script element nothing but its end has a meaning.
    (!panels.is_empty()).then(|| json!(panels).to_string().replace('<', "\\u003c"))
}

/// A number in five significant figures, whole ones as they are: what a person reads off.
fn short(value: Option<f64>) -> Value {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return Value::Null;
    };
    if value.abs() < 1e15 && value == value.trunc() {
        return json!(value as i64);
    }
    let text = format!("{value:.4e}");
    text.parse::<f64>()
        .map_or(Value::Null, |value| json!(value))
}
