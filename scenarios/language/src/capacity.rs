//! What consumers could do.

use queuelab_core::{GroupKind, QueuePolicy};

use crate::scenario::{Ack, Consumer, Queue, Scenario};

impl Scenario {
    /// Σc: messages per second that the consumers of `queue` could be done with in `phase` (both indexes) if it were their only one: members ×
    /// concurrency / mean service time. Slow members are as slow as they are, those that are away are away, a message that is refused and
    /// comes back takes several services, and where one consumer is active it is one. `None` if a service takes no time, or if the figure
    /// depends on which messages come: selectors, groups of messages, messages that are never done, services that outlast their lease.
    pub fn capacity(&self, queue: usize, phase: usize) -> Option<f64> {
        self.capacity_where(queue, phase, 0.0, |consumer| self.presence(consumer, phase))
    }

    /// The same while all members are there, and each service holds its place for `overhead` seconds more.
    pub fn full_capacity(&self, queue: usize, phase: usize, overhead: f64) -> Option<f64> {
        self.capacity_where(queue, phase, overhead, |_| 1.0)
    }

    fn capacity_where(
        &self,
        queue: usize,
        phase: usize,
        overhead: f64,
        presence: impl Fn(&Consumer) -> f64,
    ) -> Option<f64> {
        let spec = self.queues.get(queue)?;
        let policy = &spec.policy;
        let takes = |consumer: &&Consumer| consumer.from.contains(&queue);
        let consumers: Vec<&Consumer> = self.consumers.iter().filter(takes).collect();
        // Who is the active one of several groups, or of unequal members, is not for us to say.
        let unequal = consumers.len() > 1 || consumers.iter().any(|it| it.slow.is_some());
        if policy.single_active && unequal {
            return None;
        }
        consumers.into_iter().try_fold(0.0, |sum, consumer| {
            let most = self.most_deliveries(consumer, policy);
            let all = of_group(consumer, spec, phase, overhead, most)?;
            Some(sum + all * presence(consumer))
        })
    }

    /// How often a consumer gets a message that it never finishes; `None`: for ever. A queue counts failures, a shared group deliveries.
    fn most_deliveries(&self, consumer: &Consumer, policy: &QueuePolicy) -> Option<f64> {
        let group = consumer.group.map(|group| &self.groups[group].kind);
        match group {
            Some(GroupKind::Shared { delivery_limit, .. }) => {
                (*delivery_limit > 0).then(|| f64::from(*delivery_limit))
            }
            _ => policy.delivery_limit.map(|limit| f64::from(limit) + 1.0),
        }
    }

    /// Which share of a phase a member is there, in the mean.
    fn presence(&self, consumer: &Consumer, phase: usize) -> f64 {
        let stays = consumer.churn.as_ref().map_or(1.0, |churn| {
            let (up, down) = (churn.every.mean(), churn.away.mean());
            if up > 0.0 { up / (up + down) } else { 0.0 }
        });
        let started = self.phases.get(phase).map_or(1.0, |phase| {
            let (from, until) = (phase.from.as_secs_f64(), phase.until.as_secs_f64());
            let there = until - consumer.start.mean().clamp(from, until);
            if until > from {
                there / (until - from)
            } else {
                1.0
            }
        });
        stays * started
    }
}

/// What a group can do while all of it is there, with `most` deliveries of a message.
fn of_group(
    consumer: &Consumer,
    queue: &Queue,
    phase: usize,
    overhead: f64,
    most: Option<f64>,
) -> Option<f64> {
    let policy = &queue.policy;
    let service = consumer.service_by_phase.get(phase);
    let mean = service.unwrap_or(&consumer.service).mean();
    let members = if policy.single_active {
        1
    } else {
        consumer.count
    };
    let places = places(consumer, queue.partitions);
    let by_messages = consumer.selector.is_some()
        || consumer.patience.is_some()
        || policy.groups && consumer.count.saturating_mul(places) > 1;
    // An exponential service outlasts ten times its mean once in 20,000 times.
    let outlasts = policy.ack_timeout.is_some_and(|timeout| {
        let held =
            f64::from(consumer.prefetch) * f64::from(queue.partitions) / f64::from(places) * mean;
        let bounded = consumer.prefetch > 0 && held * 10.0 <= timeout.after.as_secs_f64();
        consumer.ack != Ack::Auto && consumer.renew.is_none() && !bounded
    });
    if mean <= 0.0 || by_messages || outlasts {
        return None;
    }
    let rate = |factor: f64| {
        let rate = f64::from(places) / (mean * factor + overhead);
        consumer.rate_cap.map_or(rate, |most| rate.min(most))
    };
    let all = match consumer.slow {
        Some(slow) => {
            let slowed = (slow.share * f64::from(members)).ceil();
            slowed * rate(slow.factor) + (f64::from(members) - slowed) * rate(1.0)
        }
        None => f64::from(members) * rate(1.0),
    };
    Some(all / services(consumer, most)?)
}

/// How many messages a member serves at a time; it has a prefetch for each partition.
fn places(consumer: &Consumer, partitions: u32) -> u32 {
    let bounds = [
        (consumer.prefetch > 0).then(|| consumer.prefetch.saturating_mul(partitions)),
        consumer.channel_prefetch,
    ];
    let own = consumer.concurrency.max(1);
    match consumer.ack {
        Ack::Auto => own,
        Ack::Manual { .. } => bounds.into_iter().flatten().fold(own, u32::min).max(1),
    }
}

/// How many services a message takes in the mean, with those after which it comes back, if it is delivered so often at most; `None` if it has
/// no end.
fn services(consumer: &Consumer, most: Option<f64>) -> Option<f64> {
    let (probability, poison) = match consumer.ack {
        Ack::Manual {
            nack: Some(nack), ..
        } if nack.requeue => (nack.probability, consumer.poison),
        Ack::Manual { nack: None, .. } => (0.0, consumer.poison),
        _ => (0.0, 0.0),
    };
    // Of those that fail with `probability` each time, and of those that always do.
    let of = |probability: f64| match most {
        Some(most) if probability >= 1.0 => Some(most),
        Some(most) => Some((1.0 - libm::pow(probability, most)) / (1.0 - probability)),
        None => (probability < 1.0).then(|| 1.0 / (1.0 - probability)),
    };
    let poisoned = if poison > 0.0 { poison * of(1.0)? } else { 0.0 };
    Some((1.0 - poison) * of(probability)? + poisoned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five members with services of 50 ms; what is given are overrides.
    #[track_caller]
    fn check(overrides: &[&str], expected: Option<f64>) {
        let text = "title = \"t\"\nabout = \"a\"\nphases = [{ name = \"one\", for = \"20s\" }, { name = \"two\", for = \"20s\" }]\n[[queue]]\nname = \"q\"\nkind = \"memory\"\n[[producer]]\nname = \"p\"\nto = \"q\"\nrate = \"1/s\"\n[[consumer]]\nname = \"c\"\nfrom = \"q\"\ncount = 5\nprefetch = 1\nservice = \"50ms\"\n";
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let scenario = Scenario::parse("t.toml", text, &overrides);
        let scenario = scenario.unwrap_or_else(|error| panic!("{overrides:?}: {error}"));
        let found = scenario.capacity(0, 0);
        let close = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found == expected,
        };
        assert!(close, "{overrides:?}: {found:?}, not {expected:?}");
    }

    #[test]
    fn capacity_is_what_consumers_could_be_done_with() {
        check(&[], Some(100.0));
        check(&["queue.q.single_active=true"], Some(20.0));
        check(&["consumer.c.slow={share=0.4,factor=4}"], Some(70.0));
        let slow = "consumer.c.slow={share=0.4,factor=4}";
        check(&["queue.q.single_active=true", slow], None);
        check(&["consumer.c.rate_cap=\"8/s\""], Some(40.0));
        check(&["consumer.c.start=\"5s\""], Some(75.0));
        check(&["consumer.c.start=\"30s\""], Some(0.0));
        check(&["consumer.c.churn={every=\"3s\",away=\"1s\"}"], Some(75.0));
        check(&["consumer.c.service_by_phase={one=\"25ms\"}"], Some(200.0));
        check(&["consumer.c.concurrency=4"], Some(100.0));
        let four = ["consumer.c.concurrency=4", "queue.q.partitions=3"];
        check(&four, Some(300.0));
        check(
            &["consumer.c.concurrency=4", "consumer.c.prefetch=4"],
            Some(400.0),
        );
        check(&["consumer.c.service=\"0s\""], None);
    }

    #[test]
    fn a_message_that_comes_back_takes_more_than_one_service() {
        let refuses = "consumer.c.nack={probability=0.2,requeue=true}";
        check(&[refuses], Some(80.0));
        check(
            &["consumer.c.nack={probability=0.2,requeue=false}"],
            Some(100.0),
        );
        check(&[refuses, "queue.q.delivery_limit=1"], Some(100.0 / 1.2));
        check(&["consumer.c.poison=0.3"], None);
        check(
            &["consumer.c.poison=0.3", "queue.q.delivery_limit=1"],
            Some(100.0 / 1.3),
        );
    }

    #[test]
    fn a_shared_group_gives_up_a_record_after_so_many_deliveries() {
        let capacity = |group: &str, nack: &str| {
            let text = format!(
                "title = \"t\"\nduration = \"20s\"\n[[queue]]\nname = \"s\"\nkind = \"stream\"\n[[group]]\nname = \"g\"\nstreams = \"s\"\n{group}\n[[producer]]\nname = \"p\"\nto = \"s\"\nrate = \"1/s\"\n[[consumer]]\nname = \"c\"\nfrom = \"s\"\ngroup = \"g\"\nprefetch = 1\nservice = \"10ms\"\n{nack}\n"
            );
            Scenario::parse("t.toml", &text, &[]).map(|scenario| scenario.capacity(0, 0))
        };
        let thrice = "kind = \"shared\"\ndelivery_limit = 3";
        let (always, half) = ("nack = { probability = 1 }", "nack = { probability = 0.5 }");
        assert_eq!(capacity(thrice, "").unwrap(), Some(100.0));
        assert_eq!(capacity(thrice, half).unwrap(), Some(100.0 / 1.75));
        assert_eq!(capacity(thrice, always).unwrap(), Some(100.0 / 3.0));
        let unless_told = "kind = \"shared\"";
        assert_eq!(capacity(unless_told, always).unwrap(), Some(100.0 / 5.0));
        assert_eq!(capacity(thrice, "poison = 0.5").unwrap(), Some(100.0 / 2.0));
        // Nothing gives these up.
        for endless in [
            "kind = \"shared\"\ndelivery_limit = 0",
            "kind = \"partitioned\"",
        ] {
            assert_eq!(capacity(endless, half).unwrap(), Some(100.0 / 2.0));
            let error = capacity(endless, always).unwrap_err().to_string();
            assert!(error.contains("nothing is ever finished"), "{error}");
        }
    }

    #[test]
    fn it_is_not_told_where_it_depends_on_the_messages() {
        let headers = "producer.p.headers={size=[1,5]}";
        check(&[headers, "consumer.c.selector=\"size > 3\""], None);
        check(&["queue.q.ack_timeout=\"15ms\""], None);
        check(&["queue.q.ack_timeout=\"1s\""], Some(100.0));
        let keys = "producer.p.message_key={dist=\"round-robin\",keys=3}";
        let grouped = "producer.p.group_by_key=true";
        check(&["queue.q.groups=true", keys, grouped], None);
    }
}
