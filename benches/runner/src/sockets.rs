//! `ws`: WebSocket servers side by side. Each is started on its core and driven from the other; what counts are messages
//! per second of the server's processor time, ours and the others in turns, ours twice.

mod cell;
mod engine;
mod frame;
mod idle;
mod instructions;
mod load;
mod options;
mod peer;
mod report;
mod run;
mod stalled;

use crate::{Outcome, build, machine};
use options::Part;

pub(crate) fn main(words: impl Iterator<Item = String>) -> Outcome<()> {
    let options = options::parse(words)?;
    machine::prepare()?;
    if options.build {
        for peer in &options.peers {
            build::build(peer, build::Flavour::Plain)?;
        }
    }
    print!("{}", machine::description());
    for cell in &options.cells {
        let results = run::cell(cell, &options)?;
        print!("{}", report::cell(cell, &results, &options));
    }
    if options.parts.contains(&Part::Idle) {
        print!("{}", idle::run(&options)?);
    }
    if options.parts.contains(&Part::Stalled) {
        print!("{}", stalled::run(&options)?);
    }
    if options.parts.contains(&Part::Instructions) {
        print!("{}", instructions::run(&options)?);
    }
    if options.parts.contains(&Part::Engine) {
        print!("{}", engine::run(&options)?);
    }
    Ok(())
}
