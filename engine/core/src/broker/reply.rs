//! Direct reply-to: answers go straight to the channel that asked, without a queue.

use std::sync::Arc;

use bytes::Bytes;

use super::Broker;
use crate::id::{ChannelId, ConnectionId, ConsumerId, MessageCopy, QueueId};
use crate::interface::{Output, Response};
use crate::message::Message;

/// The name of a channel's life: no answer reaches a later channel of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Address {
    incarnation: u32,
    channel: ChannelId,
    epoch: u32,
}

const PREFIX: &str = "direct-reply-to";

impl Broker {
    /// Registers the channel's consumer of answers.
    pub(super) fn consume_replies(
        &mut self,
        id: ChannelId,
        consumer: ConsumerId,
        no_ack: bool,
        out: &mut Vec<Output>,
    ) {
        if !no_ack {
            return self.fail_channel(id, 406, "replies are not acknowledged", out);
        }
        let Some(channel) = self.connections.channel_mut(id) else {
            return;
        };
        if channel.replies_to.is_some() {
            return self.fail_channel(id, 406, "the channel has a reply consumer already", out);
        }
        channel.replies_to = Some(consumer);
        out.push(Output::Client {
            channel: id,
            response: Response::Consuming { consumer },
        });
    }

    /// Fills in the publisher's address where a message asks for it. False if the channel does not consume replies, and is closed for that.
    #[inline(never)]
    pub(super) fn fill_reply_to(
        &mut self,
        id: ChannelId,
        message: &mut Message,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(properties) = &mut message.properties else {
            return true;
        };
        if properties.reply_to.as_ref().is_none_or(|to| !to.is_empty()) {
            return true;
        }
        let channel = self.connections.channel_mut(id);
        let Some(channel) = channel.filter(|channel| channel.replies_to.is_some()) else {
            self.fail_channel(id, 406, "the channel has no reply consumer", out);
            return false;
        };
        let address = Address {
            incarnation: self.incarnation,
            channel: id,
            epoch: channel.epoch,
        };
        Arc::make_mut(properties).reply_to = Some(address.write());
        true
    }

    /// Hands an answer over if its routing key is the address of a channel that still takes answers.
    #[inline(never)]
    pub(super) fn answer(&mut self, message: &Message, out: &mut Vec<Output>) -> bool {
        let Some(address) = Address::read(&message.routing_key) else {
            return false;
        };
        let id = address.channel;
        let Some(connection) = self.connections.get_mut(id.connection) else {
            return false;
        };
        let channel = connection.channel_mut(id.number);
        let Some(channel) = channel.filter(|channel| channel.epoch == address.epoch) else {
            return false;
        };
        let Some(consumer) = channel.replies_to else {
            return false;
        };
        if address.incarnation != self.incarnation {
            return false;
        }
        let delivery = channel.number_delivery();
        let exhausted = connection.spend(message.size());
        let copy = MessageCopy {
            queue: QueueId::REPLY_TO,
            serial: MessageCopy::first_serial(self.incarnation) + self.answers,
        };
        self.answers += 1;
        out.push(Output::Client {
            channel: id,
            response: Response::Deliver {
                consumer,
                delivery,
                redelivered: false,
                copy,
                message: message.clone(),
            },
        });
        if exhausted {
            self.refresh_connection(id.connection);
        }
        true
    }
}

impl Address {
    fn write(self) -> Bytes {
        let Address {
            incarnation,
            channel,
            epoch,
        } = self;
        let (connection, number) = (channel.connection.0, channel.number);
        format!("{PREFIX}.{incarnation}.{connection}.{number}.{epoch}").into()
    }

    fn read(key: &[u8]) -> Option<Address> {
        let mut parts = std::str::from_utf8(key).ok()?.split('.');
        if parts.next() != Some(PREFIX) {
            return None;
        }
        let mut number = || parts.next()?.parse::<u32>().ok();
        let incarnation = number()?;
        let channel = ChannelId {
            connection: ConnectionId(number()?),
            number: number()?.try_into().ok()?,
        };
        let epoch = number()?;
        let address = Address {
            incarnation,
            channel,
            epoch,
        };
        parts.next().is_none().then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_written_and_nothing_else_is_one() {
        let channel = ChannelId {
            connection: ConnectionId(7),
            number: 3,
        };
        let address = Address {
            incarnation: 2,
            channel,
            epoch: 11,
        };
        assert_eq!(Address::read(&address.write()), Some(address));
        for text in [
            "",
            "q",
            "direct-reply-to",
            "direct-reply-to.1.2.3",
            "direct-reply-to.1.2.65536.4",
            "direct-reply-to.1.2.3.4.5",
        ] {
            assert_eq!(Address::read(text.as_bytes()), None, "{text}");
        }
    }
}
