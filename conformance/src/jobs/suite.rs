//! Runs a case on a store.

use std::sync::Arc;

use tideway::BoxFuture;
use tideway::jobs::JobStore;

use super::cx::sure;
use super::harness::Erased;
use super::level::Admission;
use super::{CASES, Cx, Harness, Level, victim};
use crate::judge::{Came, Judged, judge, record};
use crate::suite::claim::fail;

/// One guarantee.
pub struct Case {
    /// The chapter it belongs to.
    pub chapter: &'static str,
    /// The sentence, with underscores.
    pub name: &'static str,
    /// Which stores it is asked of.
    pub level: Level,
    #[doc(hidden)]
    pub run: for<'a> fn(&'a Cx) -> BoxFuture<'a, ()>,
}

/// A store under test; [`job_store_suite!`](crate::job_store_suite) makes one for each case.
pub struct Suite {
    name: &'static str,
    results: Option<&'static str>,
    harness: Arc<dyn Erased>,
    levels: &'static [Level],
    module: Option<&'static str>,
}

impl Suite {
    /// The suite over `harness`. `results` is Cargo's directory for test files.
    pub fn new(
        name: &'static str,
        results: Option<&'static str>,
        harness: impl Harness,
        levels: &'static [Level],
    ) -> Self {
        Self {
            name,
            results,
            harness: Arc::new(harness),
            levels,
            module: None,
        }
    }

    /// Where the tests are, as `module_path!` says: a case that needs a second process runs its own test there.
    #[doc(hidden)]
    #[must_use]
    pub fn at(mut self, module: &'static str) -> Self {
        self.module = Some(module);
        self
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
        if let Some(namespace) = victim::role() {
            return self.be_killed(&namespace);
        }
        let (results, suite) = (self.results, format!("jobs/{}", self.name));
        record(results, &suite, name, || self.judge(case));
    }

    /// Runs `case`; an error is what it panicked with.
    ///
    /// # Errors
    ///
    /// The panic of the case, of the audit after it, or of a limit in time.
    pub fn judge(self, case: &'static Case) -> Judged {
        judge(case.name, "worker", move |tell| {
            let harness = self.harness.clone();
            harness.block_on(Box::pin(async {
                let came = self.run(case).await;
                let _ = tell.send(came);
            }));
        })
    }

    /// Works in this namespace, as the second process of a case.
    fn be_killed(&self, namespace: &str) {
        let harness = self.harness.clone();
        harness.block_on(Box::pin(async {
            match Cx::attach(self.harness.clone(), namespace).await {
                Ok(cx) => victim::work(&cx).await,
                // To the one that waits for it.
                Err(error) => eprintln!("the store does not open in a second process: {error}"),
            }
        }));
    }

    /// The name of a case's test in its program.
    fn test(&self, case: &Case) -> Option<String> {
        let (_, module) = self.module?.split_once("::")?;
        Some(format!("{module}::{}", case.name))
    }

    async fn run(&self, case: &Case) -> Came {
        let cx = match Cx::open(self.harness.clone(), self.test(case)).await {
            Ok(cx) => cx,
            Err(error) => fail(
                "the store opens",
                error.to_string(),
                "a service that is missing proves nothing: start it, or leave this suite out",
            ),
        };
        match case.level.admit(self.levels, &cx.caps()) {
            Admission::Run => {}
            Admission::Skip(why) => return Came::Skipped(why.into()),
            Admission::Refuse(expected, actual, why) => fail(expected, actual, why),
        }
        (case.run)(&cx).await;
        let store = cx.store();
        let report = sure("audit", || store.audit()).await;
        if !report.flaws.is_empty() {
            fail(
                "no flaw in the structure after the case",
                report.flaws.join("\n            "),
                "an index that disagrees with its records loses a job sooner or later",
            );
        }
        Came::Kept
    }
}
