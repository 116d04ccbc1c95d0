//! What Redis alone has to say: a server that dies, one that falls silent, one that refuses.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tideway::pubsub::{Channel, Event, PubSub, PubSubError};
use tideway_conformance::proxy::Faults;
use tideway_conformance::servers::{self, Persistence, RedisServer};
use tideway_redis::{PubSubOptions, RedisPubSub};

use crate::redis::{cluster, proxy};
use crate::tokio_multi::{block_on, net};

fn open(url: &str) -> Result<RedisPubSub, PubSubError> {
    block_on(RedisPubSub::open(net(), url, PubSubOptions::default()))
}

fn channel(name: &str) -> Channel {
    Channel::new(name).expect("a name")
}

/// Events until one is as wanted, within `limit`; how long it took.
fn until(
    events: &mut (impl futures_util::Stream<Item = Event> + Unpin),
    limit: Duration,
    wanted: impl Fn(&Event) -> bool,
) -> Duration {
    let begun = Instant::now();
    block_on(async {
        let found = async {
            while let Some(event) = events.next().await {
                if wanted(&event) {
                    return;
                }
            }
            panic!("the events ended");
        };
        let found = tokio::time::timeout(limit, found).await;
        found.unwrap_or_else(|_| panic!("not within {limit:?}"));
    });
    begun.elapsed()
}

#[test]
fn a_server_that_is_killed_is_found_again() {
    let mut server = RedisServer::start(Persistence::None).expect("a server");
    let broker = open(&server.url()).expect("a broker");
    let lobby = channel("lobby");
    let mut events = broker.events();
    block_on(broker.subscribe(std::slice::from_ref(&lobby))).expect("taken note");
    let subscribed = |event: &Event| matches!(event, Event::Subscribed(_));
    until(&mut events, Duration::from_secs(5), subscribed);

    server.kill();
    let lost = |event: &Event| *event == Event::Lost(None);
    until(&mut events, Duration::from_secs(2), lost);
    let refused = block_on(broker.publish(&lobby, "gone".into()));
    assert!(
        matches!(refused, Err(PubSubError::Transient(_))),
        "{refused:?}"
    );

    server.restart().expect("a server");
    // It is asked for at least once a second.
    until(&mut events, Duration::from_secs(3), subscribed);
    block_on(broker.publish(&lobby, "back".into())).expect("published");
    let back = |event: &Event| matches!(event, Event::Message { payload, .. } if payload == "back");
    until(&mut events, Duration::from_secs(2), back);
}

#[test]
fn a_server_that_falls_silent_is_given_up_within_ten_seconds() {
    let server = servers::redis().expect("a server");
    let proxy = proxy(server.port());
    let url = format!("redis://127.0.0.1:{}", proxy.addr().port());
    let broker = open(&url).expect("a broker");
    let lobby = channel("silent lobby");
    let mut events = broker.events();
    block_on(broker.subscribe(std::slice::from_ref(&lobby))).expect("taken note");
    let subscribed = |event: &Event| matches!(event, Event::Subscribed(_));
    until(&mut events, Duration::from_secs(5), subscribed);

    proxy.set(Faults {
        half_open: 1.0,
        ..Faults::default()
    });
    let begun = Instant::now();
    let sent = block_on(broker.publish(&lobby, "into the void".into()));
    assert!(matches!(sent, Err(PubSubError::Transient(_))), "{sent:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    proxy.set(Faults::default());
    let lost = |event: &Event| *event == Event::Lost(None);
    until(&mut events, Duration::from_secs(1), lost);
    until(&mut events, Duration::from_secs(15), subscribed);
}

#[test]
fn an_idle_connection_is_asked_and_kept() {
    let server = servers::redis().expect("a server");
    let broker = open(&server.url()).expect("a broker");
    let mut events = broker.events();
    until(&mut events, Duration::from_secs(1), |event| {
        *event == Event::Connected
    });
    let quiet =
        block_on(async { tokio::time::timeout(Duration::from_secs(13), events.next()).await });
    assert!(quiet.is_err(), "{quiet:?}");
}

#[test]
fn what_is_wrong_is_said() {
    let locked = [("requirepass", "secret")];
    let server = RedisServer::start_with(Persistence::None, &locked).expect("a server");
    let told = |url: &str| open(url).expect_err("refused");
    for (url, fatal, says) in [
        ("http://localhost", true, "redis://host:6379"),
        (
            &*format!("redis://127.0.0.1:{}", server.port()),
            true,
            "password",
        ),
        (
            &*format!("redis://:wrong@127.0.0.1:{}", server.port()),
            true,
            "password",
        ),
        ("redis://127.0.0.1:1", false, "127.0.0.1:1"),
    ] {
        let error = told(url);
        assert_eq!(matches!(error, PubSubError::Fatal(_)), fatal, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_forbidden_channel_is_lost_and_the_others_go_on() {
    let server = RedisServer::start(Persistence::None).expect("a server");
    let mut raw = ::redis::Client::open(server.url())
        .and_then(|client| client.get_connection())
        .expect("a connection");
    let mut allow = ::redis::cmd("ACL");
    allow.arg(&[
        "SETUSER",
        "me",
        "on",
        ">pw",
        "+@all",
        "resetchannels",
        "&ours:*",
    ]);
    let () = allow.query(&mut raw).expect("a user");

    let broker = open(&format!("redis://me:pw@127.0.0.1:{}", server.port())).expect("a broker");
    let (ours, theirs) = (channel("ours:a"), channel("theirs:a"));
    let mut events = broker.events();
    let limit = Duration::from_secs(5);
    block_on(broker.subscribe(std::slice::from_ref(&theirs))).expect("taken note");
    until(&mut events, limit, |event| {
        *event == Event::Lost(Some(theirs.clone()))
    });
    let sent = block_on(broker.publish(&theirs, "no".into()));
    let error = sent.expect_err("refused").to_string();
    assert!(error.contains("channels"), "{error}");

    block_on(broker.subscribe(std::slice::from_ref(&ours))).expect("taken note");
    until(&mut events, limit, |event| {
        *event == Event::Subscribed(ours.clone())
    });
    block_on(broker.publish(&ours, "yes".into())).expect("published");
    until(&mut events, limit, |event| {
        matches!(event, Event::Message { .. })
    });
}

#[test]
fn one_server_away_another_of_the_cluster_does() {
    let there = servers::redis_cluster().expect("a cluster").ports()[0];
    let broker = open(&cluster(&[1, there])).expect("a broker");
    block_on(broker.publish(&channel("a"), "b".into())).expect("published");
}

#[test]
fn too_much_at_once_is_refused_and_the_rest_is_sent() {
    let server = servers::redis().expect("a server");
    let broker = open(&server.url()).expect("a broker");
    let lobby = channel("crowded lobby");
    block_on(async {
        let calls = (0..20_000).map(|_| broker.publish(&lobby, vec![0; 1000].into()));
        let sent = futures_util::future::join_all(calls).await;
        let (taken, full): (Vec<_>, Vec<_>) = sent.into_iter().partition(Result::is_ok);
        assert!(full.iter().all(|e| matches!(e, Err(PubSubError::Full(_)))));
        assert!(taken.len() >= 4096 && !full.is_empty(), "{}", taken.len());
    });
    block_on(broker.publish(&lobby, "after".into())).expect("published");
}
