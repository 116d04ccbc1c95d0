//! How a delay is spread, so that jobs which failed together do not return together. It only says
//! between which milliseconds; the draw is the policy's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::stored;
use crate::jobs::spec::whole_millis;

/// Between which delays the draw is made, for a delay d after the cap was applied.
///
/// Where a spread would cross the cap it ends there, and stays even: delays never pile up on the cap.
/// Stored under the names in lower case: `"full"`, `{"proportional":10}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Jitter {
    /// Just d.
    None,
    /// From 0 to d.
    Full,
    /// From half of d to d.
    Equal,
    /// So many percent of d less or more; 100 at most.
    Proportional(u8),
    /// From d to so much more; not zero, not above the cap. The backoff stops that much below the cap,
    /// so that there is room for it.
    Add(#[serde(with = "stored::millis")] Duration),
}

impl Jitter {
    /// The ends of the spread around `delay`, none above `cap`; in milliseconds.
    pub(super) fn around(self, delay: u64, cap: u64) -> (u64, u64) {
        let delay = delay.min(cap);
        match self {
            Self::None => (delay, delay),
            Self::Full => (0, delay),
            Self::Equal => (delay - delay / 2, delay),
            Self::Proportional(percent) => {
                let part = u128::from(delay) * u128::from(percent) / 100;
                let part = u64::try_from(part).unwrap_or(u64::MAX);
                let longest = delay.saturating_add(part).min(cap);
                (delay.saturating_sub(part), longest)
            }
            Self::Add(most) => {
                let most = whole_millis(most).min(cap);
                let delay = delay.min(cap - most);
                (delay, delay + most)
            }
        }
    }
}
