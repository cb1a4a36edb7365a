//! Scenarios for tests: everything plain, so that what a test sets is what matters.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

pub mod consuming;
pub mod producing;

use queuelab_core::{Dispatch, Durability, Limits, Offset, Overflow, QueuePolicy, Span, Time};
use queuelab_scenario::*;

/// A scenario of `seconds` with queues `a` and `b`, one exchange, and no clients.
pub fn scenario(seconds: u64) -> Scenario {
    let queue = |name: &str| Queue {
        name: name.into(),
        durability: Durability::None,
        bind: Vec::new(),
        max_length: None,
        max_bytes: None,
        overflow: Overflow::default(),
        dead_letter: None,
        dispatch: Dispatch::default(),
        policy: QueuePolicy::default(),
        partitions: 1,
        backlog: 0,
        brokerless: false,
        design: None,
    };
    let free = Distribution::Constant(Span::ZERO);
    Scenario {
        name: "test".into(),
        title: "Test".into(),
        about: String::new(),
        source: String::new(),
        overrides: Vec::new(),
        grading: None,
        seed: 1,
        phases: vec![Phase {
            name: "run".into(),
            from: Time::ZERO,
            until: Time::ZERO + Span::from_secs(seconds),
        }],
        steady: None,
        answer: None,
        expectations: Vec::new(),
        suggestions: Vec::new(),
        cluster: Cluster {
            profile: Profile::Ideal,
            cpu: Cpu::default(),
            disk: Disk {
                read: Distribution::Constant(Span::ZERO),
                fsync: free.clone(),
                bandwidth: None,
                capacity: None,
                writeback: Span::from_secs(30),
            },
            network: Network {
                clients: free,
                bandwidth: None,
            },
            limits: Limits::default(),
            design: None,
        },
        exchanges: vec![Exchange {
            name: "x".into(),
            kind: ExchangeType::Topic,
            alternate: None,
            bind: Vec::new(),
        }],
        queues: vec![queue("a"), queue("b")],
        producers: Vec::new(),
        consumers: Vec::new(),
        groups: Vec::new(),
        faults: Vec::new(),
        budget: FaultBudget::default(),
        heal: None,
        until: None,
    }
}

/// One producer of 1000 messages per second to queue `a`, with confirms and a large window.
pub fn producer() -> Producer {
    Producer {
        name: "p".into(),
        count: 1,
        to: vec![(Target::Queue(0), 1.0)],
        arrivals: Arrivals::Constant(rate(1000.0)),
        message_key: Keys::None,
        size: Size::Fixed(100),
        persistent: false,
        confirm: Some(Confirm {
            window: 1000,
            timeout: None,
        }),
        buffer: 1000,
        when_full: WhenFull::Wait,
        reconnect: None,
        reconnect_spread: Span::ZERO,
        mandatory: false,
        limit: None,
        properties: MessageMix::default(),
        burst: BurstSize::One,
        batch: None,
        transaction: None,
        retry: None,
        patience: None,
        idempotent: false,
        start: Distribution::Constant(Span::ZERO),
        churn: None,
    }
}

/// One consumer of queue `a` that serves one message at a time in 10 ms and acknowledges each.
pub fn consumer() -> Consumer {
    Consumer {
        name: "c".into(),
        from: vec![0],
        count: 1,
        prefetch: 0,
        service: Distribution::Constant(Span::from_millis(10)),
        concurrency: 1,
        ack: Ack::Manual {
            every: 1,
            nack: None,
        },
        weight: 1,
        reconnect: None,
        reconnect_spread: Span::ZERO,
        service_by_phase: Vec::new(),
        channel_prefetch: None,
        priority: 0,
        exclusive: false,
        selector: None,
        pull: None,
        renew: None,
        group: None,
        offset: Offset::Next,
        poison: 0.0,
        rate_cap: None,
        slow: None,
        start: Distribution::Constant(Span::ZERO),
        churn: None,
        patience: None,
        then: None,
    }
}

/// The same rate throughout.
pub fn rate(per_second: f64) -> Rate {
    Rate {
        segments: vec![(per_second, per_second)],
    }
}

/// `ms(3)` is the instant 3 ms.
pub fn ms(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}
