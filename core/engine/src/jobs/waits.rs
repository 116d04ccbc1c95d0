//! What a new job still waits for, by the states of the jobs it names. Looks nothing up.

use super::{Id, Spec, State, WaitFailed};

/// What a job still waits for when it is enqueued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// What has not ended, or not well enough, each once.
    pub left: Vec<Id>,
    /// The first of it that has failed already.
    pub failed: Option<Id>,
    /// The first of all that is not in the store.
    pub unknown: Option<Id>,
}

impl Spec {
    /// What it waits for when the jobs of [`Spec::waits`] are in these states, in that order; `None` for one that is
    /// not in the store.
    #[must_use]
    pub fn waits_on(&self, states: impl IntoIterator<Item = Option<State>>) -> Waits {
        let mut waits = Waits::default();
        for (id, state) in self.waits.iter().copied().zip(states) {
            let Some(state) = state else {
                waits.unknown = waits.unknown.or(Some(id));
                continue;
            };
            let failed = matches!(state, State::Dead | State::Cancelled);
            let over = state == State::Succeeded || failed && self.wait_failed == WaitFailed::Run;
            if !over && !waits.left.contains(&id) {
                waits.left.push(id);
                if failed {
                    waits.failed = waits.failed.or(Some(id));
                }
            }
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Name;

    fn id(n: u128) -> Id {
        Id::from_u128(n)
    }

    fn waiting_for(ids: &[u128], wait_failed: WaitFailed) -> Spec {
        let name = || Name::new("mail").expect("a name");
        Spec {
            waits: ids.iter().copied().map(id).collect(),
            wait_failed,
            ..Spec::new(id(9), name(), name())
        }
    }

    #[test]
    fn what_has_not_ended_is_left_once() {
        let spec = waiting_for(&[1, 2, 3, 2, 4], WaitFailed::Cancel);
        let states = [
            State::Succeeded,
            State::Pending,
            State::Running,
            State::Pending,
            State::Waiting,
        ];
        let waits = spec.waits_on(states.map(Some));
        assert_eq!(waits.left, [id(2), id(3), id(4)]);
        assert_eq!((waits.failed, waits.unknown), (None, None));
    }

    #[test]
    fn a_failure_is_left_unless_the_job_runs_all_the_same() {
        let states = [
            Some(State::Running),
            Some(State::Dead),
            Some(State::Cancelled),
            None,
            None,
        ];
        let ids = [1, 2, 3, 4, 5];
        let waits = waiting_for(&ids, WaitFailed::Cancel).waits_on(states);
        assert_eq!(waits.left, [id(1), id(2), id(3)]);
        assert_eq!((waits.failed, waits.unknown), (Some(id(2)), Some(id(4))));
        let waits = waiting_for(&ids, WaitFailed::Run).waits_on(states);
        assert_eq!((waits.left, waits.failed), (vec![id(1)], None));
    }
}
