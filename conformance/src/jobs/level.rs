//! What a store may be asked to prove, level by level, and when a level is run, skipped or refused.

use tideway_engine::jobs::call::{Caps, Durability};

/// A group of guarantees. [`Level::L0`] is what every store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Enqueue, claim, settle, beat, reap, cancel: what no worker can do without.
    L0,
    /// Many items in one call.
    Batch,
    /// [`Caps::unique`].
    Unique,
    /// [`Caps::cron`].
    Cron,
    /// What persons ask for: cancel, reschedule, revive, delete, pause; and the numbers they look at.
    Control,
    /// [`Caps::list`].
    List,
    /// [`Caps::limits`].
    Limits,
    /// [`Caps::waits`].
    Waits,
    /// [`Caps::wakeups`].
    Wake,
    /// Exact times, with [`Harness::clock`](super::Harness::clock).
    Time,
    /// [`Caps::durability`] above memory, with [`Harness::reopen`](super::Harness::reopen),
    /// [`Harness::namespace`](super::Harness::namespace) and [`Harness::open_at`](super::Harness::open_at).
    Durable,
    /// Many clients at once.
    Stress,
}

/// Whether a case of a level is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Run,
    /// Neither declared nor listed.
    Skip(String),
    /// Declared and listed do not agree: expected, actual, why.
    Refuse(String, String, &'static str),
}

impl Level {
    /// All of them.
    pub const ALL: &'static [Level] = &[
        Level::L0,
        Level::Batch,
        Level::Unique,
        Level::Cron,
        Level::Control,
        Level::List,
        Level::Limits,
        Level::Waits,
        Level::Wake,
        Level::Time,
        Level::Durable,
        Level::Stress,
    ];

    /// What the store says about it; `None` if `caps` has no word for it.
    fn declared(self, caps: &Caps) -> Option<bool> {
        match self {
            Level::Unique => Some(caps.unique),
            Level::Cron => Some(caps.cron),
            Level::List => Some(caps.list),
            Level::Limits => Some(caps.limits),
            Level::Waits => Some(caps.waits),
            Level::Wake => Some(caps.wakeups),
            Level::Durable => Some(caps.durability > Durability::Memory),
            Level::L0 | Level::Batch | Level::Control | Level::Time | Level::Stress => None,
        }
    }

    pub(super) fn admit(self, listed: &[Level], caps: &Caps) -> Admission {
        let is_listed = listed.contains(&self);
        match self.declared(caps) {
            _ if self == Level::L0 && !is_listed => Admission::Refuse(
                "L0 among the levels".into(),
                format!("{listed:?}"),
                "without it nothing else means anything",
            ),
            Some(true) if !is_listed => Admission::Refuse(
                format!("{self:?} among the levels, since `caps` declares it"),
                format!("{listed:?}"),
                "what is declared is used, so it has to be proven",
            ),
            Some(false) if is_listed => Admission::Refuse(
                format!("`caps` declares what the level {self:?} tests"),
                format!("{caps:?}"),
                "workers use only what is declared, so the proof would be of no use",
            ),
            Some(false) => Admission::Skip(format!("`caps` does not declare {self:?}")),
            None if !is_listed => Admission::Skip(format!("{self:?} is not among the levels")),
            _ => Admission::Run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Caps = Caps {
        durability: Durability::Memory,
        unique: false,
        cron: false,
        limits: false,
        waits: false,
        list: false,
        wakeups: false,
        max_batch: 100,
        max_payload: 1 << 20,
    };

    #[test]
    fn what_is_declared_is_proven_and_what_is_not_is_skipped() {
        let unique = Caps {
            unique: true,
            ..PLAIN
        };
        let both = [Level::L0, Level::Unique];
        assert_eq!(Level::Unique.admit(&both, &unique), Admission::Run);
        let l0 = [Level::L0];
        assert!(matches!(
            Level::Unique.admit(&l0, &unique),
            Admission::Refuse(..)
        ));
        assert!(matches!(
            Level::Unique.admit(&l0, &PLAIN),
            Admission::Skip(_)
        ));
        assert!(matches!(
            Level::Unique.admit(&both, &PLAIN),
            Admission::Refuse(..)
        ));
        assert!(matches!(
            Level::Stress.admit(&l0, &PLAIN),
            Admission::Skip(_)
        ));
        assert!(matches!(
            Level::L0.admit(&[], &PLAIN),
            Admission::Refuse(..)
        ));
    }
}
