//! What can go wrong with a log: on the way to the disk, and on the way back.

use queuelab_core::{Command, Entry, Input, LogPosition, Output, Time, WallTime};
use queuelab_sim::{Bug, Seen};

use crate::{Planted, properties, workload};

/// Them.
pub fn bugs() -> Vec<Planted> {
    vec![
        Planted {
            bug: Bug {
                input: confirm_before_sync,
                ..Bug::named("confirm before sync")
            },
            seen_by: "confirm-durable",
            workload: PLAIN,
        },
        Planted {
            bug: Bug {
                input: skip_rotation,
                ..Bug::named("fsync skipped on rotation")
            },
            seen_by: "confirm-durable",
            workload: PLAIN,
        },
        Planted {
            bug: Bug {
                outputs: note_removals,
                input: removals_first,
                ..Bug::named("acknowledgement applied before it is durable")
            },
            seen_by: "conservation",
            workload: POWER_LOSS,
        },
        Planted {
            bug: Bug {
                recovered: |seen, recovered| {
                    if seen.incarnation > 0 {
                        recovered.entries.pop();
                    }
                },
                ..Bug::named("group commit loses its last entry")
            },
            seen_by: "conservation",
            workload: POWER_LOSS,
        },
        Planted {
            bug: Bug {
                recovered: |seen, recovered| {
                    let middle = recovered.entries.len() / 2;
                    if seen.incarnation > 0 && middle > 0 {
                        recovered.entries.remove(middle);
                    }
                },
                ..Bug::named("a valid middle is truncated")
            },
            seen_by: "conservation",
            workload: POWER_LOSS,
        },
        Planted {
            bug: Bug {
                recovered: |seen, recovered| {
                    if seen.incarnation > 0 {
                        recovered.last = LogPosition(0);
                    }
                },
                ..Bug::named("a restart numbers the log anew")
            },
            seen_by: "panic",
            workload: POWER_LOSS,
        },
        Planted {
            bug: Bug {
                recovered: |_, recovered| {
                    let counts = |command: &Command| matches!(command, Command::Return { .. });
                    let entries = &mut recovered.entries;
                    entries.retain(|(_, entry)| !entry.commands().iter().all(counts));
                },
                ..Bug::named("redelivery count lost on restart")
            },
            seen_by: "delivery-limit",
            workload: workload!(
                "delivery_limit = 20",
                "",
                "service = \"5ms\"\nnack = { probability = 0.8, requeue = true }",
                "[[fault]]\nkind = \"crash\"\nat = \"2s\"\nfor = \"300ms\""
            ),
        },
        Planted {
            bug: Bug {
                recovered: |_, recovered| {
                    for (_, entry) in &mut recovered.entries {
                        each_command(entry, |command| {
                            if let Command::Enqueue { times, .. } = command {
                                times.expires = WallTime::MAX;
                            }
                        });
                    }
                },
                ..Bug::named("time to live ignored after recovery")
            },
            seen_by: "timely",
            workload: workload!(
                "ttl = \"600ms\"",
                "",
                "service = \"50ms\"\nprefetch = 1",
                "[[fault]]\nkind = \"crash\"\nat = \"2s\"\nfor = \"300ms\""
            ),
        },
        Planted {
            bug: Bug {
                recovered: |_, recovered| {
                    for (_, entry) in &mut recovered.entries {
                        each_command(entry, |command| {
                            if let Command::Enqueue { message, .. } = command
                                && let Some(properties) = properties(message)
                            {
                                properties.id = None;
                            }
                        });
                    }
                },
                ..Bug::named("deduplication window forgotten on restart")
            },
            seen_by: "no-duplicate",
            workload: workload!(
                "deduplicate = \"1500ms\"",
                "id = true\nretry = { policy = \"fixed\", base = \"50ms\", attempts = 20 }",
                "service = \"1ms\"",
                "[[fault]]\nkind = \"crash\"\nat = \"2s\"\nfor = \"300ms\"\n[[fault]]\nkind = \"crash\"\nat = \"4s\"\nfor = \"300ms\""
            ),
        },
        Planted {
            bug: Bug {
                outputs: |_, _, outputs| {
                    let moves = |commands: &[Command]| {
                        let removes = |it: &Command| matches!(it, Command::Remove { .. });
                        let enqueues = |it: &Command| matches!(it, Command::Enqueue { .. });
                        commands.iter().any(removes) && commands.iter().any(enqueues)
                    };
                    half(outputs, moves, |command| {
                        matches!(command, Command::Remove { .. })
                    });
                },
                ..Bug::named("dead-lettering is not atomic")
            },
            seen_by: "no-loss",
            workload: workload!(
                "dead_letter = \"dead\"",
                "",
                "service = \"5ms\"\nnack = { probability = 0.3, requeue = false }",
                "[[queue]]\nname = \"dead\"\n[[fault]]\nkind = \"crash\"\nat = \"2s\"\nfor = \"300ms\""
            ),
        },
        Planted {
            bug: Bug {
                outputs: |_, _, outputs| {
                    let several = |commands: &[Command]| {
                        let enqueues = |it: &&Command| matches!(it, Command::Enqueue { .. });
                        commands.iter().filter(enqueues).count() > 1
                    };
                    half(outputs, several, |_| true);
                },
                ..Bug::named("a transaction is half applied")
            },
            seen_by: "no-loss",
            workload: "title = \"Bank\"\nabout = \"For a planted bug\"\nduration = \"8s\"\n[[queue]]\nname = \"debits\"\n[[queue]]\nname = \"credits\"\n[[producer]]\nname = \"bank\"\nto = [\"debits\", \"credits\"]\narrivals = \"constant\"\nrate = \"60/s\"\ntransaction = 2\nreconnect = \"100ms\"\n[[consumer]]\nname = \"books\"\nfrom = [\"debits\", \"credits\"]\nservice = \"50ms\"\n[[fault]]\nkind = \"crash\"\nat = \"2s\"\nfor = \"300ms\"\n",
        },
    ]
}

fn confirm_before_sync(_: &mut Seen, _: Time, input: &mut Input) -> bool {
    if let Input::Log { written, synced } = input {
        *synced = *written;
    }
    true
}

/// What a segment holds counts as synced once the next one is begun.
fn skip_rotation(_: &mut Seen, _: Time, input: &mut Input) -> bool {
    if let Input::Log { written, synced } = input {
        synced.0 = synced.0.max(written.0 / SEGMENT * SEGMENT);
    }
    true
}

fn note_removals(seen: &mut Seen, _: Time, outputs: &mut Vec<Output>) {
    for output in outputs {
        if let Output::Persist { position, entry } = output
            && matches!(entry, Entry::One(Command::Remove { .. }))
        {
            seen.facts.insert(position.0, 1);
        }
    }
}

/// Where removals follow what is synced, they count as synced too.
fn removals_first(seen: &mut Seen, _: Time, input: &mut Input) -> bool {
    if let Input::Log { written, synced } = input {
        while synced < written && seen.facts.contains_key(&(synced.0 + 1)) {
            synced.0 += 1;
        }
        // The log never goes back.
        synced.0 = synced.0.max(seen.count.min(written.0));
        seen.count = synced.0;
    }
    true
}

/// Entries of which `is_it` says so lose half: all but their first command that `stays`.
fn half(
    outputs: &mut [Output],
    is_it: impl Fn(&[Command]) -> bool,
    stays: impl Fn(&Command) -> bool,
) {
    for output in outputs {
        if let Output::Persist { entry, .. } = output
            && is_it(entry.commands())
            && let Some(first) = entry.commands().iter().find(|command| stays(command))
        {
            *entry = Entry::One(first.clone());
        }
    }
}

fn each_command(entry: &mut Entry, mut change: impl FnMut(&mut Command)) {
    match entry {
        Entry::One(command) => change(command),
        Entry::Many(commands) => commands.iter_mut().for_each(change),
    }
}

/// Entries.
const SEGMENT: u64 = 8;

const PLAIN: &str = workload!("", "count = 2", "count = 2\nservice = \"10ms\"", "");

const POWER_LOSS: &str = workload!(
    "",
    "count = 2",
    "count = 2\nservice = \"30ms\"",
    "[[fault]]\nkind = \"power-loss\"\nat = \"2s\"\nfor = \"300ms\"\n[[fault]]\nkind = \"power-loss\"\nat = \"5s\"\nfor = \"300ms\""
);
