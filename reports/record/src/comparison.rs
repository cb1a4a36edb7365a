//! Several designs side by side: what each measured, and how far each is from the first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::statistics::{Interval, holm, paired, unpaired};
use crate::{Ensemble, ExpectationEnsemble, Quantity, RecordError, Unit, json, seeds};

/// The layout of [`Comparison`]; raised when a reader of an older one would be misled.
pub const COMPARISON_SCHEMA_VERSION: u32 = 1;

/// Counts that say what a design does to messages. They are shown as sums over the runs, and not tested: one lost message is one too many.
pub const ACCOUNT: [&str; 6] = [
    "count.lost",
    "count.dropped",
    "count.duplicates",
    "count.redelivered",
    "count.reordered",
    "count.dead_lettered",
];

/// Several designs compared. A pure function of their ensembles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`COMPARISON_SCHEMA_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// Version of queuelab.
    pub version: String,
    /// Of intervals: the share of experiments in which they cover the truth. A difference counts as found if its adjusted p-value is
    /// below what this leaves to 1.
    pub confidence: f64,
    /// What is compared. The first is the reference.
    pub variants: Vec<Variant>,
    /// Differences from the reference, by metric.
    pub metrics: Vec<MetricComparison>,
}

/// One of the designs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What tells it from the others: `redis-stream`, or the name of a scenario.
    pub label: String,
    /// Why it was not run: what the language says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Its runs; nothing if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
}

/// A metric of all designs. What each measured is in its ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricComparison {
    /// Which.
    #[serde(flatten)]
    pub quantity: Quantity,
    /// Of its differences: seconds, 1/s, a count or a ratio. `None` if no run has a value.
    pub unit: Option<Unit>,
    /// How each variant differs from the reference, in the order of [`Comparison::variants`]. `None` for the reference itself and where
    /// nothing can be said: one of the two was refused, lacks the metric, has fewer than two runs, or a run in which it did not come to pass.
    pub differences: Vec<Option<Contrast>>,
}

/// How far a variant is from the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The variant minus the reference. For itself alone: not widened for the number of comparisons.
    pub interval: Interval,
    /// Whether runs with the same seed were compared with each other; if not, the two are independent samples (Welch's t), whatever seeds
    /// they share.
    pub paired: bool,
    /// How likely differences at least as clear would be if there were none (two-sided).
    pub p: f64,
    /// The same, adjusted for all comparisons that were made at once (Holm).
    pub p_adjusted: f64,
    /// What that comes to.
    pub finding: Finding,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The variant has less of it than the reference.
    Less,
    /// More.
    More,
    /// No difference was found; there may be one that is too small for so few runs.
    Nothing,
}

/// What a design came to, before it is compared.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// What tells it from the others.
    pub label: String,
    /// Its runs, or why there are none.
    pub outcome: Result<Ensemble, String>,
}

/// Why there is no comparison.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ComparisonError {
    /// It takes two.
    #[error("a comparison takes two designs or more")]
    Few,
    /// Two cannot be told apart.
    #[error("two designs are called `{label}`")]
    Twice {
        /// Their label.
        label: String,
    },
}

impl Comparison {
    /// Compares designs with the first, by `quantities` that their ensembles were asked for. Where seeds are the same, runs with the same
    /// seed are compared with each other; where they are others, the two sets of runs are.
    ///
    /// # Errors
    /// If there are fewer than two, or two with the same label.
    pub fn of(
        entrants: Vec<Entrant>,
        quantities: &[Quantity],
        confidence: f64,
    ) -> Result<Comparison, ComparisonError> {
        if entrants.len() < 2 {
            return Err(ComparisonError::Few);
        }
        for (at, entrant) in entrants.iter().enumerate() {
            if entrants[..at].iter().any(|it| it.label == entrant.label) {
                let label = entrant.label.clone();
                return Err(ComparisonError::Twice { label });
            }
        }
        let variants: Vec<Variant> = entrants.into_iter().map(Variant::from).collect();
        let mut metrics: Vec<MetricComparison> = quantities
            .iter()
            .map(|quantity| metric(&variants, quantity, confidence))
            .collect();
        adjust(&mut metrics, 1.0 - confidence);
        Ok(Comparison {
            schema_version: COMPARISON_SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            confidence,
            variants,
            metrics,
        })
    }

    /// The seeds of all variants' runs, as people read them: `seeds 7..16`, or `seeds 1..10 and 9..18` where they are not the same;
    /// nothing if none has run.
    pub fn seeds_in_words(&self) -> String {
        let mut shown: Vec<String> = Vec::new();
        for ensemble in self.variants.iter().filter_map(|it| it.ensemble.as_ref()) {
            let seeds = seeds(&ensemble.seeds);
            if !shown.contains(&seeds) {
                shown.push(seeds);
            }
        }
        match shown.as_slice() {
            [] => String::new(),
            [one] if one.parse::<u64>().is_ok() => format!("seed {one}"),
            _ => format!("seeds {}", shown.join(" and ")),
        }
    }

    /// The texts of all variants' expectations, each once.
    pub fn expectations(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        let ensembles = self.variants.iter().filter_map(|it| it.ensemble.as_ref());
        for expectation in ensembles.flat_map(|it| &it.expectations) {
            if !texts.contains(&expectation.text.as_str()) {
                texts.push(&expectation.text);
            }
        }
        texts
    }

    /// `compare.json`. Equal comparisons give equal text.
    pub fn to_json(&self) -> String {
        json::text(self)
    }

    /// The comparison that [`Comparison::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is not that of a comparison, or of a newer one.
    pub fn from_json(text: &str) -> Result<Comparison, RecordError> {
        json::check_version(text, COMPARISON_SCHEMA_VERSION)?;
        let comparison: Comparison = serde_json::from_str(text)?;
        let variants = comparison.variants.len();
        let misfit = |it: &&MetricComparison| it.differences.len() != variants;
        match comparison.metrics.iter().find(misfit) {
            Some(metric) => Err(RecordError::Damaged(format!(
                "`differences` of `{}` has {} entries instead of {variants}",
                metric.quantity,
                metric.differences.len()
            ))),
            None => Ok(comparison),
        }
    }
}

impl Variant {
    /// An expectation over its runs, if it has that expectation.
    pub fn expectation(&self, text: &str) -> Option<&ExpectationEnsemble> {
        let mut all = self.ensemble.iter().flat_map(|it| &it.expectations);
        all.find(|it| it.text == text)
    }

    /// The sum of a count over its runs, if it was asked for and every run has it.
    pub fn total(&self, metric: &str) -> Option<f64> {
        let quantity = Quantity {
            metric: metric.into(),
            of: None,
            phase: None,
        };
        let metric = self.ensemble.as_ref()?.metric(&quantity)?;
        metric.values.iter().copied().sum()
    }
}

impl From<Entrant> for Variant {
    fn from(entrant: Entrant) -> Variant {
        let (ensemble, refused) = match entrant.outcome {
            Ok(ensemble) => (Some(ensemble), None),
            Err(reason) => (None, Some(reason)),
        };
        Variant {
            label: entrant.label,
            refused,
            ensemble,
        }
    }
}

impl Contrast {
    /// Between two sets of runs, each by seed. Not yet adjusted for other comparisons. `None` if there is nothing to compare.
    ///
    /// Pairs of runs with one seed are compared if that loses little: all seeds of the one are among those of the other, which has at most
    /// twice as many. Else nothing is lost, and the two are independent samples.
    pub fn between(
        reference: &BTreeMap<u64, f64>,
        variant: &BTreeMap<u64, f64>,
        confidence: f64,
    ) -> Option<Contrast> {
        let common = reference.keys().filter(|seed| variant.contains_key(seed));
        let common: Vec<u64> = common.copied().collect();
        let (fewer, more) = match reference.len() <= variant.len() {
            true => (reference.len(), variant.len()),
            false => (variant.len(), reference.len()),
        };
        let is_paired = common.len() >= 2 && common.len() == fewer && 2 * fewer >= more;
        let compared = if is_paired {
            let of = |runs: &BTreeMap<u64, f64>| -> Vec<f64> {
                common.iter().map(|seed| runs[seed]).collect()
            };
            paired(&of(reference), &of(variant), confidence)
        } else {
            let of = |runs: &BTreeMap<u64, f64>| -> Vec<f64> { runs.values().copied().collect() };
            unpaired(&of(reference), &of(variant), confidence)
        }?;
        Some(Contrast {
            interval: compared.difference,
            paired: is_paired,
            p: compared.p,
            p_adjusted: compared.p,
            finding: Finding::Nothing,
        })
    }

    /// Takes the p-value adjusted for other comparisons, and finds a difference if it is below `level`.
    pub fn judge(&mut self, p_adjusted: f64, level: f64) {
        self.p_adjusted = p_adjusted;
        self.finding = match self.interval.estimate {
            _ if p_adjusted >= level => Finding::Nothing,
            estimate if estimate < 0.0 => Finding::Less,
            estimate if estimate > 0.0 => Finding::More,
            _ => Finding::Nothing,
        };
    }
}

fn metric(variants: &[Variant], quantity: &Quantity, confidence: f64) -> MetricComparison {
    let of = |variant: &Variant| by_seed(variant.ensemble.as_ref()?, quantity);
    let reference = variants.first().and_then(of);
    let difference = |(at, variant): (usize, &Variant)| {
        let reference = reference.as_ref().filter(|_| at > 0)?;
        Contrast::between(reference, &of(variant)?, confidence)
    };
    let ensembles = variants.iter().filter_map(|it| it.ensemble.as_ref());
    let mut metrics = ensembles.filter_map(|it| it.metric(quantity));
    MetricComparison {
        quantity: quantity.clone(),
        unit: metrics.find_map(|metric| metric.unit),
        differences: variants.iter().enumerate().map(difference).collect(),
    }
}

/// What each run measured; `None` if the metric is not known, or did not come to pass in some run: the others alone would flatter it.
fn by_seed(ensemble: &Ensemble, quantity: &Quantity) -> Option<BTreeMap<u64, f64>> {
    let metric = ensemble.metric(quantity)?;
    if metric.never > 0 {
        return None;
    }
    let values = ensemble.seeds.iter().zip(&metric.values);
    Some(
        values
            .filter_map(|(seed, value)| Some((*seed, (*value)?)))
            .collect(),
    )
}

/// All comparisons are made at once, so the chance of one false alarm among them is what stays below the level.
fn adjust(metrics: &mut [MetricComparison], level: f64) {
    let mut all: Vec<&mut Contrast> = metrics
        .iter_mut()
        .flat_map(|metric| metric.differences.iter_mut().flatten())
        .collect();
    let p: Vec<f64> = all.iter().map(|difference| difference.p).collect();
    for (difference, adjusted) in all.iter_mut().zip(holm(&p)) {
        difference.judge(adjusted, level);
    }
}
