//! The suite of every adapter, on async-std.

use std::future::Future;

use tideway_async_std::AsyncStd;

#[path = "../../async-io/tests/support/suite.rs"]
mod support;

use support::suite;

suite!(run);

fn run<F: Future<Output = ()>>(test: impl FnOnce(AsyncStd) -> F) {
    async_std::task::block_on(test(AsyncStd::default()));
}
