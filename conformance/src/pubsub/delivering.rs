//! Messages: to whom, how often, in which order, and whole.

use futures_util::future::{join, join_all};
use tideway::pubsub::{Event, PubSub, PubSubError};

use super::cx::{number_of, numbered, sure};
use super::{Cx, Subscriber};
use crate::suite::claim::{fail, holds, same};

const ONCE: &str = "at most once is the promise, and while nothing fails it is once";
const ORDER: &str = "the messages of one publisher on one channel keep their order";

/// All who are subscribed get a message, each of them once.
pub async fn a_message_reaches_every_subscriber_once(cx: &Cx) {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let publisher = cx.subscriber().await;
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(cx.subscribed(std::slice::from_ref(&room)).await);
    }
    let mut stranger = cx.subscribed(&[other]).await;
    for number in 0..50 {
        publisher.publish(&room, numbered(number)).await;
    }
    for member in &mut members {
        member.hears_numbers(&room, 0, 50, ONCE).await;
        member.hears_no_more(ONCE).await;
    }
    stranger.hears_no_more("it asked for another channel").await;
}

/// What is published one after the other arrives one after the other.
pub async fn messages_come_in_the_order_they_were_published(cx: &Cx) {
    let room = cx.channel("room");
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    for part in 0..10 {
        for number in part * 50..(part + 1) * 50 {
            publisher.publish(&room, numbered(number)).await;
        }
        member
            .hears_numbers(&room, part * 50, (part + 1) * 50, ORDER)
            .await;
    }
}

/// Calls that overlap are in the order in which they were first polled.
pub async fn calls_in_flight_keep_their_order(cx: &Cx) {
    let room = cx.channel("room");
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    for part in 0..10_u32 {
        let numbers = part * 25..(part + 1) * 25;
        // `join_all` polls in order when it is polled first.
        let calls = numbers.clone().map(|number| {
            let payload = numbered(number);
            publisher.broker.publish(&room, payload)
        });
        for sent in join_all(calls).await {
            sure("publish", sent);
        }
        member
            .hears_numbers(&room, numbers.start, numbers.end, ORDER)
            .await;
    }
}

/// Two who publish at once are mixed somehow; each one's messages keep their order.
pub async fn two_publishers_keep_their_own_order(cx: &Cx) {
    let room = cx.channel("room");
    let (one, two) = (cx.subscriber().await, cx.subscriber().await);
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    let room = &room;
    let say = |publisher, base: u32| async move {
        let publisher: &Subscriber = publisher;
        for number in base..base + 10 {
            publisher.publish(room, numbered(number)).await;
        }
    };
    let mut next = [0, 1000];
    for _ in 0..10 {
        join(say(&one, next[0]), say(&two, next[1])).await;
        for _ in 0..20 {
            let number = number_of(&member.hears(room, ONCE).await);
            let who = usize::from(number >= 1000);
            same(number, next[who], ORDER);
            next[who] += 1;
        }
    }
    member.hears_no_more(ONCE).await;
}

/// A handle that is subscribed gets its own messages too.
pub async fn a_publisher_hears_itself(cx: &Cx) {
    let room = cx.channel("room");
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    member.publish(&room, numbered(1)).await;
    let why = "rooms that the broker orders deliver on the echo";
    member.hears_numbers(&room, 1, 2, why).await;
}

/// What was published before the question is not kept for who asks.
pub async fn nothing_comes_before_it_is_asked_for(cx: &Cx) {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(&[other]).await;
    publisher.publish(&room, numbered(1)).await;
    cx.pause().await;
    member.subscribe(std::slice::from_ref(&room)).await;
    publisher.publish(&room, numbered(2)).await;
    let why = "a broker that keeps messages gives them by `history`";
    member.hears_numbers(&room, 2, 3, why).await;
}

/// From the moment at which `Subscribed` is read, nothing is missed.
pub async fn nothing_is_missed_once_subscribed(cx: &Cx) {
    let publisher = cx.subscriber().await;
    let mut member = cx.subscriber().await;
    for round in 0..50 {
        let room = cx.channel(&format!("room {round}"));
        member.subscribe(std::slice::from_ref(&room)).await;
        publisher.publish(&room, numbered(round)).await;
        let why = "a member is told that its join is complete, and then misses what is said";
        member.hears_numbers(&room, round, round + 1, why).await;
    }
}

/// After an unsubscribe nothing of the channel comes.
pub async fn nothing_comes_after_an_unsubscribe(cx: &Cx) {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(&[room.clone(), other.clone()]).await;
    member.unsubscribe(std::slice::from_ref(&room)).await;
    publisher.publish(&room, numbered(1)).await;
    publisher.publish(&other, numbered(2)).await;
    let why = "it was unsubscribed from";
    member.hears_numbers(&other, 2, 3, why).await;
    member.hears_no_more(why).await;
}

/// What waits in the queue when a channel is unsubscribed from does not come out of it any more.
pub async fn what_waits_is_gone_with_an_unsubscribe(cx: &Cx) {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(&[room.clone(), other.clone()]).await;
    for number in 0..20 {
        publisher.publish(&room, numbered(number)).await;
    }
    publisher.publish(&other, numbered(20)).await;
    cx.pause().await;
    member.unsubscribe(std::slice::from_ref(&room)).await;
    let why = "a room that was closed would get messages for one that is opened later";
    member.hears_numbers(&other, 20, 21, why).await;
}

/// Subscribing again after an unsubscribe is answered, and messages come.
pub async fn a_channel_can_be_subscribed_to_again(cx: &Cx) {
    let room = cx.channel("room");
    let rooms = std::slice::from_ref(&room);
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(rooms).await;
    for round in 0..20 {
        member.unsubscribe(rooms).await;
        member.subscribe(rooms).await;
        publisher.publish(&room, numbered(round)).await;
        let why = "rooms are left and entered again";
        member.hears_numbers(&room, round, round + 1, why).await;
    }
    member.hears_no_more(ONCE).await;
}

/// Who asks for what it has is answered too, and gets each message once all the same.
pub async fn every_subscribe_is_answered(cx: &Cx) {
    let room = cx.channel("room");
    let rooms = std::slice::from_ref(&room);
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(rooms).await;
    for _ in 0..3 {
        member.subscribe(rooms).await;
    }
    publisher.publish(&room, numbered(1)).await;
    member.hears_numbers(&room, 1, 2, ONCE).await;
    member.hears_no_more(ONCE).await;
}

/// Payloads from nothing to a mebibyte arrive as they were sent, whatever bytes they have.
pub async fn payloads_of_every_size_arrive_whole(cx: &Cx) {
    let room = cx.channel("room");
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    let most = publisher.broker.caps().max_payload;
    for size in [0, 1, 2, 255, 256, 4096, 65_535, 65_536, 65_537, 1 << 20] {
        let payload: Vec<u8> = (0..size).map(|at| ((at * 31) >> 3) as u8).collect();
        if size <= most {
            publisher.publish(&room, payload.clone()).await;
            let came = member.hears(&room, ONCE).await;
            holds(
                came == payload,
                format!("{size} bytes as they were sent"),
                format!("{} bytes, others", came.len()),
                "a message is bytes, of which a broker changes none",
            );
        }
    }
}

/// A message over the cap is refused, and those around it are not.
pub async fn a_message_over_the_cap_is_refused_alone(cx: &Cx) {
    let room = cx.channel("room");
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    let most = member.broker.caps().max_payload;
    member.publish(&room, numbered(1)).await;
    let over = vec![0; most + 1].into();
    match member.broker.publish(&room, over).await {
        Err(PubSubError::TooLarge { size, most: cap }) => {
            same((size, cap), (most + 1, most), "the error says by how much");
        }
        other => fail(
            "`TooLarge`",
            format!("{other:?}"),
            "what a broker cannot carry breaks its connection, and with it everybody's messages",
        ),
    }
    member.publish(&room, numbered(2)).await;
    member.hears_numbers(&room, 1, 3, ONCE).await;
}

/// A broker that keeps no messages says so.
pub async fn history_is_as_declared(cx: &Cx) {
    let room = cx.channel("room");
    let broker = cx.open().await;
    let history = broker.history(&room, None, 10).await;
    let refused = matches!(history, Err(PubSubError::Unsupported(_)));
    same(
        refused,
        !broker.caps().history,
        "who asks for what is not kept must hear so, not that there is nothing",
    );
}

/// The first event says that the broker is reached; it is said once.
pub async fn a_handle_is_told_that_it_is_connected(cx: &Cx) {
    let mut member = cx.subscriber().await;
    member.hears_no_more("nothing was asked for").await;
    let mut again = member.broker.events();
    let soon = super::timer::within(
        std::time::Duration::from_millis(20),
        futures_util::StreamExt::next(&mut again),
    );
    same(
        soon.await,
        None,
        "a second stream goes on where the first one ended",
    );
    same(
        member.soon().await,
        None::<Event>,
        "the first stream has ended",
    );
}
