//! Offered load against capacity, per phase and queue.

use queuelab_record::PhaseInfo;

use super::{INDENT, Page};
use crate::layout::{Align, Cell, Style, fits, table};

/// T = Σp − Σc and what it did to latency.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = page
        .record
        .phases
        .iter()
        .flat_map(|phase| of_phase(page, phase))
        .collect();
    let align: Vec<Align> = [Align::Left; 3]
        .into_iter()
        .chain([Align::Right; 6])
        .collect();
    let with = |header: [&str; 9]| {
        let mut table = vec![header.map(|text| Cell::new(Style::Dim, text)).to_vec()];
        if !page.names_queues() {
            table[0][2] = Cell::default();
        }
        table.extend(rows.iter().cloned());
        table
    };
    let width = page.context.width - INDENT.len();
    let mut rows = with(HEADER);
    for header in [HEADER_NARROW, HEADER_NARROWEST] {
        if !fits(&rows, &align, width) {
            rows = with(header);
        }
    }
    // A column without text vanishes.
    for column in SPARE {
        if !fits(&rows, &align, width) {
            rows.iter_mut()
                .for_each(|row| row[column] = Cell::default());
        }
    }
    let lines = table(&rows, &align, page.painter);
    lines
        .into_iter()
        .map(|line| format!("{INDENT}{line}"))
        .collect()
}

/// A row per queue; the first names the phase.
fn of_phase(page: &Page<'_>, phase: &PhaseInfo) -> Vec<Vec<Cell>> {
    let queues = page.busiest();
    let rows = queues.iter().enumerate().map(|(line, (index, queue))| {
        let load = phase.load.get(*index).copied().unwrap_or_default();
        let [name, from] = match line {
            0 => [phase.name.clone(), phase.from.to_string()],
            _ => Default::default(),
        };
        let queue_name = if page.names_queues() {
            queue.name.clone()
        } else {
            String::new()
        };
        let latency = |figure| {
            let name = format!("latency.end_to_end.{figure}");
            page.record
                .metric_shown(&name, Some(&queue.name), Some(&phase.name))
        };
        let [offered, capacity, difference, rho] = load.in_words();
        let figures = [
            offered,
            capacity,
            difference,
            rho,
            latency("p50"),
            latency("p99"),
        ];
        [name, from, queue_name]
            .into_iter()
            .chain(figures)
            .map(Cell::from)
            .collect()
    });
    rows.collect()
}

const HEADER: [&str; 9] = [
    "phase",
    "from",
    "queue",
    "offered Σp",
    "capacity Σc",
    "T = Σp − Σc",
    "ρ",
    "end-to-end p50",
    "p99",
];

/// Columns that a narrow terminal can do without: the axis above shows when phases begin, T and ρ follow
/// from Σp and Σc.
const SPARE: [usize; 3] = [1, 5, 6];

/// For narrow terminals.
const HEADER_NARROW: [&str; 9] = [
    "phase",
    "from",
    "queue",
    "Σp",
    "Σc",
    "T = Σp − Σc",
    "ρ",
    "e2e p50",
    "p99",
];

/// For narrower ones.
const HEADER_NARROWEST: [&str; 9] = [
    "phase", "from", "queue", "Σp", "Σc", "T", "ρ", "e2e p50", "p99",
];
