//! Names of channels: exact, whatever they are made of, and many at once.

use std::collections::BTreeSet;

use tideway::pubsub::{Channel, Event};

use super::Cx;
use super::cx::{number_of, numbered};
use crate::suite::claim::{fail, same};

/// Names that mean something somewhere: patterns, wildcards, protocols, cases, what looks alike.
const ODD: [&str; 24] = [
    "a",
    "A",
    "a ",
    " a",
    "aa",
    "a*",
    "*",
    "?",
    "[a]",
    "a:b",
    "a:*",
    "a.b",
    "a.>",
    "a/+",
    "#",
    "{a}",
    "\\",
    "\"a\"",
    "'",
    "a\r\nPING\r\n",
    "\u{0}",
    "\u{e9}",
    "e\u{301}",
    "\u{1f600}",
];

/// No character means anything: each message arrives on its own channel, and nowhere else.
pub async fn names_are_exact(cx: &Cx) {
    let all: Vec<Channel> = ODD.iter().map(|name| cx.channel(name)).collect();
    let publisher = cx.subscriber().await;
    let half: Vec<Channel> = all.iter().step_by(2).cloned().collect();
    let mut member = cx.subscribed(&half).await;
    for (number, channel) in (0..).zip(&all) {
        publisher.publish(channel, numbered(number)).await;
    }
    let mut expected: BTreeSet<(Channel, u32)> = (0..)
        .zip(&all)
        .step_by(2)
        .map(|(n, c)| (c.clone(), n))
        .collect();
    while !expected.is_empty() {
        let why = "a room whose name has a star must not hear all the others";
        match member.next("a message").await {
            Event::Message {
                channel, payload, ..
            } => {
                let came = (channel, number_of(&payload));
                let known = expected.remove(&came);
                same((known, came.clone()), (true, came), why);
            }
            event => fail("a message", format!("{event:?}"), why),
        }
    }
    member
        .hears_no_more("the other half was not asked for")
        .await;
}

/// The longest name is one.
pub async fn the_longest_name_is_whole(cx: &Cx) {
    let long = |last: char| {
        let mut name = cx.channel("x").to_string();
        name.extend(std::iter::repeat_n('x', Channel::MAX - name.len() - 1));
        name.push(last);
        Channel::new(name).expect("as long as a name may be")
    };
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(&[long('1')]).await;
    publisher.publish(&long('2'), numbered(2)).await;
    publisher.publish(&long('1'), numbered(1)).await;
    let why = "two long names that differ at their ends are two";
    member.hears_numbers(&long('1'), 1, 2, why).await;
    member.hears_no_more(why).await;
}

/// 512 channels in one call are all subscribed to, and all left again.
pub async fn many_channels_go_in_one_call(cx: &Cx) {
    let all: Vec<Channel> = (0..512).map(|n| cx.channel(&format!("room {n}"))).collect();
    let publisher = cx.subscriber().await;
    let mut member = cx.subscribed(&all).await;
    for (number, channel) in (0..).zip(&all).step_by(73) {
        publisher.publish(channel, numbered(number)).await;
        let why = "every channel of the call is subscribed to";
        member.hears_numbers(channel, number, number + 1, why).await;
    }
    let last = &all[511];
    publisher.publish(last, numbered(511)).await;
    member
        .hears_numbers(last, 511, 512, "the last one too")
        .await;
    member.unsubscribe(&all[1..]).await;
    for channel in [&all[1], last, &all[0]] {
        publisher.publish(channel, numbered(7)).await;
    }
    let why = "every channel of the call is left, and no other";
    member.hears_numbers(&all[0], 7, 8, why).await;
    member.hears_no_more(why).await;
}
