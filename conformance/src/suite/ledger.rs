//! A stage that writes down every exchange and every end it is told of.
//!
//! It is what "`done` runs exactly once" is checked with: [`Accounts`](tideway::stages::Accounts) only
//! adds up, and a missing end and a doubled one would cancel out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tideway::pipeline::{Cx, End, Flow, Slot, Stage};

/// Everything that was begun, in order. Clones are the same ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Vec<Entry>>>);

/// One exchange.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path of the request.
    pub path: String,
    /// The status of the response, once there is one.
    pub status: Option<u16>,
    /// Every end it was told of; exactly one, once it is over.
    pub ends: Vec<End>,
}

impl Ledger {
    /// All exchanges so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// The exchanges of one path.
    #[must_use]
    pub fn of(&self, path: &str) -> Vec<Entry> {
        let mut entries = self.entries();
        entries.retain(|entry| entry.path == path);
        entries
    }

    /// How many exchanges have begun, and how many of them have not ended.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        let entries = self.lock();
        let open = entries.iter().filter(|entry| entry.ends.is_empty());
        (entries.len(), open.count())
    }

    /// The first exchange that has not ended exactly once.
    #[must_use]
    pub fn unbalanced(&self) -> Option<Entry> {
        let entries = self.lock();
        entries.iter().find(|entry| entry.ends.len() != 1).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage for Ledger {
    fn name(&self) -> &'static str {
        "ledger"
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let mut entries = self.lock();
        *cx.slot() = Slot::Word(entries.len() as u64);
        entries.push(Entry {
            path: cx.line().path().to_owned(),
            status: None,
            ends: Vec::new(),
        });
        Flow::Next
    }

    fn done(&self, cx: &mut Cx<'_>, end: &End) {
        let Slot::Word(place) = *cx.slot() else {
            return;
        };
        let entry = &mut self.lock()[place as usize];
        entry.status = cx.status().map(|status| status.as_u16());
        entry.ends.push(end.clone());
    }
}
