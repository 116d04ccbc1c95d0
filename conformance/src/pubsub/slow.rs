//! A consumer that does not read: what it gets, and that nobody else notices.

use tideway::pubsub::{Channel, Event};

use super::cx::{number_of, numbered};
use super::{Cx, Subscriber};
use crate::suite::claim::{fail, holds, same};

const TOLD: &str = "what a slow consumer misses is told, or it shows a room that never was";

/// Publishes twice what a queue holds. `fast` reads along and must get all; how many there were.
async fn flood(cx: &Cx, room: &Channel, publisher: &Subscriber, fast: &mut Subscriber) -> u32 {
    let count = u32::try_from(2 * cx.limits().messages).unwrap_or(u32::MAX);
    holds(
        (32..100_000).contains(&count),
        "a queue of 16 to some thousand messages",
        format!("{count}"),
        "`Harness::limits` is what the suite has to fill",
    );
    for part in (0..count).step_by(16) {
        let until = (part + 16).min(count);
        for number in part..until {
            publisher.publish(room, numbered(number)).await;
        }
        let why = "one who does not read must not hold up those who do";
        fast.hears_numbers(room, part, until, why).await;
    }
    count
}

/// Until the handle has got what there is for it.
async fn arrived(cx: &Cx, slow: &Subscriber) {
    // Its own message goes the way of all that came before.
    slow.publish(&cx.channel("nobody"), numbered(0)).await;
    cx.pause().await;
}

/// Reads numbers from 0 until `Lost`; how many there were.
async fn until_lost(slow: &mut Subscriber, room: &Channel) -> u32 {
    for number in 0.. {
        match slow.next("a message, or that some are lost").await {
            Event::Message { payload, .. } => same(number_of(&payload), number, TOLD),
            Event::Lost(lost) => {
                let ours = lost.as_ref().is_none_or(|lost| lost == room);
                same(ours, true, "nothing of other channels is missing");
                return number;
            }
            event => fail("`Lost`", format!("{event:?}"), TOLD),
        }
    }
    0
}

/// One who reads too late gets the first messages in order, then hears that others are lost.
pub async fn a_slow_consumer_is_told(cx: &Cx) {
    let room = cx.channel("room");
    let rooms = std::slice::from_ref(&room);
    let publisher = cx.subscriber().await;
    let mut slow = cx.subscribed(rooms).await;
    let mut fast = cx.subscribed(rooms).await;
    flood(cx, &room, &publisher, &mut fast).await;
    arrived(cx, &slow).await;
    let got = until_lost(&mut slow, &room).await as usize;
    let most = cx.limits().messages;
    holds(
        got <= most,
        format!("at most {most} messages waited"),
        format!("{got}"),
        "the queue of one who never reads must not grow for ever",
    );
}

/// After it was told, it hears what comes from then on, also if it does not ask again.
pub async fn a_slow_consumer_hears_again(cx: &Cx) {
    let room = cx.channel("room");
    let rooms = std::slice::from_ref(&room);
    let publisher = cx.subscriber().await;
    let mut slow = cx.subscribed(rooms).await;
    let mut fast = cx.subscribed(rooms).await;
    let count = flood(cx, &room, &publisher, &mut fast).await;
    arrived(cx, &slow).await;
    until_lost(&mut slow, &room).await;
    slow.until_subscribed(rooms).await;
    publisher.publish(&room, numbered(count)).await;
    slow.hears_numbers(&room, count, count + 1, "it has caught up")
        .await;
}

/// Large messages count by their bytes.
pub async fn a_queue_is_full_by_bytes_too(cx: &Cx) {
    let room = cx.channel("room");
    let rooms = std::slice::from_ref(&room);
    let publisher = cx.subscriber().await;
    let mut slow = cx.subscribed(rooms).await;
    let size = 64 << 10;
    let limits = cx.limits();
    let count = 2 * limits.bytes / size + 2;
    if count >= limits.messages {
        // Then messages are what fills it.
        return;
    }
    for number in 0..count as u32 {
        let mut payload = numbered(number).to_vec();
        payload.resize(size, 0);
        publisher.publish(&room, payload).await;
    }
    arrived(cx, &slow).await;
    let got = until_lost(&mut slow, &room).await as usize;
    holds(
        got * size <= limits.bytes.max(size),
        format!("at most {} bytes waited", limits.bytes),
        format!("{}", got * size),
        "four thousand messages of a mebibyte are four gigabytes",
    );
}
