//! Queues that come and go in the naive broker, and the history of dead letters.

use std::sync::Arc;

use super::*;

impl Queue {
    /// Does what the log says.
    pub(super) fn replay(&mut self, config: &QueueConfig, command: &Command) {
        match command {
            Command::Enqueue {
                copy,
                message,
                times,
            } => {
                let published = message
                    .properties
                    .as_ref()
                    .filter(|it| it.deaths.is_empty());
                if let Some(properties) = published {
                    let window = config.policy.deduplicate.is_some();
                    self.seen.add(properties, window, Time::ZERO);
                }
                self.copies.push(Copy {
                    serial: copy.serial,
                    message: message.clone(),
                    logged: true,
                    deliveries: 0,
                    redelivered: true,
                    times: *times,
                    place: None,
                    state: if times.due > WallTime::ZERO {
                        State::Delayed
                    } else {
                        State::Ready
                    },
                })
            }
            Command::Remove { copy } => self.copies.retain(|other| other.serial != copy.serial),
            Command::Return {
                copy,
                deliveries,
                due,
                place,
            } => {
                self.places = self.places.max(place.map_or(0, |place| place.1));
                if let Some(at) = self.copies.iter().position(|it| it.serial == copy.serial) {
                    let copy = &mut self.copies[at];
                    (copy.deliveries, copy.times.due) = (*deliveries, *due);
                    copy.place = *place;
                    copy.state = if *due > WallTime::ZERO {
                        State::Delayed
                    } else {
                        State::Ready
                    };
                }
            }
            Command::Delete { copy } => {
                self.copies.retain(|other| other.serial >= copy.serial);
                self.gone = true;
                self.seen = publishing::Seen::default();
            }
            Command::Declare { .. } => self.gone = false,
            _ => {}
        }
    }

    /// Where a message stands that comes back, if not where it was.
    pub(super) fn place_to_return(&mut self, requeue: Requeue, next: u64) -> Option<(u64, u64)> {
        let before = match requeue {
            Requeue::Original => return None,
            Requeue::Head => 0,
            Requeue::Tail => next,
        };
        self.places += 1;
        Some((before, self.places))
    }
}

impl Model {
    /// What the log told of identities counts as seen now.
    pub(crate) fn starts(&mut self, now: Time) {
        for queue in &mut self.queues {
            queue.seen.starts(now);
        }
    }

    pub(super) fn exists(&self, queue: QueueId) -> bool {
        self.queues
            .get(queue.index())
            .is_some_and(|queue| !queue.gone)
    }

    pub(super) fn declare(&mut self, id: ChannelId, queue: QueueId) {
        let Some(state) = self.queues.get_mut(queue.index()) else {
            return self.fail(id, 404, "no such queue");
        };
        state.last_used = self.clock.now;
        if std::mem::replace(&mut state.gone, false) {
            self.restore_bindings(queue);
            let state = &self.queues[queue.index()];
            let copy = MessageCopy {
                queue,
                serial: state.next_serial,
            };
            if self.config.queues[queue.index()].durability != Durability::None {
                self.commands.push(Command::Declare { copy });
                self.commit();
            }
        }
        self.declared(id, queue);
    }

    fn declared(&mut self, channel: ChannelId, queue: QueueId) {
        let state = &self.queues[queue.index()];
        let ready = state
            .copies
            .iter()
            .filter(|copy| copy.state == State::Ready);
        let response = Response::Declared {
            ready: ready.count() as u64,
            consumers: state.consumers.len() as u32,
        };
        self.expect(Output::Client { channel, response });
    }

    pub(super) fn purge(&mut self, id: ChannelId, queue: QueueId) {
        if !self.exists(queue) {
            return self.fail(id, 404, "no such queue");
        }
        for copy in &mut self.queues[queue.index()].copies {
            if ![State::Ready, State::Delayed].contains(&copy.state) {
                continue;
            }
            copy.state = State::Leaving;
            let name = MessageCopy {
                queue,
                serial: copy.serial,
            };
            self.effects
                .push((Effect::Remove(name, Removal::Purged), copy.logged));
            self.commands
                .extend(copy.logged.then_some(Command::Remove { copy: name }));
        }
        self.commit();
        self.declared(id, queue);
    }

    pub(super) fn delete(&mut self, queue: QueueId) {
        let state = &mut self.queues[queue.index()];
        let mut consumers = std::mem::take(&mut state.consumers);
        consumers.sort_by_key(Consumer::rank);
        state.groups.clear();
        for copy in &mut state.copies {
            copy.state = match copy.state {
                State::Ready | State::Delayed | State::Stalled => State::Leaving,
                State::InFlight => State::Settling,
                other => other,
            };
        }
        (state.gone, state.floor) = (true, state.next_serial);
        state.seen = publishing::Seen::default();
        let copy = MessageCopy {
            queue,
            serial: state.next_serial,
        };
        self.remove_bindings(queue);
        for consumer in consumers {
            let response = Response::Cancelled {
                consumer: consumer.id,
            };
            self.expect(Output::Client {
                channel: consumer.channel,
                response,
            });
        }
        let durable = self.config.queues[queue.index()].durability != Durability::None;
        self.effects.push((Effect::Delete(copy), durable));
        self.commands
            .extend(durable.then_some(Command::Delete { copy }));
        self.commit();
    }

    pub(super) fn finish_delete(&mut self, name: MessageCopy) {
        let queue = name.queue;
        let copies = std::mem::take(&mut self.queues[queue.index()].copies);
        let (gone, kept) = copies
            .into_iter()
            .partition(|copy: &Copy| copy.serial < name.serial);
        self.queues[queue.index()].copies = kept;
        let gone: Vec<Copy> = gone;
        for copy in gone {
            self.observe(Event::Removed {
                tag: copy.message.tag,
                copy: MessageCopy {
                    queue,
                    serial: copy.serial,
                },
                reason: Removal::Purged,
            });
        }
        self.observe(Event::QueueDeleted { queue });
    }

    /// Writes a death into a message's history.
    pub(super) fn bury(&self, message: &mut Message, queue: QueueId, reason: Death) {
        let mut properties = Properties::clone(&message.properties.clone().unwrap_or_default());
        (properties.ttl, properties.delay) = (None, None);
        let (earlier, others): (Vec<_>, Vec<_>) = properties
            .deaths
            .into_iter()
            .partition(|death| death.queue == queue && death.reason == reason);
        let newest = DeathRecord {
            queue,
            reason,
            count: 1 + earlier.first().map_or(0, |death| death.count),
            first: earlier
                .first()
                .map_or(self.clock.wall(), |death| death.first),
        };
        properties.deaths = std::iter::once(newest).chain(others).collect();
        message.properties = Some(Arc::new(properties));
    }

    /// The first dead letter of each target, if that has room for it.
    pub(super) fn resumable(&self) -> Vec<MessageCopy> {
        let mut firsts = BTreeMap::new();
        for (target, source, _) in &self.stalled {
            let copies = &self.queues[source.queue.index()].copies;
            let copy = copies.iter().find(|copy| copy.serial == source.serial);
            // What is gone with its queue waits no longer.
            if let Some(copy) = copy.filter(|copy| copy.state == State::Stalled) {
                let size = copy.message.size();
                firsts.entry(*target).or_insert((*source, size));
            }
        }
        firsts.retain(|target, (_, size)| {
            !self.exists(*target) || !self.refuses(*target) || self.has_room(*target, *size)
        });
        firsts.into_values().map(|(source, _)| source).collect()
    }

    /// Whether dead letters wait for room in a queue.
    pub(super) fn is_waited_for(&self, queue: QueueId) -> bool {
        let waits = |source: &MessageCopy| {
            let mut copies = self.queues[source.queue.index()].copies.iter();
            copies.any(|copy| copy.serial == source.serial && copy.state == State::Stalled)
        };
        let mut stalled = self.stalled.iter();
        stalled.any(|(target, source, _)| *target == queue && waits(source))
    }

    /// A dead letter that has waited goes on: the one that the outputs mention first.
    pub(super) fn resume_stalled(&mut self, outputs: &[Output]) {
        let resumable = self.resumable();
        let mentions = |output: &Output| match output {
            Output::Observe(Event::Proposed {
                from: Some(copy), ..
            })
            | Output::Observe(Event::Removed { copy, .. }) => {
                resumable.iter().copied().find(|other| other == copy)
            }
            Output::Persist { entry, .. } => {
                let mut commands = entry.commands().iter();
                commands.find_map(|command| {
                    resumable
                        .iter()
                        .copied()
                        .find(|other| *other == command.copy())
                })
            }
            _ => None,
        };
        // One that is not mentioned goes in silence: it is dropped, and that waits for the log.
        let mentioned = outputs.iter().find_map(mentions);
        let Some(source) = mentioned.or(resumable.first().copied()) else {
            panic!("nothing asked for {:?}", outputs[0]);
        };
        let at = self.stalled.iter().position(|(_, copy, _)| *copy == source);
        let (target, _, otherwise) = self.stalled.remove(at.unwrap());
        self.resuming = Some(target);
        let copy = self.copy(source);
        copy.state = State::Leaving;
        let (message, logged) = (copy.message.clone(), copy.logged);
        self.dead_letter(source, message, logged, true, Origin::Nobody, 0, otherwise);
        self.commit();
    }
}

/// True if a message would come back to where it died, without a rejection since.
pub(super) fn goes_round(message: &Message, target: QueueId) -> bool {
    let deaths = message
        .properties
        .as_ref()
        .map_or(Vec::new(), |it| it.deaths.clone());
    let rejection = deaths
        .iter()
        .position(|death| death.reason == Death::Rejected);
    let since = &deaths[..rejection.unwrap_or(deaths.len())];
    since.iter().any(|death| death.queue == target)
}
