//! Stages run without a heap: a pipeline of seven costs as many allocations as a bare one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use tideway::pipeline::{Cx, End, Exchange, Flow, Input, Origin, Slot, Stage, Step};
use tideway::testing::VirtualTasks;
use tideway::{App, Body, Peer, Request, Seed, Tasks, get};

/// Counts this thread's allocations.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: forwards every call, with its arguments, to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System.alloc` with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does what stages do: looks around, remembers a number, sees the response.
struct Busy(&'static str);

impl Stage for Busy {
    fn name(&self) -> &'static str {
        self.0
    }

    fn request(&self, cx: &mut Cx<'_>) -> Flow {
        let path = cx.line().path().len() + cx.route().map_or(0, str::len);
        *cx.slot() = Slot::Word(path as u64);
        Flow::Next
    }

    fn response(&self, cx: &mut Cx<'_>) -> Flow {
        assert!(matches!(cx.slot(), Slot::Word(2)) && cx.response().is_some());
        Flow::Next
    }

    fn done(&self, cx: &mut Cx<'_>, _: &End) {
        assert!(cx.elapsed().is_zero() && matches!(cx.slot(), Slot::Word(2)));
    }
}

/// Allocations of one exchange in which a plain handler answers with static text.
fn allocations(app: App) -> u64 {
    let tasks = VirtualTasks::default();
    let app = app.route("/", get(|| "hello"));
    let pipeline = app.pipeline(Arc::new(tasks.clone())).expect("an app");
    let origin = Origin::new(pipeline, Peer::Other, Seed([1; 32]));
    let mut counts = Vec::new();
    for _ in 0..3 {
        let (mut head, ()) = tideway::http::Request::new(()).into_parts();
        // The wire's own allocations: a header map.
        let host = tideway::http::HeaderValue::from_static("localhost");
        head.headers.insert("host", host);
        let request = Request::new(head, Body::empty());
        let before = COUNT.get();
        let now = tasks.now();
        let mut exchange = Exchange::new(origin.clone(), request, now);
        let step = exchange.step(now, Input::Start);
        assert!(matches!(step, Step::Respond));
        let response = exchange.take_response();
        exchange.step(now, Input::BodyOut(5));
        exchange.step(now, Input::End(End::Complete { bytes: 5 }));
        drop((exchange, response));
        counts.push(COUNT.get() - before);
    }
    // The first has a generator and a block of header values to make.
    counts[2]
}

#[test]
fn seven_stages_cost_what_none_cost() {
    let bare = allocations(App::bare());
    assert!(bare > 0, "the counter counts");
    let names = ["1", "2", "3", "4", "5", "6", "7"];
    let seven = names
        .into_iter()
        .fold(App::bare(), |app, name| app.stage(Busy(name)));
    assert_eq!(allocations(seven), bare);
}

#[test]
fn nor_do_those_of_every_app_allocate() {
    let bare = allocations(App::bare());
    assert_eq!(allocations(App::new()), bare);
}
