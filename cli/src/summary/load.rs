//! Offered load against capacity, per phase and queue.

use queuelab_record::Load;

use super::{INDENT, Page, figures};
use crate::layout::{Align, Cell, Style, table};

/// T = Σp − Σc and what it did to latency.
pub(super) fn section(page: &Page<'_>) -> Vec<String> {
    let queues = page.busiest();
    let named = page.record.queues.len() > 1;
    let header = [
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
    let aligned = [Align::Left, Align::Left, Align::Left]
        .into_iter()
        .chain([Align::Right; 6]);
    let keep = |column: &usize| named || *column != 2;

    let mut rows = vec![header.map(|text| Cell::new(Style::Dim, text)).to_vec()];
    for phase in &page.record.phases {
        for (line, (index, queue)) in queues.iter().enumerate() {
            let load = phase.load.get(*index).copied().unwrap_or_default();
            let (name, from) = if line == 0 {
                (phase.name.clone(), phase.from.to_string())
            } else {
                Default::default()
            };
            let mut row: Vec<Cell> = vec![name.into(), from.into(), queue.name.as_str().into()];
            row.extend(figures_of(&load).map(Cell::from));
            let latency =
                |name| figures::metric(page.record, name, Some(&queue.name), Some(&phase.name));
            row.extend(
                ["latency.end_to_end.p50", "latency.end_to_end.p99"]
                    .map(|name| Cell::from(latency(name))),
            );
            rows.push(row);
        }
    }
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|row| only(row, keep)).collect();
    let aligned = only(aligned.collect(), keep);
    table(&rows, &aligned, page.painter)
        .into_iter()
        .map(|line| format!("{INDENT}{line}"))
        .collect()
}

/// Σp, Σc, T and ρ.
fn figures_of(load: &Load) -> [String; 4] {
    let Load {
        offered, capacity, ..
    } = *load;
    let capacity = capacity.unwrap_or(f64::INFINITY);
    let utilisation = match (offered, capacity) {
        (offered, _) if offered <= 0.0 => 0.0,
        (_, capacity) if capacity <= 0.0 => f64::INFINITY,
        _ => offered / capacity,
    };
    let rho = if utilisation.is_finite() {
        format!("{utilisation:.2}")
    } else {
        "∞".into()
    };
    [
        figures::rate(offered),
        figures::rate(capacity),
        figures::signed_rate(offered - capacity),
        rho,
    ]
}

fn only<T>(row: Vec<T>, keep: impl Fn(&usize) -> bool) -> Vec<T> {
    row.into_iter()
        .enumerate()
        .filter(|(column, _)| keep(column))
        .map(|(_, item)| item)
        .collect()
}
