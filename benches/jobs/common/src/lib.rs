//! What every benchmarked job queue shares: the command line, the payload, the stop-watch and the line of
//! results. Knows no queue.

mod args;
mod watch;
mod work;

pub use args::{Args, args};
pub use bench_common::allocations;
pub use watch::{Lap, Watch, report};
pub use work::{Done, Work};
