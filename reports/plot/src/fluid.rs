//! What a backlog would do if messages were a fluid: it grows by what arrives beyond the capacity of its consumers, phase by phase.

use queuelab_record::RunRecord;

/// Second and backlog at the corners of the prediction, if theory says that a fluid describes the queue.
pub(crate) fn backlog(record: &RunRecord, queue: &str) -> Option<Vec<(f64, f64)>> {
    let applies = record.predictions.iter().any(|it| {
        let named = it.of.as_deref().is_none_or(|of| of == queue);
        it.kind == "fluid" && it.metric.starts_with("backlog") && named
    });
    let index = record.queues.iter().position(|it| it.name == queue)?;
    let bound = record.queues[index].max_length;
    let bound = bound.map_or(f64::INFINITY, |bound| bound as f64);
    let mut level = 0.0;
    let mut points = vec![(0.0, 0.0)];
    for phase in &record.phases {
        let load = phase.load.get(index)?;
        let net = load.offered - load.capacity?;
        let (from, until) = (phase.from.as_secs_f64(), phase.until.as_secs_f64());
        let end = (level + net * (until - from)).clamp(0.0, bound);
        // The corner where it is empty, or full.
        let corner = from + (end - level) / net;
        if net != 0.0 && corner > from && corner < until {
            points.push((corner, end));
        }
        points.push((until, end));
        level = end;
    }
    let grows = points.iter().any(|point| point.1 > 0.0);
    (applies && grows).then_some(points)
}

/// Its value at a second.
pub(crate) fn at(points: &[(f64, f64)], second: f64) -> Option<f64> {
    let pair = points
        .windows(2)
        .find(|pair| pair[0].0 <= second && second <= pair[1].0)?;
    let ((from, low), (until, high)) = (pair[0], pair[1]);
    let share = (second - from) / (until - from).max(1e-9);
    Some(low + share * (high - low))
}
