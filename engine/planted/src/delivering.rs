//! What can go wrong on the way out of a queue.

use queuelab_core::{Event, Input, Output, Removal, Request, Response, Time};
use queuelab_sim::{Bug, Seen};

use crate::{Planted, workload};

pub fn bugs() -> Vec<Planted> {
    vec![
        Planted {
            bug: Bug {
                input: |_, _, input| {
                    if let Some(Request::Consume(consume)) = request(input) {
                        consume.prefetch += 1;
                    }
                    true
                },
                ..Bug::named("prefetch off by one")
            },
            seen_by: "prefetch-bound",
            workload: workload!("", "", "service = \"50ms\"\nprefetch = 2", ""),
        },
        Planted {
            bug: Bug {
                outputs: |_, _, outputs| {
                    for output in outputs {
                        if let Output::Client {
                            response: Response::Deliver { redelivered, .. },
                            ..
                        } = output
                        {
                            *redelivered = false;
                        }
                    }
                },
                ..Bug::named("delivery repeated without the redelivered flag")
            },
            seen_by: "redelivered-flag",
            workload: NACKS,
        },
        Planted {
            bug: Bug {
                outputs: to_a_second,
                ..Bug::named("two holders of a lease")
            },
            seen_by: "lease",
            workload: workload!("", "", "count = 2\nservice = \"20ms\"", ""),
        },
        Planted {
            bug: Bug {
                input: |_, _, input| {
                    if let Some(Request::Ack { multiple, .. }) = request(input) {
                        *multiple = true;
                    }
                    true
                },
                ..Bug::named("an acknowledgement takes earlier deliveries along")
            },
            seen_by: "ack-asked",
            workload: workload!(
                "",
                "",
                "concurrency = 4\nprefetch = 8\nservice = { dist = \"exponential\", mean = \"40ms\" }",
                ""
            ),
        },
        Planted {
            bug: Bug {
                input: |_, _, input| {
                    if let Some(request) = request(input)
                        && let Request::Nack {
                            delivery, multiple, ..
                        } = *request
                    {
                        *request = Request::Ack { delivery, multiple };
                    }
                    true
                },
                ..Bug::named("a rejection is taken for an acknowledgement")
            },
            seen_by: "ack-asked",
            workload: NACKS,
        },
        Planted {
            bug: Bug {
                outputs: swap,
                ..Bug::named("deliveries overtake each other")
            },
            seen_by: "order-per-key",
            workload: workload!("", "", "service = \"1ms\"\nprefetch = 50", ""),
        },
        Planted {
            bug: Bug {
                outputs: deliver_again,
                ..Bug::named("what was acknowledged is delivered again")
            },
            seen_by: "no-phantom",
            workload: workload!("", "", "service = \"10ms\"", ""),
        },
        Planted {
            bug: Bug {
                input: |seen, _, input| {
                    let consumes = matches!(request(input), Some(Request::Consume(_)));
                    !(consumes && seen.incarnation > 0)
                },
                ..Bug::named("lost wake-up: a consumer that comes back is forgotten")
            },
            seen_by: "no-stall",
            workload: workload!(
                "",
                "",
                "service = \"10ms\"",
                "[[fault]]\nkind = \"crash\"\nat = \"1s\"\nfor = \"300ms\""
            ),
        },
        Planted {
            bug: Bug {
                config: |_, config| {
                    for queue in &mut config.queues {
                        queue.policy.ack_timeout = None;
                        queue.policy.single_active = false;
                    }
                },
                ..Bug::named("single active consumer ignored")
            },
            seen_by: "order-per-key",
            workload: workload!(
                "single_active = true",
                "",
                "count = 3\nprefetch = 2\nservice = { dist = \"exponential\", mean = \"30ms\" }\nnack = { probability = 0.1, requeue = true }",
                ""
            ),
        },
    ]
}

fn request(input: &mut Input) -> Option<&mut Request> {
    match input {
        Input::Client { request, .. } => Some(request),
        _ => None,
    }
}

/// Every fifth delivery goes to the consumer of the one before, too.
fn to_a_second(seen: &mut Seen, _: Time, outputs: &mut Vec<Output>) {
    let mut more = Vec::new();
    for output in outputs.iter() {
        if let Output::Client {
            channel,
            response: Response::Deliver { .. },
        } = output
        {
            seen.count += 1;
            if let Some(Output::Client { channel: other, .. }) = seen.kept.first()
                && other != channel
                && seen.count.is_multiple_of(5)
                && let Output::Client { response, .. } = output
            {
                more.push(Output::Client {
                    channel: *other,
                    response: response.clone(),
                });
            }
            seen.kept = vec![output.clone()];
        }
    }
    outputs.extend(more);
}

/// Two deliveries to one channel change their messages.
#[allow(clippy::ptr_arg, reason = "all seams have one type")]
fn swap(_: &mut Seen, _: Time, outputs: &mut Vec<Output>) {
    let deliveries: Vec<usize> = (0..outputs.len())
        .filter(|at| {
            let output = &outputs[*at];
            matches!(
                output,
                Output::Client {
                    response: Response::Deliver { .. },
                    ..
                }
            )
        })
        .collect();
    if let [first, second, ..] = deliveries[..]
        && channel_of(&outputs[first]) == channel_of(&outputs[second])
    {
        outputs.swap(first, second);
    }
}

fn channel_of(output: &Output) -> Option<queuelab_core::ChannelId> {
    match output {
        Output::Client { channel, .. } => Some(*channel),
        _ => None,
    }
}

/// The first delivery comes again once its message is acknowledged.
fn deliver_again(seen: &mut Seen, _: Time, outputs: &mut Vec<Output>) {
    let mut again = Vec::new();
    for output in outputs.iter() {
        match output {
            Output::Client {
                response: Response::Deliver { .. },
                ..
            } if seen.kept.is_empty() => seen.kept.push(output.clone()),
            Output::Observe(Event::Removed {
                copy,
                reason: Removal::Acked,
                ..
            }) => {
                if let Some(Output::Client {
                    response: Response::Deliver { copy: kept, .. },
                    ..
                }) = seen.kept.first()
                    && kept == copy
                {
                    again.append(&mut seen.kept);
                }
            }
            _ => {}
        }
    }
    outputs.extend(again);
}

const NACKS: &str = workload!(
    "",
    "",
    "service = \"10ms\"\nnack = { probability = 0.2, requeue = true }",
    ""
);
