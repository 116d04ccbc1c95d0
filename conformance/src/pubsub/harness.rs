//! What the author of a broker's backend writes: how to open a handle, and how to run a future.

use std::error::Error;
use std::future::{Future, ready};

use tideway::BoxFuture;
use tideway::pubsub::{Channel, DynPubSub, Limits, PubSub};

/// Why a handle cannot be opened. A case fails with its message: a missing service is never skipped.
pub type OpenError = Box<dyn Error + Send + Sync>;

/// A broker under test and the runtime it runs on. The suite makes one for each case; the names of channels are
/// each case's own, so cases may share a server.
///
/// ```
/// use tideway::BoxFuture;
/// use tideway::pubsub::{Channel, Limits};
/// use tideway_conformance::pubsub::{Harness, OpenError};
/// use tideway_memory::{Broker, Node};
///
/// #[derive(Default)]
/// struct InMemory(Broker);
///
/// impl Harness for InMemory {
///     type PubSub = Node;
///
///     async fn open(&self) -> Result<Node, OpenError> {
///         Ok(self.0.node_with(self.limits()))
///     }
///
///     fn limits(&self) -> Limits {
///         Limits::default().messages(256)
///     }
///
///     fn block_on(&self, task: BoxFuture<'_, ()>) {
///         smol::block_on(task);
///     }
/// }
/// ```
pub trait Harness: Send + Sync + 'static {
    /// A handle.
    type PubSub: PubSub;

    /// Another handle on the broker. Several are open at a time.
    fn open(&self) -> impl Future<Output = Result<Self::PubSub, OpenError>> + Send;

    /// What the queue of such a handle holds. Keep it small, some hundred messages: the suite fills it.
    fn limits(&self) -> Limits;

    /// How many handles are subscribed to `channel`, if the broker can say. Without it nobody sees what a handle leaves
    /// behind, and two cases are skipped.
    fn subscribers(&self, channel: &Channel) -> impl Future<Output = Option<usize>> + Send {
        let _ = channel;
        ready(None)
    }

    /// Cuts all handles off the broker, as the end of its server would, and keeps them so until
    /// [`heal`](Harness::heal); `false` if that cannot be done, and the cases that need it are skipped.
    fn cut(&self) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// Lets them connect again.
    fn heal(&self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Runs `task` to its end on the calling thread, with the runtime running.
    fn block_on(&self, task: BoxFuture<'_, ()>);
}

/// A [`Harness`] whose broker has no type.
pub(super) trait Erased: Send + Sync {
    fn open(&self) -> BoxFuture<'_, Result<DynPubSub, OpenError>>;
    fn limits(&self) -> Limits;
    fn subscribers<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Option<usize>>;
    fn cut(&self) -> BoxFuture<'_, bool>;
    fn heal(&self) -> BoxFuture<'_, ()>;
    fn block_on(&self, task: BoxFuture<'_, ()>);
}

impl<H: Harness> Erased for H {
    fn open(&self) -> BoxFuture<'_, Result<DynPubSub, OpenError>> {
        Box::pin(async { Harness::open(self).await.map(DynPubSub::new) })
    }

    fn limits(&self) -> Limits {
        Harness::limits(self)
    }

    fn subscribers<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Option<usize>> {
        Box::pin(Harness::subscribers(self, channel))
    }

    fn cut(&self) -> BoxFuture<'_, bool> {
        Box::pin(Harness::cut(self))
    }

    fn heal(&self) -> BoxFuture<'_, ()> {
        Box::pin(Harness::heal(self))
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        Harness::block_on(self, task);
    }
}
