//! The suite of every adapter, on smol.

use std::future::Future;

use tideway_smol::Smol;

#[path = "../../async-io/tests/support/suite.rs"]
mod support;

use support::suite;

suite!(run);

fn run<F: Future<Output = ()>>(test: impl FnOnce(Smol) -> F) {
    smol::block_on(test(Smol::default()));
}
