//! The last messages of each room that has members here: heard as a member hears them, so those of other nodes are in it too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tideway::Clock;
use tideway::ws::{Encoded, Room, RoomError};

/// Messages kept of a room.
const KEPT: usize = 50;
/// How every message begins; nothing else that is published does.
const MESSAGE: &[u8] = br#"{"type":"said""#;

/// The histories of all rooms. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Histories(Arc<Mutex<BTreeMap<String, VecDeque<Encoded>>>>);

impl Histories {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Encoded>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last messages, oldest first.
    pub(crate) fn of(&self, room: &Room) -> Vec<Encoded> {
        let all = self.all();
        let history = all.get(room.name().as_str());
        history.into_iter().flatten().cloned().collect()
    }

    /// Keeps the messages of `room` until nobody is in it.
    pub(crate) async fn keep(&self, room: &Room, clock: &Clock) -> Result<(), RoomError> {
        let name = room.name().to_string();
        if self.all().contains_key(&name) {
            return Ok(());
        }
        let mut listener = room.hub().listener();
        room.join(&listener).await?;
        // Of several that came at once, one keeps it.
        if self.all().insert(name.clone(), VecDeque::new()).is_some() {
            return Ok(());
        }
        let (histories, room) = (self.clone(), room.clone());
        clock.tasks().spawn(Box::pin(async move {
            while let Some(message) = listener.recv().await {
                if message.payload().starts_with(MESSAGE) {
                    if let Some(history) = histories.all().get_mut(&name) {
                        if history.len() == KEPT {
                            history.pop_front();
                        }
                        history.push_back(message);
                    }
                } else if room.members() <= 1 {
                    // What it heard is that the last one went.
                    break;
                }
            }
            histories.all().remove(&name);
        }));
        Ok(())
    }
}
