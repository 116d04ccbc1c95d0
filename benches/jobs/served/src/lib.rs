//! What every benchmarked queue on a server shares: the command line, the payload that knows its number, the
//! phases in which jobs are enqueued and worked off, what the server spent on them, and the line of results.
//! Knows no queue and starts no server.

mod args;
mod phases;
mod run;
mod server;
mod watch;
mod work;

pub use args::{Args, Mode, args};
pub use phases::{Queue, main, runtime};
pub use run::{Run, run};
pub use server::Server;
pub use watch::{Lap, Watch, percentile, print, rates};
pub use work::Work;
