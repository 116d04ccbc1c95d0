//! The broker in memory as the suite opens it.

use tideway::BoxFuture;
use tideway::pubsub::{Channel, Limits};
use tideway_conformance::pubsub::{Harness, OpenError};
use tideway_memory::{Broker, Node};

/// A broker of one case's own.
pub(crate) struct OnMemory {
    broker: Broker,
    block_on: fn(BoxFuture<'_, ()>),
}

impl OnMemory {
    pub(crate) fn new(block_on: fn(BoxFuture<'_, ()>)) -> Self {
        let broker = Broker::default();
        Self { broker, block_on }
    }
}

impl Harness for OnMemory {
    type PubSub = Node;

    async fn open(&self) -> Result<Node, OpenError> {
        Ok(self.broker.node_with(self.limits()))
    }

    fn limits(&self) -> Limits {
        Limits::default().messages(256).bytes(2 << 20)
    }

    async fn subscribers(&self, channel: &Channel) -> Option<usize> {
        Some(self.broker.subscribers(channel))
    }

    async fn cut(&self) -> bool {
        self.broker.stop();
        true
    }

    async fn heal(&self) {
        self.broker.start();
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        (self.block_on)(task);
    }
}
