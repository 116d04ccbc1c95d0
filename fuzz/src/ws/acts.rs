//! Progress, bounds and one end, whatever happens and in whatever order.

use std::time::Duration;

use tideway_engine::ws::{CloseCode, Encoded};

use super::driven::Driven;
use super::{Given, given, small};

/// Each act is a byte that says what and one that says how much; bytes that come follow it.
pub fn acts(data: &[u8]) {
    let Some((given, rest)) = given(data) else {
        return;
    };
    let (once, again) = (run(&given, rest), run(&given, rest));
    assert_eq!(once.said, again.said, "determinism");
    assert_eq!(once.sent, again.sent, "determinism");
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(u8, u8, &'a [u8])> {
    let (&[what, size], after) = rest.split_first_chunk()?;
    let some = if what % 16 < 6 {
        usize::from(size).min(after.len())
    } else {
        0
    };
    let (bytes, after) = after.split_at(some);
    *rest = after;
    Some((what, size, bytes))
}

fn run(given: &Given, mut rest: &[u8]) -> Driven {
    let mut driven = Driven::new(given.role, small(), given.deflate);
    while let Some((what, size, bytes)) = next(&mut rest) {
        let much = usize::from(size);
        match what % 16 {
            ..6 => driven.receive(bytes),
            6 | 7 => {
                let message = if what & 0x80 == 0 {
                    Encoded::binary(&vec![what; much * 4])
                } else {
                    Encoded::from_string("é".repeat(much * 2))
                };
                let room = driven.conn.has_room(message.len());
                let sent = driven.conn.send(message, &mut driven.codecs);
                assert!(room || sent.is_err());
            }
            8 => {
                let _ = driven.conn.ping(&vec![size; much]);
            }
            9 => {
                let code = CloseCode::new(1000 + u16::from(size)).unwrap_or(CloseCode::NORMAL);
                let _ = driven
                    .conn
                    .close(driven.now, code, &"r".repeat(usize::from(what >> 1)));
                driven.look();
            }
            10 | 11 => {
                driven.write(much * 8);
            }
            12 => driven.conn.pause(driven.now),
            13 => driven.conn.resume(driven.now),
            14 => driven.eof(),
            _ => pass(&mut driven, Duration::from_millis(u64::from(size) * 200)),
        }
        check(&driven);
    }
    driven.check_end();
    driven
}

/// Time passes, with every deadline at its instant.
fn pass(driven: &mut Driven, time: Duration) {
    let until = driven.now.plus(time);
    while let Some((at, name)) = driven.conn.poll_timeout()
        && at <= until
    {
        driven.now = driven.now.max(at);
        driven.conn.handle_timeout(driven.now);
        let next = driven.conn.poll_timeout();
        assert!(
            next.is_none_or(|(next, _)| next > driven.now),
            "{name} is due again at once: {next:?}"
        );
        driven.look();
    }
    driven.now = until;
}

fn check(driven: &Driven) {
    let (queued, held) = (driven.conn.queued(), driven.conn.held());
    // The queue's cap and one message more, control frames and a Close.
    assert!(queued <= 2000 + 17_000 + 300, "{queued} bytes queued");
    assert!(held <= 2 * 1000 + 125, "{held} bytes held");
    if driven.conn.is_done() {
        assert_eq!(driven.conn.poll_timeout(), None, "a deadline after the end");
        assert_eq!(queued + held, 0, "memory after the end");
    }
}
