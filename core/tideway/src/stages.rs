//! The stages every application starts with, outermost first.
//!
//! | stage | what it does |
//! |---|---|
//! | [`RequestIds`] | a UUIDv7 per request, in `x-request-id`, logs and error documents |
//! | [`AccessLog`] | one line at the end of every exchange, aborted ones included |
//! | [`Accounts`] | counts: in flight, completed, aborted, panicked |
//! | [`HostRules`] | exactly one well-formed `Host` in HTTP/1.1 |
//! | [`Timeouts`] | named deadlines, per route |
//! | [`BodyLimit`] | a cap on the request body, per route, mid-stream too |

mod access_log;
mod accounts;
mod body_limit;
mod host;
mod request_id;
mod timeouts;

pub use access_log::AccessLog;
pub use accounts::{Accounts, Counts};
pub use body_limit::{BodyLimit, MaxBody};
pub use host::HostRules;
pub use request_id::RequestIds;
pub use timeouts::{TimeoutLimits, Timeouts};

use crate::pipeline::Stage;

/// A fresh set of the default stages, in order.
#[must_use]
pub fn default_stages() -> Vec<Box<dyn Stage>> {
    vec![
        Box::new(RequestIds::default()),
        Box::new(AccessLog),
        Box::new(Accounts::default()),
        Box::new(HostRules),
        Box::new(Timeouts::default()),
        Box::new(BodyLimit),
    ]
}
