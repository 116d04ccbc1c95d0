//! A closed table of named deadlines, one slot each. It never sleeps: it says which comes next.

use crate::time::Mono;

/// `N` deadlines, each running or not, each with a name a person can read in a log.
///
/// The next one is a minimum over `N` slots: with a handful of them cheaper than any heap.
///
/// ```
/// use std::time::Duration;
/// use tideway_engine::{Mono, Timers};
///
/// let mut timers = Timers::new(&["ping", "idle"]);
/// let soon = Mono::START.plus(Duration::from_secs(1));
/// timers.set(1, soon);
/// assert_eq!(timers.next_named(), Some((soon, "idle")));
/// assert_eq!(timers.expired(soon), Some(1));
/// assert_eq!(timers.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Timers<const N: usize> {
    at: [Option<Mono>; N],
    names: &'static [&'static str; N],
}

impl<const N: usize> Timers<N> {
    /// A table with nothing running.
    #[must_use]
    pub const fn new(names: &'static [&'static str; N]) -> Self {
        Self {
            at: [None; N],
            names,
        }
    }

    /// Starts slot `i`, or moves it.
    ///
    /// # Panics
    ///
    /// If there is no slot `i`; so do [`Timers::clear`] and [`Timers::get`].
    #[inline]
    pub fn set(&mut self, i: usize, at: Mono) {
        self.at[i] = Some(at);
    }

    /// Stops slot `i`.
    #[inline]
    pub fn clear(&mut self, i: usize) {
        self.at[i] = None;
    }

    /// When slot `i` is due, if it runs.
    #[inline]
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Mono> {
        self.at[i]
    }

    /// The earliest deadline and its slot; of equal ones the lowest slot.
    #[inline]
    #[must_use]
    pub fn next(&self) -> Option<(Mono, usize)> {
        let mut next = None;
        for (i, at) in self.at.iter().enumerate() {
            if let Some(at) = *at
                && next.is_none_or(|(earliest, _)| at < earliest)
            {
                next = Some((at, i));
            }
        }
        next
    }

    /// The earliest deadline and its name.
    #[inline]
    #[must_use]
    pub fn next_named(&self) -> Option<(Mono, &'static str)> {
        self.next().map(|(at, i)| (at, self.names[i]))
    }

    /// The earliest slot that is due at `now`, which it stops. Call it until `None`.
    #[inline]
    pub fn expired(&mut self, now: Mono) -> Option<usize> {
        let (at, i) = self.next()?;
        if at > now {
            return None;
        }
        self.clear(i);
        Some(i)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static NAMES: [&str; 4] = ["a", "b", "c", "d"];

    proptest! {
        #[test]
        fn expiry_is_in_order_and_complete(
            set in prop::collection::vec((0..4_usize, prop::option::of(1..100_u64)), 0..20),
            now in 1..100_u64,
        ) {
            let mut timers = Timers::new(&NAMES);
            let mut model = [None; 4];
            for (i, at) in set {
                model[i] = at;
                match at {
                    Some(at) => timers.set(i, Mono::from_nanos(at)),
                    None => timers.clear(i),
                }
            }
            let mut due: Vec<_> = (0..4).filter_map(|i| Some((model[i]?, i))).collect();
            due.sort_unstable();
            prop_assert_eq!(timers.next().map(|(at, i)| (at.as_nanos(), i)), due.first().copied());
            prop_assert_eq!(timers.next_named().map(|(_, name)| name), due.first().map(|&(_, i)| NAMES[i]));
            due.retain(|&(at, _)| at <= now);
            for (_, i) in due {
                prop_assert_eq!(timers.expired(Mono::from_nanos(now)), Some(i));
                prop_assert_eq!(timers.get(i), None);
            }
            prop_assert_eq!(timers.expired(Mono::from_nanos(now)), None);
            prop_assert!(timers.next().is_none_or(|(at, _)| at.as_nanos() > now));
        }
    }
}
