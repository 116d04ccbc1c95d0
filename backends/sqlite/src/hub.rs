//! Hints between the handles that one process has on one file. Bounded, never waited for: a hint
//! that finds no room is dropped, as there is one already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_channel::{Receiver, Sender, TrySendError};
use tideway_engine::jobs::call::Wake;
use tideway_engine::jobs::{Id, Name, Owner};

/// Hints that one listener has not taken yet.
const ROOM: usize = 256;

/// What one transaction gives workers to look at; sent after the commit.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    pub(crate) queues: BTreeSet<Name>,
    pub(crate) cancels: Vec<(Owner, Id)>,
}

impl Hints {
    pub(crate) fn queue(&mut self, queue: &Name) {
        if !self.queues.contains(queue) {
            self.queues.insert(queue.clone());
        }
    }

    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.queues.append(&mut other.queues);
        self.cancels.append(&mut other.cancels);
    }
}

/// The listeners of one file.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<Vec<(Owner, Sender<Wake>)>>);

impl Hub {
    /// The hub of the file at `path`, shared by all handles of this process.
    pub(crate) fn of(path: &Path) -> Arc<Self> {
        static HUBS: Mutex<Vec<(PathBuf, Weak<Hub>)>> = Mutex::new(Vec::new());
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let mut hubs = HUBS.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|(_, hub)| hub.strong_count() > 0);
        let known = hubs.iter().find(|(of, _)| *of == path);
        if let Some(hub) = known.and_then(|(_, hub)| hub.upgrade()) {
            return hub;
        }
        let hub = Arc::new(Self::default());
        hubs.push((path, Arc::downgrade(&hub)));
        hub
    }

    pub(crate) fn listen(&self, owner: Owner) -> Receiver<Wake> {
        let (to, from) = async_channel::bounded(ROOM);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((owner, to));
        from
    }

    pub(crate) fn send(&self, hints: &Hints) {
        if hints.queues.is_empty() && hints.cancels.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(owner, to)| {
            let ours = hints.cancels.iter().filter(|(of, _)| of == owner);
            let ids: Vec<Id> = ours.map(|(_, id)| *id).collect();
            let cancel = (!ids.is_empty()).then_some(Wake::Cancel(ids));
            let queues = hints.queues.iter().cloned().map(Wake::Queue);
            let closed = |wake| matches!(to.try_send(wake), Err(TrySendError::Closed(_)));
            !cancel.into_iter().chain(queues).any(closed) && !to.is_closed()
        });
    }
}
