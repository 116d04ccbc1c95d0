//! How the counts of queues change in one call: written once, at its end.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tideway_engine::jobs::State;

type Counts = [i64; State::ALL.len()];

/// The changes so far.
#[derive(Default)]
pub(super) struct Tally {
    /// The queue that was counted last: mostly the one that is counted next.
    recent: Option<(Box<str>, Counts)>,
    others: BTreeMap<Box<str>, Counts>,
}

impl Tally {
    /// `by` more jobs of `queue` are in `state`.
    pub(super) fn add(&mut self, queue: &str, state: State, by: i64) {
        self.of(queue)[usize::from(state.code())] += by;
    }

    /// A job of `queue` went from one state into another.
    pub(super) fn moved(&mut self, queue: &str, from: State, to: State) {
        let counts = self.of(queue);
        counts[usize::from(from.code())] -= 1;
        counts[usize::from(to.code())] += 1;
    }

    fn of(&mut self, queue: &str) -> &mut Counts {
        let counted = match self.recent.take() {
            Some(recent) if *recent.0 == *queue => recent,
            other => {
                self.others.extend(other);
                let known = self.others.remove_entry(queue);
                known.unwrap_or_else(|| (queue.into(), Counts::default()))
            }
        };
        &mut self.recent.insert(counted).1
    }

    /// The change of one count.
    pub(super) fn get(&self, queue: &str, state: State) -> i64 {
        let recent = self.recent.as_ref().filter(|(name, _)| **name == *queue);
        let counts = recent.map(|(_, counts)| counts);
        let counts = counts.or_else(|| self.others.get(queue));
        counts.map_or(0, |counts| counts[usize::from(state.code())])
    }

    /// Writes the changes.
    pub(super) fn write(self, db: &Connection) -> rusqlite::Result<()> {
        let mut add = db.prepare_cached(
            "INSERT INTO tally (queue, state, n) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET n = n + excluded.n",
        )?;
        for (queue, counts) in self.others.into_iter().chain(self.recent) {
            for (state, by) in State::ALL.into_iter().zip(counts) {
                if by != 0 {
                    add.execute(params![&*queue, state.code(), by])?;
                }
            }
        }
        Ok(())
    }
}
