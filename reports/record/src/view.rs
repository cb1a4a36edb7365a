//! Questions that every viewer asks of a record.

use queuelab_core::{Span, Time};

use crate::{Latencies, QueueRecord, RunRecord};

impl RunRecord {
    /// Number of series windows.
    pub fn windows(&self) -> usize {
        let queues = self.queues.iter().map(|queue| queue.series.ready_max.len());
        queues
            .chain([self.latency_series[2].count.len()])
            .max()
            .unwrap_or(0)
    }

    /// Where window `index` ends: the last one at the run's end, if that comes first.
    pub fn window_end(&self, index: usize) -> Time {
        let end = Time(self.window.0.saturating_mul(index as u64 + 1));
        // A run under way has an end that lies in its last window.
        if index + 1 == self.windows() {
            end.min(self.end)
        } else {
            end
        }
    }

    /// A counter summed over queues: `record.total(|queue| queue.acked)`.
    pub fn total(&self, counter: impl Fn(&QueueRecord) -> u64) -> u64 {
        self.queues.iter().map(counter).sum()
    }

    /// Copies that were left in queues at the end. A stream is meant to keep what it has: its records are not among them.
    pub fn left_in_queues(&self) -> u64 {
        let queues = self.queues.iter().filter(|queue| !queue.stream);
        queues.map(QueueRecord::left).sum()
    }

    /// From the intended send to the confirm, all producers together; of one phase or of the whole run.
    pub fn confirm(&self, phase: Option<usize>) -> Latencies {
        merged(
            self.producers.iter().map(|producer| &producer.confirm),
            phase,
        )
    }

    /// From the intended send to receipt by a consumer, all messages together; of one phase or of the whole run.
    pub fn delivery(&self, phase: Option<usize>) -> Latencies {
        if self.knows_producers_latencies() {
            merged(self.producers.iter().map(|it| &it.delivery), phase)
        } else {
            merged(self.queues.iter().map(|it| &it.delivery), phase)
        }
    }

    /// From the intended send to the end of service where a message ends, all together; of one phase or of the whole run.
    pub fn end_to_end(&self, phase: Option<usize>) -> Latencies {
        if self.knows_producers_latencies() {
            merged(self.producers.iter().map(|it| &it.end_to_end), phase)
        } else {
            merged(self.queues.iter().map(|it| &it.end_to_end), phase)
        }
    }

    /// A record of schema version 1 has latencies by queue only.
    pub(crate) fn knows_producers_latencies(&self) -> bool {
        let mut producers = self.producers.iter();
        producers.any(|producer| !producer.end_to_end.is_empty())
    }

    /// The most that waited in all queues together within each window. With several queues this adds their largest
    /// values of the window, which need not have come at the same instant.
    pub fn backlog_series(&self) -> Vec<u64> {
        let mut series = vec![0; self.windows()];
        for queue in &self.queues {
            for (sum, ready) in series.iter_mut().zip(&queue.series.ready_max) {
                *sum += ready;
            }
        }
        series
    }

    /// The windows that overlap a phase.
    pub(crate) fn windows_of(&self, phase: usize) -> std::ops::Range<usize> {
        let (phase, width) = (&self.phases[phase], self.window.0.max(1));
        let windows = self.windows();
        let from = (phase.from.0 / width) as usize;
        let until = phase.until.0.div_ceil(width) as usize;
        from.min(windows)..until.min(windows)
    }

    /// How much of a phase has run.
    pub(crate) fn length_of(&self, phase: usize) -> Span {
        let phase = &self.phases[phase];
        phase.until.min(self.end).since(phase.from)
    }
}

impl QueueRecord {
    /// Copies that were still in it at the end, in whatever state; of a stream, the records that it keeps.
    pub fn left(&self) -> u64 {
        self.ready_end + self.in_flight_end + self.delayed_end + self.stalled_end + self.leaving_end
    }

    /// Whether it is the queue `name`, or a partition of it.
    pub fn is_part_of(&self, name: &str) -> bool {
        let rest = self.name.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix('/').is_some_and(|number| {
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
    }
}

fn merged<'a>(groups: impl Iterator<Item = &'a Vec<Latencies>>, phase: Option<usize>) -> Latencies {
    let mut all = Latencies::default();
    for phases in groups {
        match phase {
            Some(phase) => phases
                .get(phase)
                .into_iter()
                .for_each(|latencies| all.merge(latencies)),
            None => phases.iter().for_each(|latencies| all.merge(latencies)),
        }
    }
    all
}
