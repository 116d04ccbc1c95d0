//! What an idle WebSocket holds of the heap, in bytes: on tokio, in a room, before and after its first message. It counts what is
//! allocated and not freed, by the whole process, and so knows nothing of an allocator's holes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tideway::ws::{Hub, WebSocketUpgrade};
use tideway::{App, Response, get};
use tideway_driver::{Bound, Options, Runtime as _, Stop, serve};
use tideway_tokio::Tokio;

/// Both ends are ours, and 1 024 descriptors are what a process may have for certain.
const SOCKETS: usize = 384;
/// Not counted: the first come with what the server makes once.
const FIRST: usize = 128;
/// What a socket may hold, tables that grow by doubling included.
const LIMIT: usize = 2560;

/// Counts the bytes that are allocated.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards every call, with its arguments, to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: `ptr` came from `System.alloc` with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn app(joined: Arc<AtomicUsize>) -> App {
    App::new().route(
        "/",
        get(move |upgrade: WebSocketUpgrade, hub: Hub| -> Response {
            let joined = joined.clone();
            upgrade.on_upgrade(move |mut socket| async move {
                let room = hub.room("all").expect("a name");
                room.join(&socket).await.expect("there is room");
                joined.fetch_add(1, Ordering::SeqCst);
                while let Some(message) = socket.recv().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            })
        }),
    )
}

fn connect(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("it listens");
    let limit = Some(Duration::from_secs(30));
    stream.set_read_timeout(limit).expect("a limit above zero");
    let head = b"GET / HTTP/1.1\r\nHost: idle\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head).expect("it reads");
    let (mut answer, mut length) = ([0; 512], 0);
    while !answer[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[length..]).expect("an answer");
        assert!(read > 0, "closed");
        length += read;
    }
    stream
}

/// Says 1 KiB under a mask of zeros, and hears it back.
fn say(stream: &mut TcpStream) {
    let mut said = [b'x'; 8 + 1024];
    said[..8].copy_from_slice(b"\x82\xfe\x04\x00\0\0\0\0");
    stream.write_all(&said).expect("it reads");
    let mut heard = [0; 4 + 1024];
    stream.read_exact(&mut heard).expect("an echo");
    assert_eq!(heard[..5], *b"\x82\x7e\x04\x00x");
}

/// Bytes on the heap once nothing has moved for a while.
fn held() -> usize {
    let mut held = HELD.load(Ordering::SeqCst);
    loop {
        thread::sleep(Duration::from_millis(50));
        match HELD.load(Ordering::SeqCst) {
            same if same == held => return held,
            other => held = other,
        }
    }
}

#[test]
fn an_idle_socket_in_a_room_holds_little() {
    let on = TcpListener::bind("127.0.0.1:0").expect("a free port");
    on.set_nonblocking(true).expect("a socket");
    let addr = on.local_addr().expect("an address");
    let (joined, stop) = (Arc::new(AtomicUsize::new(0)), Stop::new());
    let server = thread::spawn({
        let (app, stop) = (app(joined.clone()), stop.clone());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let rt = Tokio::current();
                let on = rt.listen(Bound::Tcp(on)).expect("it is bound");
                let served = serve(rt, app, on, Options::default(), stop).await;
                served.expect("a well-formed app")
            })
        }
    });
    let mut streams = Vec::with_capacity(SOCKETS);
    let mut opened = |wanted: usize| {
        while streams.len() < wanted {
            streams.push(connect(addr));
        }
        let began = Instant::now();
        while joined.load(Ordering::SeqCst) < wanted {
            assert!(began.elapsed() < Duration::from_secs(30), "not all joined");
            thread::sleep(Duration::from_millis(5));
        }
        held()
    };
    let before = opened(FIRST);
    let after = opened(SOCKETS);
    let silent = (after - before) / (SOCKETS - FIRST);
    streams.iter_mut().for_each(say);
    let spoken = silent + (held() - after) / SOCKETS;
    println!("an idle socket holds {silent} bytes, {spoken} once it has echoed");
    stop.stop();
    server.join().expect("it does not panic");
    assert!(silent <= LIMIT, "{silent} bytes are more than {LIMIT}");
    assert!(spoken <= LIMIT, "{spoken} bytes are more than {LIMIT}");
}
