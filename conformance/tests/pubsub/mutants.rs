//! The suite has teeth: each mutant of a good broker is killed by the guarantee that names it, and the good one passes
//! all.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tideway::BoxFuture;
use tideway::pubsub::{Channel, Limits};
use tideway_conformance::pubsub::{
    CASES, Came, Case, Harness, Mutant, MutantBroker, MutantPubSub, OpenError, Suite,
};

struct Wrong {
    broker: MutantBroker,
}

const LIMITS: fn() -> Limits = || Limits::default().messages(64).bytes(1 << 20);

impl Harness for Wrong {
    type PubSub = MutantPubSub;

    async fn open(&self) -> Result<MutantPubSub, OpenError> {
        Ok(self.broker.handle())
    }

    fn limits(&self) -> Limits {
        LIMITS()
    }

    async fn subscribers(&self, channel: &Channel) -> Option<usize> {
        Some(self.broker.subscribers(channel))
    }

    async fn cut(&self) -> bool {
        self.broker.stop();
        true
    }

    async fn heal(&self) {
        self.broker.start();
    }

    fn block_on(&self, task: BoxFuture<'_, ()>) {
        ::smol::block_on(task);
    }
}

fn fails(mutant: Option<Mutant>, case: &'static Case) -> bool {
    let broker = MutantBroker::new(mutant, LIMITS());
    let suite = Suite::new("mutants", None, Wrong { broker });
    !matches!(suite.judge(case), Ok(Came::Kept))
}

#[test]
fn every_mutant_is_killed_by_the_guarantee_that_names_it() {
    // Cases are meant to panic here; their messages would bury the table.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let good: Vec<_> = CASES.iter().filter(|case| fails(None, case)).collect();
    let killed = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // A case that fails waits ten seconds, for the most part.
        for _ in 0..Mutant::ALL.len() {
            scope.spawn(|| {
                while let Some(mutant) = Mutant::ALL.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let named = CASES.iter().filter(|case| case.name == mutant.killer());
                    let dead = named
                        .map(|case| fails(Some(*mutant), case))
                        .collect::<Vec<_>>();
                    killed.lock().expect("no panic here").insert(*mutant, dead);
                }
            });
        }
    });
    std::panic::set_hook(hook);
    let killed = killed.into_inner().expect("no panic here");

    let mut table = String::from("| mutant | killed by |\n|---|---|\n");
    let mut alive = Vec::new();
    for (mutant, dead) in &killed {
        let by = if *dead == [true] {
            mutant.killer().replace('_', " ")
        } else {
            alive.push(*mutant);
            "**survives**".into()
        };
        table += &format!("| {mutant:?} | {by} |\n");
    }
    // Past the capture of the test runner, so that it is seen.
    let _ = writeln!(std::io::stderr(), "{table}");
    let good: Vec<_> = good.iter().map(|case| case.name).collect();
    assert_eq!(good, Vec::<&str>::new(), "the good broker fails these");
    assert_eq!(
        killed.len(),
        Mutant::ALL.len(),
        "a thread of this test died"
    );
    assert_eq!(alive, [], "the suite has no teeth against these");
}
