//! What can go wrong on the way into a queue, and in it.

use bytes_of::KEYS;
use queuelab_core::{Event, Input, Output, Overflow, Removal, Request, Requeue, Response};
use queuelab_sim::Bug;

use crate::{Planted, properties, workload};

pub fn bugs() -> Vec<Planted> {
    vec![
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        queue.policy.requeue = Requeue::Tail;
                    }
                },
                ..Bug::named("requeue at the tail")
            },
            seen_by: "requeue-order",
            workload: workload!(
                "",
                "",
                "service = \"10ms\"\nprefetch = 1\nnack = { probability = 0.3, requeue = true }",
                ""
            ),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        queue.policy.requeue = Requeue::Tail;
                    }
                },
                ..Bug::named("requeue at the tail, where messages expire")
            },
            seen_by: "requeue-order",
            workload: workload!(
                "ttl = \"3s\"",
                "",
                "service = \"10ms\"\nprefetch = 1\nnack = { probability = 0.3, requeue = true }",
                ""
            ),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        if let Some(limit) = &mut queue.policy.delivery_limit {
                            *limit += 1;
                        }
                    }
                },
                ..Bug::named("delivery limit off by one")
            },
            seen_by: "delivery-limit",
            workload: workload!(
                "delivery_limit = 2",
                "",
                "service = \"10ms\"\nnack = { probability = 0.5, requeue = true }",
                ""
            ),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        if let Some(length) = &mut queue.max_length {
                            *length += 1;
                        }
                    }
                },
                ..Bug::named("bound off by one")
            },
            seen_by: "depth-bound",
            workload: workload!(
                "max_length = 3\noverflow = \"drop-head\"",
                "",
                "service = \"50ms\"\nprefetch = 1",
                ""
            ),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        if let Some(bytes) = &mut queue.max_bytes {
                            *bytes += 1;
                        }
                    }
                },
                ..Bug::named("bound of bytes off by one")
            },
            seen_by: "depth-bound",
            workload: workload!(
                "max_bytes = \"300B\"",
                "size = \"43B\"",
                "service = \"50ms\"\nprefetch = 1",
                ""
            ),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        queue.max_length = Some(20);
                        queue.overflow = Overflow::DropHead;
                    }
                },
                outputs: |_, _, outputs| {
                    outputs.retain(|output| {
                        !matches!(
                            output,
                            Output::Observe(
                                Event::Leaving { .. }
                                    | Event::Removed {
                                        reason: Removal::Dropped,
                                        ..
                                    }
                            )
                        )
                    });
                },
                ..Bug::named("a ready message is lost from view")
            },
            seen_by: "conservation",
            workload: workload!("", "", "service = \"50ms\"\nprefetch = 1", ""),
        },
        Planted {
            bug: Bug {
                outputs: |seen, _, outputs| {
                    for output in outputs {
                        if let Output::Client {
                            response: Response::Confirm { accepted, .. },
                            ..
                        } = output
                        {
                            seen.count += 1;
                            *accepted &= !seen.count.is_multiple_of(9);
                        }
                    }
                },
                ..Bug::named("what was taken is refused")
            },
            seen_by: "no-phantom",
            workload: workload!("", "", "service = \"50ms\"\nprefetch = 1", ""),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        queue.overflow = Overflow::RejectPublish;
                    }
                },
                outputs: |_, _, outputs| {
                    for output in outputs {
                        if let Output::Client {
                            response: Response::Confirm { accepted, .. },
                            ..
                        } = output
                        {
                            *accepted = true;
                        }
                    }
                },
                ..Bug::named("drop-head drops the newest")
            },
            seen_by: "no-loss",
            workload: workload!(
                "max_length = 3\noverflow = \"drop-head\"",
                "",
                "service = \"50ms\"\nprefetch = 1",
                ""
            ),
        },
        Planted {
            bug: Bug {
                input: |_, _, input| {
                    if let Some(properties) = published(input) {
                        properties.delay = None;
                    }
                    true
                },
                ..Bug::named("delay ignored")
            },
            seen_by: "timely",
            workload: workload!("", "delay = \"500ms\"", "service = \"10ms\"", ""),
        },
        Planted {
            bug: Bug {
                input: |_, _, input| {
                    if let Some(properties) = published(input) {
                        properties.priority = 0;
                    }
                    true
                },
                ..Bug::named("priority inversion")
            },
            seen_by: "priority-order",
            workload: workload!(
                "max_priority = 9",
                "",
                "service = \"20ms\"\nprefetch = 1",
                "[[producer]]\nname = \"urgent\"\nto = \"jobs\"\nrate = \"20/s\"\npriority = 9"
            ),
        },
        Planted {
            bug: Bug {
                input: |seen, _, input| {
                    if let Input::Client {
                        request: Request::Publish { message, .. },
                        ..
                    } = input
                    {
                        seen.count += 1;
                        if seen.count.is_multiple_of(7) {
                            message.routing_key = KEYS.into();
                        }
                    }
                    true
                },
                ..Bug::named("wrong partition")
            },
            seen_by: "key-partition",
            workload: workload!(
                "partitions = 4",
                "message_key = { dist = \"uniform\", keys = 20 }",
                "service = \"10ms\"",
                ""
            ),
        },
        Planted {
            bug: Bug {
                outputs: |_, _, outputs| {
                    for output in outputs {
                        if let Output::Client {
                            response: Response::Assigned { streams, .. },
                            ..
                        } = output
                        {
                            let mut all = streams.to_vec();
                            all.push(queuelab_core::QueueId(0));
                            *streams = all.into();
                        }
                    }
                },
                ..Bug::named("two readers of a stream")
            },
            seen_by: "single-reader",
            workload: "title = \"Calls\"\nabout = \"For a planted bug\"\nduration = \"8s\"\n[[queue]]\nname = \"calls\"\nkind = \"stream\"\npartitions = 4\n[[group]]\nname = \"billing\"\nstreams = \"calls\"\nstart = \"first\"\n[[producer]]\nname = \"switches\"\nto = \"calls\"\nrate = \"60/s\"\nmessage_key = { dist = \"uniform\", keys = 100 }\n[[consumer]]\nname = \"biller\"\nfrom = \"calls\"\ngroup = \"billing\"\ncount = 2\nservice = \"8ms\"\n",
        },
    ]
}

/// The properties of the message that an input publishes.
fn published(input: &mut Input) -> Option<&mut queuelab_core::Properties> {
    match input {
        Input::Client {
            request: Request::Publish { message, .. },
            ..
        } => properties(message),
        _ => None,
    }
}

mod bytes_of {
    /// A key that nobody sends.
    pub const KEYS: &[u8] = b"another key";
}
