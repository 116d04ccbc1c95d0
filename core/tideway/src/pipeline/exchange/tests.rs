//! That nothing of one request is seen by the next that is given its memory.

use std::sync::Weak;
use std::task::Waker;

use http::{HeaderValue, header};

use super::*;
use crate::fixture::request;
use crate::pipeline::Running;
use crate::request::Peer;
use crate::{App, get};

/// Stores whatever it can, and leaves a trace of what it finds stored already.
struct Hoarder(Arc<std::sync::Mutex<Vec<Weak<u8>>>>);

impl Stage for Hoarder {
    fn name(&self) -> &'static str {
        "hoarder"
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        assert!(
            matches!(cx.slot(), Slot::Empty),
            "a slot of the request before"
        );
        assert!(cx.id().is_none() && cx.cause().is_none() && cx.status().is_none());
        assert!(cx.bytes_out() == 0 && !cx.panicked());
        let value = Arc::new(7_u8);
        if let Ok(mut seen) = self.0.lock() {
            seen.push(Arc::downgrade(&value));
        }
        *cx.slot() = Slot::Boxed(Box::new(value));
        cx.set_id(crate::RequestId::uuid(1));
        cx.set_deadline(Deadline::Total, Some(cx.now().mono.plus(GRACE)));
        cx.set_idle_limits(Some(GRACE), Some(GRACE));
        cx.close_after();
        Flow::Next
    }
}

#[test]
fn a_renewed_exchange_is_as_a_new_one_and_an_ended_one_holds_nothing() {
    let seen = Arc::default();
    let tasks = Arc::new(crate::testing::VirtualTasks::default());
    let app = App::bare()
        .stage(Hoarder(Arc::clone(&seen)))
        .route("/{x}", get(|| "x"));
    let pipeline = app.pipeline(tasks).expect("a pipeline");
    let origin = Origin::new(pipeline, Peer::Other, tideway_engine::Seed([2; 32]));
    let now = Now::start(tideway_engine::Wall(0));
    let mut exchange = Exchange::new(origin, request("GET", "/first/longer/than/the/next"), now);
    for (path, status) in [("/a", 200), ("/none/such", 404), ("/b", 200)] {
        exchange = exchange.renew(request("GET", path), now);
        assert!(!exchange.closes() && exchange.body_out_limit().is_none());
        assert_eq!(
            (exchange.line().path(), exchange.poll_timeout()),
            (path, None)
        );
        let mut running = Running::start(exchange, now);
        let Poll::Ready(response) = running.poll(now, &mut Context::from_waker(Waker::noop()))
        else {
            panic!("nothing waits");
        };
        assert_eq!(response.status(), status);
        exchange = running.into_exchange();
        exchange.body_out(3);
        exchange.finish(now, &End::Complete { bytes: 3 });
        let seen = seen.lock().expect("no panic");
        assert!(
            seen.iter().all(|value| value.upgrade().is_none()),
            "kept after the end"
        );
    }
}

#[test]
fn only_an_offer_for_the_plainest_head_leaves_the_date_to_the_driver() {
    let own = || ([(header::DATE, "mine")], "x");
    let app = App::bare()
        .route("/plain", get(|| "x"))
        .route("/own", get(own))
        .route(
            "/old",
            get(|| {
                let mut response = Response::new(Body::from("x"));
                *response.version_mut() = http::Version::HTTP_10;
                response
            }),
        );
    let tasks = Arc::new(crate::testing::VirtualTasks::default());
    let pipeline = app.pipeline(tasks).expect("a pipeline");
    let now = Now::start(tideway_engine::Wall(0));
    let mut exchange = Exchange::new(
        Origin::new(pipeline, Peer::Other, tideway_engine::Seed([2; 32])),
        request("GET", "/"),
        now,
    );
    for (path, offered, wanted) in [
        ("/plain", true, None),
        ("/plain", false, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
        ("/own", true, Some("mine")),
        ("/old", true, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
        ("/none", true, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
    ] {
        exchange = exchange.renew(request("GET", path), now);
        if offered {
            exchange.offer_date();
        }
        let mut running = Running::start(exchange, now);
        let Poll::Ready(response) = running.poll(now, &mut Context::from_waker(Waker::noop()))
        else {
            panic!("nothing waits");
        };
        exchange = running.into_exchange();
        let date = response.headers().get(header::DATE);
        assert_eq!(
            date.map(HeaderValue::as_bytes),
            wanted.map(str::as_bytes),
            "{path}"
        );
        assert_eq!(exchange.lacks_date(), wanted.is_none(), "{path}");
    }
}
