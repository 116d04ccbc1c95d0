//! A simulation that cannot go on says why, when and who.

use std::time::Duration;

use tideway_driver::{Listener, Runtime};
use tideway_sim::{Sim, Why};

async fn waits_for_nothing() {
    std::future::pending::<()>().await;
}

#[test]
fn idle() {
    let sim = Sim::new(42);
    let host = sim.host("web");
    let mut port = host.listener(80).unwrap();
    host.spawn_named("acceptor", async move {
        let _ = port.accept().await;
    });
    host.spawn(waits_for_nothing());
    host.spawn(async {});
    let rt = host.clone();
    host.spawn_named(
        "ticker",
        async move { rt.sleep(Duration::from_secs(3)).await },
    );
    let stalled = sim.block_on(std::future::pending::<()>()).unwrap_err();
    assert_eq!(stalled.why(), Why::Idle);
    assert_eq!(stalled.at(), sim.now().mono);
    assert_eq!(
        stalled.to_string(),
        "seed 42 stalled at 3.000000001s: nothing can run and no timer is set; waiting: main, \
         web/1 acceptor, web/2 a_stall_names_who_waits::waits_for_nothing; the last timer fired at \
         3.000000001s, set by web/4 ticker"
    );
    assert_eq!(sim.task_names().len(), 2);
}

#[test]
fn busy() {
    let sim = Sim::new(42);
    sim.host("web").spawn_named(
        "spinner",
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }),
    );
    let stalled = sim.run_for(Duration::from_secs(1)).unwrap_err();
    assert_eq!(stalled.why(), Why::Busy);
    assert_eq!(stalled.tasks().last().unwrap(), "web/1 spinner");
}

#[test]
fn busy_with_timers_that_have_passed() {
    let sim = Sim::new(42);
    let host = sim.host("web");
    let rt = host.clone();
    host.spawn_named("timers", async move {
        loop {
            let mut sleep = Box::pin(rt.sleep(Duration::ZERO));
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                sleep.as_mut().poll(cx)
            })
            .await;
            let mut once = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut once, true) {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
        }
    });
    let stalled = sim.block_on(std::future::pending::<()>()).unwrap_err();
    assert_eq!(stalled.why(), Why::Busy);
}

#[test]
fn late() {
    let sim = Sim::new(42).limit(Duration::from_secs(60));
    let host = sim.host("web");
    let rt = host.clone();
    host.spawn_named("pulse", async move {
        loop {
            rt.sleep(Duration::from_secs(1)).await;
        }
    });
    let stalled = sim.block_on(std::future::pending::<()>()).unwrap_err();
    assert_eq!(stalled.why(), Why::Late);
    assert_eq!(stalled.tasks(), ["main", "web/1 pulse"]);
}

#[test]
#[should_panic(expected = "from inside itself")]
fn a_simulation_in_itself_is_refused() {
    let sim = Sim::new(1);
    sim.run(async { sim.run(async {}) });
}
