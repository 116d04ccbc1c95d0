//! Notes in memory, newest first. The lock is held for a lookup, never while text is searched or sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tideway::Wall;

use crate::draft::Draft;

/// A note as it is kept and sent. Times are milliseconds since 1970.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Note {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) tags: Vec<String>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// All text in lower case, made once for every search.
    #[serde(skip)]
    folded: String,
}

impl Note {
    fn new(id: u64, draft: Draft, created: i64, Wall(updated): Wall) -> Arc<Self> {
        let Draft { title, text, tags } = draft;
        let folded = format!("{title}\n{text}\n{}", tags.join("\n")).to_lowercase();
        Arc::new(Self {
            id,
            title,
            text,
            tags,
            created,
            updated,
            folded,
        })
    }

    /// Whether `text`, which is in lower case, is in any part of it.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.folded.contains(text)
    }
}

/// The store is full.
#[derive(Debug, PartialEq)]
pub(crate) struct Full {
    pub(crate) capacity: usize,
}

/// All notes; clones share them.
#[derive(Clone)]
pub(crate) struct Store {
    notes: Arc<Mutex<Notes>>,
    capacity: usize,
}

#[derive(Default)]
struct Notes {
    last: u64,
    by_id: BTreeMap<u64, Arc<Note>>,
}

impl Store {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            notes: Arc::default(),
            capacity,
        }
    }

    fn locked(&self) -> MutexGuard<'_, Notes> {
        // Every change is one call of the map, so a panic tears nothing.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, draft: Draft, now: Wall) -> Result<Arc<Note>, Full> {
        let mut notes = self.locked();
        if notes.by_id.len() >= self.capacity {
            let capacity = self.capacity;
            return Err(Full { capacity });
        }
        notes.last += 1;
        let note = Note::new(notes.last, draft, now.0, now);
        notes.by_id.insert(note.id, note.clone());
        Ok(note)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Note>> {
        self.locked().by_id.get(&id).cloned()
    }

    /// `None` if there is no such note.
    pub(crate) fn replace(&self, id: u64, draft: Draft, now: Wall) -> Option<Arc<Note>> {
        let mut notes = self.locked();
        let old = notes.by_id.get_mut(&id)?;
        *old = Note::new(id, draft, old.created, now);
        Some(old.clone())
    }

    pub(crate) fn remove(&self, id: u64) -> Option<Arc<Note>> {
        self.locked().by_id.remove(&id)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.locked().by_id.len()
    }

    /// All notes as they are now, newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Note>> {
        self.locked().by_id.values().rev().cloned().collect()
    }

    /// Up to `count` notes with a smaller id than `before`, newest first.
    pub(crate) fn before(&self, before: u64, count: usize) -> Vec<Arc<Note>> {
        let notes = self.locked();
        let older = notes.by_id.range(..before).rev();
        older.take(count).map(|(_, note)| note.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(title: &str) -> Draft {
        let title = title.to_owned();
        Draft {
            title,
            ..Draft::default()
        }
    }

    #[test]
    fn an_id_is_never_given_twice_and_the_cap_holds() {
        let store = Store::with_capacity(2);
        let first = store.add(draft("a"), Wall(1)).expect("room");
        store.add(draft("b"), Wall(2)).expect("room");
        let full = store.add(draft("c"), Wall(3));
        assert_eq!(full, Err(Full { capacity: 2 }));
        assert!(store.remove(first.id).is_some());
        assert!(store.remove(first.id).is_none());
        assert_eq!(store.add(draft("c"), Wall(4)).expect("room").id, 3);
        let ids: Vec<_> = store.all().iter().map(|note| note.id).collect();
        assert_eq!(ids, [3, 2]);
        assert_eq!(store.before(3, 9)[0].id, 2);
    }

    #[test]
    fn a_replaced_note_keeps_its_birthday() {
        let store = Store::with_capacity(9);
        let note = store.add(draft("Old"), Wall(1)).expect("room");
        let new = store
            .replace(note.id, draft("New"), Wall(5))
            .expect("there");
        assert_eq!(
            (new.created, new.updated, new.title.as_str()),
            (1, 5, "New")
        );
        assert!(new.says("new") && !new.says("old"));
        assert!(store.replace(7, draft("x"), Wall(5)).is_none());
    }
}
