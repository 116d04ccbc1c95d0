//! `bench-runner -- jobs`: builds the job queues one at a time, runs them in turns and prints what they did as
//! Markdown. Every run ends: a queue that takes too long is killed and reported.

mod options;
mod peer;
mod report;
pub(crate) mod run;

use crate::Outcome;

/// Everything from the words after `jobs` to the report.
pub(crate) fn main(words: impl Iterator<Item = String>) -> Outcome<()> {
    let options = options::parse(words)?;
    if options.build {
        for package in peer::packages(&options.peers) {
            run::build(package, run::Flavour::Plain)?;
        }
        run::build("jobs-core", run::Flavour::Plain)?;
        run::build("jobs-core", run::Flavour::Counted)?;
        run::build("jobs-ours", run::Flavour::Counted)?;
    }
    let core = run::core()?;
    let runs = run::in_turns(&options)?;
    let counted = run::counted(&options)?;
    let instructions = if options.instructions {
        run::instructions(&options)?
    } else {
        Vec::new()
    };
    report::print(&options, &core, &runs, &counted, &instructions);
    Ok(())
}
