//! One program on any of the runtimes.

use std::future::Future;

use tideway_async_std::AsyncStd;
use tideway_driver::Runtime;
use tideway_examples::On;
use tideway_smol::Smol;
use tideway_tokio::Tokio;

use crate::Fail;

/// A program that does not name its runtime.
pub(crate) trait Program {
    fn run<R: Runtime>(self, rt: R) -> impl Future<Output = Result<(), Fail>>;
}

/// Runs `program` to its end.
pub(crate) fn run(on: On, program: impl Program) -> Result<(), Fail> {
    match on {
        On::AsyncStd => async_std::task::block_on(program.run(AsyncStd::default())),
        On::Smol => smol::block_on(program.run(Smol::default())),
        _ => {
            let runtime = tokio::runtime::Runtime::new()?;
            let done = runtime.block_on(async { program.run(Tokio::current()).await });
            // A handler that blocks its thread is left behind, not waited for.
            runtime.shutdown_background();
            done
        }
    }
}
