//! Two nodes of the chat, joined by Redis: the broker dies and comes back, then one of them is killed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tideway::Tasks;
use tideway::ws::{Socket, connect};
use tideway_conformance::servers::{Persistence, RedisServer};
use tideway_tokio::Tokio;
use tokio::runtime::Runtime;

use crate::server::Server;

/// Tells late from never, where no limit is given.
const LIMIT: Duration = Duration::from_secs(20);

/// A browser's tab, as far as it talks.
struct Tab<'a> {
    rt: &'a Runtime,
    socket: Socket,
    told: Vec<Value>,
}

impl<'a> Tab<'a> {
    fn open(rt: &'a Runtime, server: &Server, name: &str) -> Self {
        let tasks: Arc<dyn Tasks> = tideway_driver::tasks(Tokio::new(rt.handle().clone()));
        let url = format!("ws://{}/rooms/lobby?name={name}", server.addr);
        let socket = rt.block_on(async { connect(&tasks, &url).await });
        Self {
            rt,
            socket: socket.expect("a socket"),
            told: Vec::new(),
        }
    }

    fn say(&self, text: &str) {
        let said = json!({"type": "say", "text": text}).to_string();
        self.rt
            .block_on(async { self.socket.send(said).await })
            .expect("it is open");
    }

    /// Waits until it is told something; how long that took.
    #[track_caller]
    fn until(&mut self, what: &str, limit: Duration, is: impl Fn(&Value) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            let next = async { tokio::time::timeout(left, self.socket.recv()).await };
            let Ok(message) = self.rt.block_on(next) else {
                panic!("never: {what}; told: {:?}", self.told);
            };
            let message = message.expect("the socket is open");
            let text = message.as_text().expect("text");
            let value: Value = serde_json::from_str(text).expect("JSON");
            self.told.push(value.clone());
            if is(&value) {
                return begun.elapsed();
            }
        }
    }

    #[track_caller]
    fn hears(&mut self, text: &str) -> Duration {
        self.until(text, LIMIT, |told| {
            told["type"] == "said" && told["text"] == text
        })
    }

    /// Somebody is there, or comes.
    #[track_caller]
    fn meets(&mut self, user: &str) {
        self.until(user, LIMIT, |told| match told["type"].as_str() {
            Some("came") => told["user"] == user,
            Some("present") => {
                let users = told["users"].as_array().expect("a list");
                users.iter().any(|there| there == user)
            }
            _ => false,
        });
    }

    fn was_told(&self, kind: &str) -> bool {
        self.told.iter().any(|told| told["type"] == kind)
    }
}

fn two_nodes(one: &str, two: &str) {
    let rt = Runtime::new().expect("a runtime");
    let mut redis = RedisServer::start(Persistence::None).expect("Redis");
    let url = redis.url();
    let node = |runtime: &str| {
        let args = ["--runtime", runtime, "--pubsub", &url];
        Server::start(env!("CARGO_BIN_EXE_chat"), &args)
    };
    let (here, mut there) = (node(one), node(two));

    let mut ann = Tab::open(&rt, &here, "ann");
    let mut cat = Tab::open(&rt, &here, "cat");
    let mut bob = Tab::open(&rt, &there, "bob");
    ann.meets("bob");
    bob.meets("ann");
    ann.say("hello");
    bob.hears("hello");
    bob.say("hello yourself");
    ann.hears("hello yourself");
    cat.hears("hello yourself");
    assert!(
        !ann.was_told("gap") && !bob.was_told("gap"),
        "nothing is missing yet"
    );

    // Without their broker, the nodes' rooms go on for those who are there.
    redis.kill();
    ann.say("is anybody there?");
    let took = cat.hears("is anybody there?");
    assert!(took < Duration::from_secs(5), "{took:?}");
    bob.say("I am alone");
    bob.hears("I am alone");

    // It comes back: both connect again, and all are told that something is missing.
    redis.restart().expect("Redis");
    for tab in [&mut ann, &mut cat, &mut bob] {
        tab.until("a gap", LIMIT, |told| told["type"] == "gap");
    }
    ann.say("again");
    bob.hears("again");
    bob.say("again yourself");
    ann.hears("again yourself");
    let lost = |tab: &Tab<'_>, text: &str| !tab.told.iter().any(|told| told["text"] == text);
    assert!(
        lost(&bob, "is anybody there?") && lost(&ann, "I am alone"),
        "at most once"
    );

    // A node dies: its users leave, and the others' rooms go on.
    there.signal(Signal::KILL);
    there.wait();
    let killed = Instant::now();
    ann.say("still here");
    let took = cat.hears("still here");
    assert!(took < Duration::from_secs(5), "{took:?}");
    ann.until("bob leaves", LIMIT, |told| {
        told["type"] == "went" && told["user"] == "bob"
    });
    let took = killed.elapsed();
    println!("{one} and {two}: a dead node's user left after {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");

    // It starts again, as somebody else.
    let again = node(two);
    let mut bob = Tab::open(&rt, &again, "bob");
    bob.meets("ann");
    ann.meets("bob");
    bob.say("back");
    ann.hears("back");
    drop((ann, cat, bob));
    here.stop();
    again.stop();
}

#[test]
fn rooms_outlive_their_broker_and_other_nodes_on_tokio_and_smol() {
    two_nodes("tokio", "smol");
}

#[test]
fn rooms_outlive_their_broker_and_other_nodes_on_async_std_and_tokio() {
    two_nodes("async-std", "tokio");
}

#[test]
fn a_broker_that_is_not_there_is_said() {
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_chat"))
        .args(["--listen", "127.0.0.1:0", "--pubsub", "redis://127.0.0.1:1"])
        .output()
        .expect("the program starts");
    assert!(!program.status.success());
    let error = String::from_utf8_lossy(&program.stderr);
    assert!(error.contains("redis://127.0.0.1:1"), "{error}");
}
