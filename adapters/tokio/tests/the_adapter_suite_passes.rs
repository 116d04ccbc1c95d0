//! The suite of every adapter, on both flavours of tokio.

#[path = "../../async-io/tests/support/suite.rs"]
mod support;

mod on_one_thread {
    use std::future::Future;

    use tideway_tokio::Tokio;
    use tokio::runtime::Builder;

    use crate::support::{self, suite};

    suite!(run);

    fn run<F: Future<Output = ()>>(test: impl FnOnce(Tokio) -> F) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { test(Tokio::current()).await });
    }
}

mod on_many_threads {
    use std::future::Future;

    use tideway_tokio::Tokio;
    use tokio::runtime::Builder;

    use crate::support::{self, suite};

    suite!(run);

    fn run<F: Future<Output = ()>>(test: impl FnOnce(Tokio) -> F) {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        let rt = Tokio::new(runtime.handle().clone());
        runtime.block_on(test(rt));
    }
}
