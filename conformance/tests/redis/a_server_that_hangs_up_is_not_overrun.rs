//! Something before the server takes connections and drops them: the listener comes again, at its leisure.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::world::{fresh, open, url};

/// Passes everything on to the server at `port`, and hangs up on who has just subscribed. The port, and how many
/// did.
fn hangs_up(port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let own = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counts = count.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let counts = counts.clone();
            thread::spawn(move || pass(client, port, &counts));
        }
    });
    (own, count)
}

fn pass(mut client: TcpStream, port: u16, count: &AtomicUsize) {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a server");
    let mut from = server.try_clone().expect("a descriptor");
    let mut to = client.try_clone().expect("a descriptor");
    let back = thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut some = [0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut some) {
        let sent = &some[..length];
        if server.write_all(sent).is_err() {
            break;
        }
        if sent.windows(9).any(|bytes| bytes == b"SUBSCRIBE") {
            count.fetch_add(1, Ordering::SeqCst);
            // The confirmation is on its way.
            thread::sleep(Duration::from_millis(10));
            break;
        }
    }
    let _ = (
        server.shutdown(Shutdown::Both),
        client.shutdown(Shutdown::Both),
    );
    let _ = back.join();
}

#[test]
fn by_the_listener_of_hints() {
    let server = url();
    let port = server.rsplit(':').next().and_then(|port| port.parse().ok());
    let (own, subscribed) = hangs_up(port.expect("a port"));
    let store = open(&format!("redis://127.0.0.1:{own}"), fresh()).expect("a store");
    thread::sleep(Duration::from_secs(1));
    let seen = subscribed.load(Ordering::SeqCst);
    // At once, and after 50, 100, 200 and 400 ms.
    assert!((2..=5).contains(&seen), "{seen} subscriptions in a second");
    drop(store);
    thread::sleep(Duration::from_millis(1100));
    let seen = subscribed.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(
        subscribed.load(Ordering::SeqCst),
        seen,
        "it listens for nobody"
    );
}
