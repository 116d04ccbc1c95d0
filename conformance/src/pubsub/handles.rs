//! Handles: what goes with one, and whose answer is whose.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::StreamExt;
use tideway::pubsub::PubSub;

use super::cx::{numbered, sure};
use super::timer::within;
use super::{Came, Cx};
use crate::suite::claim::{LIMIT, fail, same};

const UNCOUNTED: Came = Came::Skipped(Cow::Borrowed(
    "`Harness::subscribers` cannot say who is subscribed",
));

/// When the handle goes, the events end.
pub async fn events_end_with_the_handle(cx: &Cx) {
    let room = cx.channel("room");
    let broker = cx.open().await;
    let mut events = broker.events();
    sure("subscribe", broker.subscribe(&[room]).await);
    drop(broker);
    for _ in 0..10 {
        match within(LIMIT, events.next()).await {
            Some(None) => return,
            Some(Some(_)) => {}
            None => fail(
                "the events end",
                format!("nothing in {LIMIT:?}"),
                "the task that reads them would wait for ever",
            ),
        }
    }
    fail(
        "the events end",
        "ten more came",
        "there is nobody to hear them",
    );
}

/// The broker sends nothing more to a handle that is gone.
pub async fn a_dropped_handle_frees_its_subscriptions(cx: &Cx) -> Came {
    let room = cx.channel("room");
    let one = cx.subscribed(std::slice::from_ref(&room)).await;
    let two = cx.subscribed(std::slice::from_ref(&room)).await;
    if cx.subscribers(&room).await.is_none() {
        return UNCOUNTED;
    }
    same(cx.subscribers(&room).await, Some(2), "two are subscribed");
    let why = "a process that opens handles again and again would drown";
    drop(one);
    cx.until_subscribers(&room, 1, why).await;
    drop(two);
    cx.until_subscribers(&room, 0, why).await;
    Came::Kept
}

/// The broker sends nothing more of a channel that was left.
pub async fn an_unsubscribe_frees_the_channel(cx: &Cx) -> Came {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let mut member = cx.subscribed(&[room.clone(), other.clone()]).await;
    if cx.subscribers(&room).await.is_none() {
        return UNCOUNTED;
    }
    member.unsubscribe(std::slice::from_ref(&room)).await;
    let why = "rooms come and go; a node must not hear all that ever were";
    cx.until_subscribers(&room, 0, why).await;
    same(cx.subscribers(&other).await, Some(1), "the other was kept");
    Came::Kept
}

/// Minds are changed faster than a broker answers: the last one counts.
pub async fn the_last_of_many_changes_counts(cx: &Cx) {
    let (room, other) = (cx.channel("room"), cx.channel("other"));
    let mut member = cx.subscriber().await;
    let (rooms, others) = ([room.clone()], [other.clone()]);
    for _ in 0..20 {
        sure("subscribe", member.broker.subscribe(&rooms).await);
        sure("subscribe", member.broker.subscribe(&others).await);
        sure("unsubscribe", member.broker.unsubscribe(&rooms).await);
        sure("unsubscribe", member.broker.unsubscribe(&others).await);
    }
    sure("subscribe", member.broker.subscribe(&rooms).await);
    member.until_subscribed(&rooms).await;
    super::timer::sleep(Duration::from_millis(20)).await;
    for channel in [&other, &room] {
        member.publish(channel, numbered(1)).await;
    }
    let why = "an answer to a question of before was taken for that of the last";
    member.hears_numbers(&room, 1, 2, why).await;
    member.hears_no_more(why).await;
}
