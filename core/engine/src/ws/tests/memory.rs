//! What a connection holds: nothing while idle, and under its caps whatever comes.

use super::*;
use crate::ws::{Data, Encoded, SendError, Violation};

#[test]
fn an_idle_connection_is_small() {
    let size = size_of::<Conn>();
    assert!(size <= 320, "{size}");
}

#[test]
fn what_arrived_whole_is_lent_from_the_callers_buffer() {
    let mut driven = Driven::still(Role::Server);
    let mut buffer = [masked(0x82, b"payload"), masked(0x81, b"text")].concat();
    let within = buffer.as_ptr_range();
    let mut input = &mut buffer[..];
    let mut lent = Vec::new();
    while let Some(event) = driven
        .conn
        .handle_rx(Mono::START, &mut input, &mut driven.codecs)
    {
        match event {
            Event::Binary(Data::Lent(data)) => lent.push(data.as_ptr()),
            Event::Text(std::borrow::Cow::Borrowed(text)) => lent.push(text.as_ptr()),
            owned => panic!("{owned:?}"),
        }
    }
    assert_eq!(lent.len(), 2);
    assert!(lent.iter().all(|at| within.contains(at)));
    assert_eq!((driven.conn.held(), driven.conn.queued()), (0, 0));
}

#[test]
fn a_message_in_parts_takes_what_came_not_what_was_announced() {
    let config = Config {
        max_frame: 1 << 30,
        max_message: 1 << 30,
        ..still()
    };
    let mut driven = Driven::new(Role::Server, config, None);
    let mut frame = masked(0x82, &vec![1; 100_000]);
    // It announces 1 GiB and sends 100 kB.
    frame[2..10].copy_from_slice(&(1_u64 << 30).to_be_bytes());
    let mut came = 0;
    for piece in frame.chunks(1000) {
        driven.receive(piece);
        came += piece.len();
        assert!(driven.conn.held() <= 2 * came, "{}", driven.conn.held());
    }
    driven.eof();
    assert_eq!(driven.conn.held(), 0);
}

#[test]
fn what_will_never_be_complete_is_dropped() {
    for last in [
        masked(0x88, b""),
        masked(0x83, b""),
        masked(0x00, b"\xff"),
        masked(0x01, b""),
    ] {
        for piece in [1, 1000] {
            let mut driven = Driven::still(Role::Server);
            driven.receive(&masked(0x01, &[b'x'; 1000]));
            assert!(driven.conn.held() >= 1000);
            for piece in last.chunks(piece) {
                driven.receive(piece);
            }
            assert_eq!(driven.conn.held(), 0, "{last:x?}");
        }
    }
}

#[test]
fn a_kept_message_has_no_spare_room() {
    let config = still();
    let mut driven = Driven::new(Role::Server, config, None);
    let frame = masked(0x82, &[1; 3000]);
    for piece in frame.chunks(700) {
        let mut buffer = piece.to_vec();
        let mut input = &mut buffer[..];
        let event = driven
            .conn
            .handle_rx(Mono::START, &mut input, &mut driven.codecs);
        if let Some(Event::Binary(Data::Owned(data))) = event {
            let data = data.try_into_mut().expect("the only one");
            assert_eq!((data.len(), data.capacity()), (3000, 3000));
            return;
        }
    }
    panic!("no message");
}

#[test]
fn frames_and_messages_have_caps() {
    let config = Config {
        max_frame: 100,
        max_message: 150,
        ..still()
    };
    let too_big = [Said::End(End::Violation(Violation::TooBig))];
    let receive = |stream: &[u8], piece| {
        let mut driven = Driven::new(Role::Server, config.clone(), None);
        for piece in stream.chunks(piece) {
            driven.receive(piece);
        }
        driven.said
    };
    for piece in [1, 10, 1000] {
        let fits = receive(&masked(0x82, &[0; 100]), piece);
        assert_eq!(fits, [binary(&[0; 100])]);
        let head = &masked(0x82, &[0; 101])[..6];
        assert_eq!(receive(head, piece), too_big, "the head says it all");
        let parts = [masked(0x02, &[0; 100]), masked(0x80, &[0; 50])].concat();
        assert_eq!(receive(&parts, piece), [binary(&[0; 150])]);
        let parts = [masked(0x02, &[0; 100]), masked(0x80, &[0; 51])].concat();
        assert_eq!(receive(&parts, piece), too_big);
        // A control frame has a cap of its own.
        let ping = masked(0x89, &[0; 125]);
        assert_eq!(receive(&ping, piece), [Said::Ping(vec![0; 125])]);
    }
    let config = Config {
        max_frame: 200,
        max_message: 150,
        ..still()
    };
    for piece in [1, 1000] {
        let mut driven = Driven::new(Role::Server, config.clone(), None);
        for piece in masked(0x82, &[0; 151]).chunks(piece) {
            driven.receive(piece);
        }
        assert_eq!(driven.said, too_big);
    }
}

#[test]
fn the_queue_has_a_cap() {
    let config = Config {
        max_queue: 1000,
        ..still()
    };
    let mut driven = Driven::new(Role::Server, config, None);
    let Driven { conn, codecs, .. } = &mut driven;
    let message = Encoded::binary(&[0; 100]);
    let mut count = 0;
    while conn.has_room(message.len()) {
        conn.send(message.clone(), codecs).unwrap();
        count += 1;
    }
    assert_eq!((count, conn.queued()), (9, 918));
    assert_eq!(conn.send(message.clone(), codecs), Err(SendError::Full));
    assert_eq!(conn.queued(), 918);
    driven.flush();
    assert_eq!(driven.conn.queued(), 0);
    // One that is larger than the cap passes alone.
    let large = Encoded::binary(&[0; 5000]);
    let Driven { conn, codecs, .. } = &mut driven;
    conn.send(large, codecs).unwrap();
    assert_eq!(conn.send(message, codecs), Err(SendError::Full));
}

#[test]
fn our_own_pings_have_caps_too() {
    let config = Config {
        max_queue: 1000,
        ..still()
    };
    let mut driven = Driven::new(Role::Server, config, None);
    let refused = driven.conn.ping(&[0; 126]);
    assert_eq!(refused, Err(SendError::PingTooLong));
    let taken = (0..100).filter(|_| driven.conn.ping(&[0; 125]).is_ok());
    assert_eq!(taken.count(), 8);
    assert!(driven.conn.queued() <= 1127, "{}", driven.conn.queued());
}

#[test]
fn a_flood_of_pings_is_answered_in_bounded_memory() {
    let mut driven = Driven::still(Role::Server);
    for i in 0..100_000_u32 {
        driven.receive(&masked(0x89, &i.to_be_bytes()));
        assert!(driven.conn.queued() < 17 << 10);
    }
    driven.flush();
    let sent = frames(&driven.sent);
    // The first ones, and the latest (RFC 6455 §5.5.3).
    assert_eq!(sent[0].1, 0_u32.to_be_bytes());
    assert_eq!(sent.last().unwrap().1, 99_999_u32.to_be_bytes());
    // A peer that takes a little at a time gains nothing.
    for i in 0..100_000_u32 {
        driven.receive(&masked(0x89, &i.to_be_bytes()));
        driven.write(3);
        assert!(driven.conn.queued() < 17 << 10);
    }
    driven.sent.clear();
}
