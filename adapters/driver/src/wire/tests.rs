//! `Date` comes into a head exactly once, whatever the peer takes and when.

use tideway::{Now, Wall};
use tideway_engine::wire::Limits;

use super::*;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
const DATED: &[u8] =
    b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 2\r\n\r\n";

/// Takes `room` bytes, then no more.
struct Peer {
    took: Vec<u8>,
    room: usize,
}

impl Read for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Write for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let takes = buf.len().min(self.room);
        if takes == 0 {
            return Poll::Pending;
        }
        self.room -= takes;
        self.took.extend_from_slice(&buf[..takes]);
        Poll::Ready(Ok(takes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn wire(room: usize) -> Wire<Peer> {
    let now = Now::start(Wall(0));
    let peer = Peer {
        took: Vec::new(),
        room,
    };
    let pulse = Arc::new(Pulse::new(now));
    Wire::new(peer, Watch::new(&Limits::default(), now.mono), pulse)
}

/// Writes as hyper does: whatever is left, until the wire has all of it or takes no more.
fn write(wire: &mut Wire<Peer>, parts: &[&[u8]]) -> usize {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let whole = parts.concat();
    let mut sent = 0;
    while sent < whole.len() {
        let mut skip = sent;
        let mut left = Vec::new();
        for part in parts {
            let skipped = skip.min(part.len());
            skip -= skipped;
            if skipped < part.len() {
                left.push(IoSlice::new(&part[skipped..]));
            }
        }
        match Pin::new(&mut *wire).poll_write_vectored(&mut cx, &left) {
            Poll::Ready(wrote) => sent += wrote.expect("the peer never fails"),
            Poll::Pending => break,
        }
    }
    sent
}

fn taken(wire: &Wire<Peer>) -> Vec<u8> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(wire.state().poll_drain(&wire.pulse, &mut cx).is_ready());
    std::mem::take(&mut wire.state().stream.took)
}

#[test]
fn a_head_that_lacks_a_date_gets_one_and_the_next_bytes_do_not() {
    let mut wire = wire(usize::MAX);
    wire.pulse.set_undated(true);
    assert_eq!(write(&mut wire, &[HEAD, b"hi"]), HEAD.len() + 2);
    assert_eq!(taken(&wire), [DATED, b"hi"].concat());
    // A body may look like a head.
    write(&mut wire, &[HEAD, HEAD]);
    assert_eq!(taken(&wire), [HEAD, HEAD].concat());
}

#[test]
fn a_head_before_more_than_is_gathered_gets_one_too() {
    for len in GATHER - 200..GATHER + 2 {
        let body = vec![b'x'; len];
        let mut wire = wire(usize::MAX);
        wire.pulse.set_undated(true);
        assert_eq!(write(&mut wire, &[HEAD, &body]), HEAD.len() + len);
        assert!(wire.state().out.capacity() <= GATHER);
        assert_eq!(taken(&wire), [DATED, &body].concat(), "{len}");
    }
}

#[test]
fn a_peer_that_takes_no_more_gets_one_in_the_end() {
    let mut wire = wire(0);
    let before = vec![b'x'; GATHER - HEAD.len()];
    write(&mut wire, &[&before]);
    wire.pulse.set_undated(true);
    assert_eq!(write(&mut wire, &[HEAD]), 0);
    wire.state().stream.room = usize::MAX;
    assert_eq!(write(&mut wire, &[HEAD]), HEAD.len());
    assert_eq!(taken(&wire), [&before, DATED].concat());
}

#[test]
fn what_is_no_head_stays_as_it_is() {
    let mut wire = wire(usize::MAX);
    wire.pulse.set_undated(true);
    write(&mut wire, &[b"HTTP/1.1 204 No Content\r\n\r\n"]);
    write(&mut wire, &[HEAD]);
    assert_eq!(
        taken(&wire),
        [b"HTTP/1.1 204 No Content\r\n\r\n", HEAD].concat()
    );
}
