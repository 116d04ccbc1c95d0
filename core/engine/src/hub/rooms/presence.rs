//! Who is present in one topic: here, and in all as far as other nodes say.

use std::collections::BTreeMap;

use crate::jobs::Name;

/// The users of one topic.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Users here, with the number of their connections.
    here: BTreeMap<Name, u32>,
    /// Users anywhere, with the number of nodes they are on.
    all: BTreeMap<Name, u32>,
    /// The users that others believe here or not here, wrongly: what the next announcement corrects.
    changed: BTreeMap<Name, bool>,
    /// The version of the list that was announced last; 0 while there was none.
    pub(super) version: u64,
}

/// What changed in a list of users.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) came: Vec<Name>,
    pub(super) went: Vec<Name>,
}

impl Presence {
    pub(super) fn here(&self) -> usize {
        self.here.len()
    }

    pub(super) fn is_here(&self, user: &Name) -> bool {
        self.here.contains_key(user)
    }

    pub(super) fn total(&self) -> usize {
        self.all.len()
    }

    /// All users, in order.
    pub(super) fn users(&self) -> impl Iterator<Item = &Name> {
        self.all.keys()
    }

    /// The users here, in order.
    pub(super) fn own(&self) -> Vec<Name> {
        self.here.keys().cloned().collect()
    }

    /// One more connection of `user` here. Whether it is the first here, and the first anywhere.
    pub(super) fn enter(&mut self, user: &Name) -> (bool, bool) {
        let connections = self.here.entry(user.clone()).or_default();
        *connections += 1;
        if *connections > 1 {
            return (false, false);
        }
        self.change(user, true);
        (true, self.add(user))
    }

    /// One connection fewer. Whether it was the last here, and the last anywhere.
    pub(super) fn leave(&mut self, user: &Name) -> (bool, bool) {
        match self.here.get_mut(user) {
            None => return (false, false),
            Some(connections) if *connections > 1 => {
                *connections -= 1;
                return (false, false);
            }
            Some(_) => {
                self.here.remove(user);
            }
        }
        self.change(user, false);
        (true, self.remove(user))
    }

    /// One more node has `user`. Whether it is the first.
    pub(super) fn add(&mut self, user: &Name) -> bool {
        let nodes = self.all.entry(user.clone()).or_default();
        *nodes += 1;
        *nodes == 1
    }

    /// One node fewer has `user`. Whether it was the last.
    pub(super) fn remove(&mut self, user: &Name) -> bool {
        match self.all.get_mut(user) {
            Some(nodes) if *nodes > 1 => {
                *nodes -= 1;
                false
            }
            Some(_) => self.all.remove(user).is_some(),
            None => false,
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What to correct, once.
    pub(super) fn changes(&mut self) -> Changes {
        let (came, went): (Vec<_>, Vec<_>) = std::mem::take(&mut self.changed)
            .into_iter()
            .partition(|(_, here)| *here);
        let names = |list: Vec<(Name, bool)>| list.into_iter().map(|(user, _)| user).collect();
        Changes {
            came: names(came),
            went: names(went),
        }
    }

    /// Who comes and goes before it was announced never did.
    fn change(&mut self, user: &Name, here: bool) {
        if self.changed.remove(user).is_none() {
            self.changed.insert(user.clone(), here);
        }
    }
}
