//! Messages as a fluid: what a backlog does when load and capacity change, chance left aside. Times in seconds, rates per second.

/// A stretch of time in which the arrival rate changes linearly and the capacity stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// When it begins.
    pub from: f64,
    /// When it ends.
    pub until: f64,
    /// Messages per second at its beginning and end.
    pub arrivals: (f64, f64),
    /// Messages per second that can be served.
    pub capacity: f64,
}

/// What the backlog does.
#[derive(Clone, Debug, PartialEq)]
pub struct Backlog {
    /// Its largest value.
    pub peak: f64,
    /// When it is reached.
    pub peak_at: f64,
    /// When it is first gone after the peak; `None` if it is not gone at the end.
    pub gone_at: Option<f64>,
    /// Its value at the end.
    pub end: f64,
    /// ∫ backlog dt, in message-seconds.
    pub area: f64,
    /// The longest that a message waits; infinite if some wait beyond the end.
    pub longest_wait: f64,
    /// Its value at the beginning of each stretch.
    pub at: Vec<f64>,
}

/// The backlog over some stretches that follow each other, at most `bound` (infinite for none).
pub fn backlog(stretches: &[Stretch], start: f64, bound: f64) -> Backlog {
    let first = stretches.first().map_or(0.0, |stretch| stretch.from);
    let mut level = start.min(bound);
    let mut result = Backlog {
        peak: level,
        peak_at: first,
        gone_at: (level <= 0.0).then_some(first),
        end: level,
        area: 0.0,
        longest_wait: 0.0,
        at: Vec::new(),
    };
    for stretch in stretches {
        result.at.push(level);
        level = step(stretch, level, bound, &mut result);
    }
    result.end = level;
    result.longest_wait = longest_wait(stretches, start, &result);
    result
}

/// Follows the backlog through a stretch, piece by piece between the instants at which it is empty, full or turns.
fn step(stretch: &Stretch, start: f64, bound: f64, result: &mut Backlog) -> f64 {
    let length = stretch.until - stretch.from;
    let slope = (stretch.arrivals.1 - stretch.arrivals.0) / length;
    let (mut now, mut level) = (0.0, start);
    // A parabola meets 0 and the bound at most twice each, and turns once.
    for _ in 0..8 {
        if now >= length {
            break;
        }
        let net = stretch.arrivals.0 + slope * now - stretch.capacity;
        let falling = net < 0.0 || (net == 0.0 && slope <= 0.0);
        let held = (level <= 0.0 && falling) || (level >= bound && !falling);
        let turn = if slope != 0.0 {
            now - net / slope
        } else {
            f64::INFINITY
        };
        let turn = if turn > now * (1.0 + 1e-12) + 1e-12 {
            turn.min(length)
        } else {
            length
        };
        if held {
            result.area += level * (turn - now);
            now = turn;
            continue;
        }
        let at = |t: f64| level + net * (t - now) + slope * (t - now) * (t - now) / 2.0;
        let mut next = turn;
        if falling && at(next) < 0.0 {
            next = crate::numeric::root(now, next, |t| -at(t));
        } else if !falling && at(next) > bound {
            next = crate::numeric::root(now, next, |t| at(t) - bound);
        }
        let reached = if next < turn {
            if falling { 0.0 } else { bound }
        } else {
            at(next).max(0.0)
        };
        let width = next - now;
        result.area +=
            level * width + net * width * width / 2.0 + slope * width * width * width / 6.0;
        (now, level) = (next, reached);
        if level > result.peak {
            (result.peak, result.peak_at, result.gone_at) = (level, stretch.from + now, None);
        }
        if level <= 0.0 && result.gone_at.is_none() {
            result.gone_at = Some(stretch.from + now);
        }
    }
    level
}

/// With one capacity throughout, the wait is longest for what arrives at the peak; else it is looked for among the turning points.
fn longest_wait(stretches: &[Stretch], start: f64, result: &Backlog) -> f64 {
    let clearing = |backlog: f64, from: f64| {
        let (mut left, mut now) = (backlog, from);
        for stretch in stretches.iter().filter(|stretch| stretch.until > from) {
            let until = stretch.until;
            let could = stretch.capacity * (until - now);
            if stretch.capacity > 0.0 && could >= left {
                return now + left / stretch.capacity - from;
            }
            left -= could;
            now = until;
        }
        f64::INFINITY
    };
    let begin = stretches.first().map_or(0.0, |stretch| stretch.from);
    let starts = stretches
        .iter()
        .zip(&result.at)
        .map(|(stretch, level)| clearing(*level, stretch.from));
    let peak = clearing(result.peak, result.peak_at);
    // What comes at the end of a time without service waits longest when that time begins: the stretch starts cover it.
    starts
        .chain([peak, clearing(start, begin)])
        .fold(0.0, f64::max)
}

/// What an outage of `down` seconds does to a queue that is otherwise served at `service` per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// Messages that wait when it ends.
    pub backlog: f64,
    /// Seconds from its end until nothing waits.
    pub drain: f64,
    /// ∫ backlog dt, in message-seconds.
    pub area: f64,
    /// Messages that waited.
    pub affected: f64,
}

/// `None` if the backlog is never gone.
pub fn outage(arrivals: f64, service: f64, down: f64) -> Option<Outage> {
    (service > arrivals).then(|| {
        let backlog = arrivals * down;
        let drain = backlog / (service - arrivals);
        Outage {
            backlog,
            drain,
            area: backlog * (down + drain) / 2.0,
            affected: arrivals * (down + drain),
        }
    })
}
