//! What a wire needs whatever it carries: which deadline runs now. No bytes pass through here,
//! only their counts.

mod cut;
mod limits;
mod phase;
mod watch;

pub use cut::Cut;
pub use limits::Limits;
pub use watch::Watch;

pub(crate) use phase::{Event, Phase};
