//! Runs a case on a broker.

use std::sync::Arc;

use tideway::BoxFuture;

use super::harness::Erased;
use super::{CASES, Cx, Harness};
use crate::judge::{Came, Judged, judge, record};

/// One guarantee.
pub struct Case {
    /// The chapter it belongs to.
    pub chapter: &'static str,
    /// The sentence, with underscores.
    pub name: &'static str,
    #[doc(hidden)]
    pub run: for<'a> fn(&'a Cx) -> BoxFuture<'a, Came>,
}

/// A broker under test; [`pubsub_suite!`](crate::pubsub_suite) makes one for each case.
pub struct Suite {
    name: &'static str,
    results: Option<&'static str>,
    harness: Arc<dyn Erased>,
}

impl Suite {
    /// The suite over `harness`. `results` is Cargo's directory for test files.
    pub fn new(name: &'static str, results: Option<&'static str>, harness: impl Harness) -> Self {
        Self {
            name,
            results,
            harness: Arc::new(harness),
        }
    }

    /// Runs the case of this name and writes down its result.
    ///
    /// # Panics
    ///
    /// As the case does, or if there is none of this name.
    pub fn case(self, name: &str) {
        let Some(case) = CASES.iter().find(|case| case.name == name) else {
            panic!("no case is called {name:?}");
        };
        let (results, suite) = (self.results, format!("pubsub/{}", self.name));
        record(results, &suite, name, || self.judge(case));
    }

    /// Runs `case`; an error is what it panicked with.
    ///
    /// # Errors
    ///
    /// The panic of the case, or of a limit in time.
    pub fn judge(self, case: &'static Case) -> Judged {
        judge(case.name, "caller", move |tell| {
            let cx = Cx::new(self.harness.clone());
            self.harness.block_on(Box::pin(async {
                let came = (case.run)(&cx).await;
                let _ = tell.send(came);
            }));
        })
    }
}
