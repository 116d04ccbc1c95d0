//! The broker goes away and comes back: everybody is told, and everything goes on by itself.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tideway::pubsub::{Channel, Event, PubSub};

use super::cx::{number_of, numbered, sure};
use super::timer::sleep;
use super::{Came, Cx, Subscriber};
use crate::suite::claim::{LIMIT, fail, holds, same};

const UNCUT: Came = Came::Skipped(Cow::Borrowed("`Harness::cut` cannot cut the handles off"));

/// Waits until this handle publishes again.
async fn until_published(member: &Subscriber, channel: &Channel) {
    let begun = Instant::now();
    while let Err(error) = member.broker.publish(channel, numbered(0)).await {
        if begun.elapsed() > LIMIT {
            fail(
                format!("the broker is used again within {LIMIT:?}"),
                error.to_string(),
                "a broker that was restarted must be found again by itself",
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for `Lost` of all, then for `Connected`.
async fn until_back(member: &mut Subscriber) {
    same(
        member.next("`Lost` of all channels").await,
        Event::Lost(None),
        "members show a room in which others went on, and do not know",
    );
    same(
        member.next("`Connected`").await,
        Event::Connected,
        "what waits for the broker waits for ever",
    );
}

/// The next event says that there is no broker.
async fn is_lost(member: &mut Subscriber) {
    same(
        member.next("`Lost` of all channels").await,
        Event::Lost(None),
        "there is no broker any more",
    );
}

/// All is lost, then connected and subscribed to again, without anybody asking.
pub async fn a_cut_is_told_and_mended(cx: &Cx) -> Came {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let both = [room.clone(), other.clone()];
    let mut member = cx.subscribed(&both).await;
    if !cx.cut().await {
        return UNCUT;
    }
    cx.heal().await;
    until_back(&mut member).await;
    member.until_subscribed(&both).await;
    for channel in &both {
        member.publish(channel, numbered(1)).await;
        let why = "it is subscribed to again";
        member.hears_numbers(channel, 1, 2, why).await;
    }
    Came::Kept
}

/// While there is no broker a message is refused, at once, and does not come later.
pub async fn what_is_published_while_cut_off_is_refused(cx: &Cx) -> Came {
    let room = cx.channel("room");
    let mut member = cx.subscribed(std::slice::from_ref(&room)).await;
    if !cx.cut().await {
        return UNCUT;
    }
    is_lost(&mut member).await;
    let begun = Instant::now();
    let sent = member.broker.publish(&room, numbered(1)).await;
    holds(
        sent.is_err() && begun.elapsed() < Duration::from_secs(1),
        "an error at once",
        format!("{sent:?} after {:?}", begun.elapsed()),
        "a node without its broker must go on, and what it says meanwhile is lost",
    );
    cx.heal().await;
    member.until_subscribed(std::slice::from_ref(&room)).await;
    until_published(&member, &room).await;
    loop {
        match member.next("the message after the cut").await {
            Event::Message { payload, .. } => {
                same(number_of(&payload), 0, "a message that was refused came");
                return Came::Kept;
            }
            Event::Connected | Event::Subscribed(_) => {}
            event => fail("the message", format!("{event:?}"), "the cut is over"),
        }
    }
}

/// Over several cuts under load, no message comes twice, none before another, and none is missing in silence.
pub async fn nothing_comes_twice_over_cuts(cx: &Cx) -> Came {
    let room = cx.channel("room");
    let rooms = std::slice::from_ref(&room);
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(rooms).await;
    let (mut number, mut last) = (1, 0);
    for round in 0..3 {
        for _ in 0..40 {
            let _ = publisher.broker.publish(&room, numbered(number)).await;
            number += 1;
        }
        if !cx.cut().await {
            return UNCUT;
        }
        cx.heal().await;
        // All that came before the cut, in order, as far as it came.
        let mut next = (round == 0).then_some(1);
        loop {
            match member.next("`Lost`").await {
                Event::Message { payload, .. } => {
                    let came = number_of(&payload);
                    if came > 0 {
                        let why = "it came a second time, or after a later one";
                        holds(came > last, format!("> {last}"), format!("{came}"), why);
                        let why = "some are missing, and nobody said so";
                        same(came, next.unwrap_or(came), why);
                        (last, next) = (came, Some(came + 1));
                    }
                }
                Event::Lost(_) => break,
                _ => {}
            }
        }
        member.until_subscribed(rooms).await;
        until_published(&publisher, &room).await;
        until_published(&member, &room).await;
    }
    Came::Kept
}

/// What is asked for while there is no broker is subscribed to when it is back.
pub async fn a_question_while_cut_off_is_answered_later(cx: &Cx) -> Came {
    let room = cx.channel("room");
    let mut member = cx.subscriber().await;
    if !cx.cut().await {
        return UNCUT;
    }
    is_lost(&mut member).await;
    let rooms = [room.clone()];
    sure("subscribe", member.broker.subscribe(&rooms).await);
    cx.heal().await;
    member.until_subscribed(&rooms).await;
    member.publish(&room, numbered(1)).await;
    loop {
        match member.next("a message").await {
            Event::Connected => {}
            Event::Message { payload, .. } => {
                same(number_of(&payload), 1, "it is subscribed to");
                return Came::Kept;
            }
            event => fail("a message", format!("{event:?}"), "it is subscribed to"),
        }
    }
}

/// What is left while there is no broker is not subscribed to again.
pub async fn what_is_left_while_cut_off_stays_left(cx: &Cx) -> Came {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let mut member = cx.subscribed(&[room.clone(), other.clone()]).await;
    if !cx.cut().await {
        return UNCUT;
    }
    is_lost(&mut member).await;
    member.unsubscribe(std::slice::from_ref(&room)).await;
    cx.heal().await;
    same(
        member.next("`Connected`").await,
        Event::Connected,
        "the broker is back",
    );
    member.until_subscribed(std::slice::from_ref(&other)).await;
    for channel in [&room, &other] {
        member.publish(channel, numbered(1)).await;
    }
    let why = "nobody wants it any more";
    member.hears_numbers(&other, 1, 2, why).await;
    member.hears_no_more(why).await;
    Came::Kept
}
