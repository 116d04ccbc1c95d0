//! One tokio runtime with several threads for all tests of a program: a store's tasks outlive the future that opened it.
#![allow(
    dead_code,
    reason = "each test program that shares this file uses a part of it"
)]

use std::sync::LazyLock;

use tideway::BoxFuture;
use tideway_driver::Net;
use tideway_tokio::Tokio;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// As a harness wants it.
pub(crate) fn run(task: BoxFuture<'_, ()>) {
    RUNTIME.block_on(task);
}

/// On a runtime of its own, with one thread.
pub(crate) fn alone(task: BoxFuture<'_, ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(task);
}

pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> T {
    RUNTIME.block_on(task)
}

pub(crate) fn net() -> Net {
    Net::of(Tokio::new(RUNTIME.handle().clone()))
}
