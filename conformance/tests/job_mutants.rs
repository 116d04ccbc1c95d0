//! The suite has teeth: each mutant of a good store is killed by the guarantee that names it, and the
//! good store behind the same wrapper passes all.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tideway::BoxFuture;
use tideway::jobs::JobStore;
use tideway_conformance::jobs::{
    CASES, Came, Case, Harness, Level, Mutant, MutantStore, OpenError, Suite, TestClock,
};
use tideway_engine::jobs::call::{Caps, Durability};
use tideway_memory::Memory;

/// Opens a wrong store around a good one that outlives it, as a file or a server would.
struct Wrong {
    clock: TestClock,
    good: Memory,
    mutant: Option<Mutant>,
}

impl Wrong {
    fn new(mutant: Option<Mutant>) -> Self {
        let clock = TestClock::default();
        Self {
            good: Memory::new(clock.store_clock()),
            clock,
            mutant,
        }
    }
}

impl Harness for Wrong {
    type Store = MutantStore<Memory>;

    async fn open(&self) -> Result<Self::Store, OpenError> {
        let caps = Caps {
            durability: Durability::Process,
            ..self.good.caps()
        };
        Ok(MutantStore::new(self.good.clone(), self.mutant).declaring(caps))
    }

    async fn reopen(&self) -> Result<Self::Store, OpenError> {
        self.open().await
    }

    fn clock(&self) -> Option<TestClock> {
        Some(self.clock.clone())
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        smol::block_on(task);
    }
}

/// Needs a store in a second process, and this one is in the memory of the first.
const ELSEWHERE: &str = "what_was_acknowledged_survives_a_kill";

/// The cases that fail for `mutant`.
fn kills(mutant: Option<Mutant>) -> Vec<&'static str> {
    let cases = CASES.iter().filter(|case| case.name != ELSEWHERE);
    let fails = cases.filter(|case| {
        // A case of clients at once sees what they happen to do, which is little on a busy machine.
        let chances = match mutant {
            Some(mutant) if mutant.killer() == case.name && case.level == Level::Stress => 50,
            _ => 1,
        };
        (0..chances).any(|_| fails(mutant, case))
    });
    fails.map(|case| case.name).collect()
}

fn fails(mutant: Option<Mutant>, case: &'static Case) -> bool {
    let suite = Suite::new("mutants", None, Wrong::new(mutant), Level::ALL);
    !matches!(suite.judge(case), Ok(Came::Kept))
}

#[test]
fn every_mutant_is_killed_by_the_guarantee_that_names_it() {
    // Cases are meant to panic here; their messages would bury the table.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let good = kills(None);
    let killed = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let kills = kills(Some(*mutant));
                    killed.lock().expect("no panic here").insert(*mutant, kills);
                }
            });
        }
    });
    std::panic::set_hook(hook);
    let killed = killed.into_inner().expect("no panic here");

    let mut table = String::from("| mutant | killed by | and so many others |\n|---|---|---|\n");
    let mut alive = Vec::new();
    for (mutant, kills) in &killed {
        let named = kills.contains(&mutant.killer());
        let by = if named {
            mutant.killer().replace('_', " ")
        } else {
            "**survives**".into()
        };
        let others = kills.len() - usize::from(named);
        table += &format!("| {mutant:?} | {by} | {others} |\n");
        if !named {
            alive.push(format!(
                "{mutant:?} survives {}, killed by {kills:?}",
                mutant.killer()
            ));
        }
    }
    // Past the capture of the test runner, so that it is seen.
    let _ = writeln!(std::io::stderr(), "{table}");
    assert_eq!(
        good,
        Vec::<&str>::new(),
        "the good store behind the wrapper fails these"
    );
    assert_eq!(
        killed.len(),
        Mutant::ALL.len(),
        "a thread of this test died"
    );
    assert!(
        alive.is_empty(),
        "the suite has no teeth against:\n  {}",
        alive.join("\n  ")
    );
}

#[test]
fn every_mutant_is_named_once_and_its_killer_is_a_case() {
    let mut all = Mutant::ALL.to_vec();
    all.dedup();
    assert!(all.len() >= 20, "{} mutants", all.len());
    for mutant in all {
        let known = CASES.iter().any(|case| case.name == mutant.killer());
        assert!(
            known,
            "{mutant:?} names {}, which is no case",
            mutant.killer()
        );
    }
}
