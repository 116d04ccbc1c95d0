//! `bench-runner -- jobs-redis` and `-- jobs-postgres`: starts the server with stated settings, runs the queues'
//! programs against it in turns, each alone and before an empty database, and prints what they did as Markdown.
//! Every run ends: a program that takes too long is killed, and what failed is in the report.

mod build;
mod options;
mod peer;
mod report;
mod run;
mod server;
mod targets;

use crate::Outcome;
pub(crate) use peer::Store;

/// Everything from the words after the mode to the report.
pub(crate) fn main(store: Store, words: impl Iterator<Item = String>) -> Outcome<()> {
    let mut options = options::parse(store, words)?;
    let skipped = build::all(&mut options)?;
    let mut all = Vec::new();
    for &keeping in server::Keeping::of(store) {
        if options.keeping.is_none_or(|only| only == keeping) {
            all.push(run::in_turns(&options, keeping)?);
        }
    }
    report::print(&options, &all, &skipped);
    Ok(())
}
