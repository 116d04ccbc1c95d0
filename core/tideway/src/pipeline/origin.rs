//! Where requests come from: a connection, as the pipeline knows it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tideway_engine::{Rng, Seed};

use super::Pipeline;
use crate::request::Peer;

/// What the exchanges of one connection share: the pipeline, the peer, a stream of randomness.
///
/// One reference count per request serves all three.
pub struct Origin {
    pipeline: Arc<Pipeline>,
    peer: Peer,
    /// The peer as text, made for the first log line of the connection.
    peer_text: OnceLock<Box<str>>,
    entropy: Mutex<Entropy>,
}

/// A seed until the first draw makes a generator of it, so that a silent connection stays small.
enum Entropy {
    Seed(Seed),
    Rng(Box<Rng>),
}

impl Origin {
    /// The origin of requests by `peer`. `seed` is a fork of the server's generator.
    #[must_use]
    pub fn new(pipeline: Arc<Pipeline>, peer: Peer, seed: Seed) -> Arc<Self> {
        Arc::new(Self {
            pipeline,
            peer,
            peer_text: OnceLock::new(),
            entropy: Mutex::new(Entropy::Seed(seed)),
        })
    }

    /// The application.
    #[must_use]
    pub fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The peer as logs show it.
    #[must_use]
    pub fn peer_text(&self) -> &str {
        self.peer_text.get_or_init(|| self.peer.to_string().into())
    }

    /// A stream of its own for whoever needs more than an id.
    #[must_use]
    pub fn fork(&self) -> Seed {
        self.draw(Rng::fork)
    }

    /// 128 bits, for an id.
    #[must_use]
    pub fn entropy(&self) -> u128 {
        self.draw(|rng| u128::from(rng.u64()) << 64 | u128::from(rng.u64()))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entropy::Seed(seed) = &*entropy {
            *entropy = Entropy::Rng(Box::new(Rng::new(seed)));
        }
        match &mut *entropy {
            Entropy::Rng(rng) => draw(rng),
            // Just replaced.
            Entropy::Seed(seed) => draw(&mut Rng::new(seed)),
        }
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({})", self.peer)
    }
}
