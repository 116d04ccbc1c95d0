//! The floor: the scripts of our Redis store for a job that succeeds, as many jobs in a script and as many scripts
//! in a message as the store has, on two connections, so that the next are claimed while the last are settled. It
//! makes no record of a reply and has no worker; what it leaves out is what the store and the worker add.

use std::sync::Arc;

use bench_served::{Args, Queue, Run, Work};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Script, Value, cmd};
use tideway_driver::Net;
use tideway_redis::{Options, Redis};
use tideway_tokio::Tokio;
use tokio::sync::Mutex;

/// As the store puts them together.
macro_rules! script {
    ($flags:literal, $($part:literal),*) => {
        concat!("#!lua", $flags, $("\n", include_str!(
            concat!("../../../../backends/redis/src/lua/", $part, ".lua"))),*)
    };
}

const ENQUEUE: &str = script!("", "base", "limits", "step", "insert", "enqueue");
const CLAIM: &str = script!(" flags=allow-oom", "base", "limits", "step", "claim");
const SETTLE: &str = script!(
    " flags=allow-oom",
    "base",
    "limits",
    "step",
    "insert",
    "settle"
);

/// Jobs of a script that enqueues or settles, as in the store.
const CHUNK: usize = 100;
const BASE: &str = "{tideway}";
const OWNER: [u8; 16] = [7; 16];
/// Values in the reply to a claim: before the jobs, and of each.
const HEAD: usize = 5;
const SHOWN: usize = 6;

/// A job's id. The high half is a time, as in ours.
fn id(number: usize) -> [u8; 16] {
    ((0x01a2_06e9_bf43_760a_u128 << 64) + number as u128).to_be_bytes()
}

fn number(id: &[u8]) -> usize {
    u128::from_be_bytes(id.try_into().expect("16 bytes")) as u64 as usize
}

/// A connection and what is called on it.
#[derive(Clone)]
struct Bare {
    args: Args,
    connections: Arc<[Mutex<MultiplexedConnection>; 2]>,
    /// Of the scripts to enqueue, claim and settle.
    digests: Arc<[String; 3]>,
    /// The part of a record that never changes, as the store writes it.
    spec: Arc<Vec<u8>>,
    channel: Arc<str>,
}

impl Bare {
    fn call(&self, script: usize) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.digests[script]).arg(2).arg(BASE);
        call.arg(format!("{BASE}:-")).arg("").arg(-1);
        call.arg(&*self.channel);
        call
    }

    /// The replies to calls that go together.
    async fn send(&self, connection: usize, calls: Vec<Cmd>) -> Vec<Vec<Value>> {
        let count = calls.len();
        let mut pipe = redis::Pipeline::with_capacity(count);
        for call in calls {
            pipe.add_command(call);
        }
        let mut connection = self.connections[connection].lock().await;
        let replies = connection.send_packed_commands(&pipe, 0, count).await;
        let replies = replies.expect("Redis answers").into_iter();
        let values = replies.map(|reply| match reply {
            Value::Array(values) => values,
            other => panic!("Redis said {other:?}"),
        });
        values.collect()
    }

    async fn claim(&self, seq: usize, most: usize) -> Vec<[u8; 16]> {
        let mut call = self.call(1);
        call.arg(1).arg(&OWNER).arg(seq).arg(60_000);
        call.arg(most).arg(8 << 20);
        call.arg("default").arg(0).arg(most);
        let mut replies = self.send(0, vec![call]).await;
        let values = replies.pop().expect("a reply");
        let ids = values[HEAD..].chunks_exact(SHOWN).map(|shown| {
            let Value::BulkString(id) = &shown[1] else {
                panic!("no id: {:?}", shown[1]);
            };
            id[..].try_into().expect("16 bytes")
        });
        ids.collect()
    }

    async fn settle(&self, ids: &[[u8; 16]]) {
        let calls = ids.chunks(CHUNK).map(|chunk| {
            let mut call = self.call(2);
            for id in chunk {
                // The first token, the owner, success, no delay, nothing else.
                let mut head = Vec::with_capacity(52);
                head.extend(id);
                head.extend(1_f64.to_le_bytes());
                head.extend(OWNER);
                head.push(1);
                head.extend(0_f64.to_le_bytes());
                head.extend([0, 0, 0]);
                call.arg(head).arg("").arg("").arg(0);
            }
            call
        });
        for reply in self.send(1, calls.collect()).await {
            for said in &reply[1..] {
                let applied =
                    matches!(said, Value::BulkString(said) if said.first() == Some(&b'a'));
                assert!(applied, "{said:?}");
            }
        }
    }
}

impl Queue for Bare {
    async fn push(&self, batch: Vec<Work>) {
        let start: [u8; 9] = [0; 9];
        let calls = batch.chunks(CHUNK).map(|chunk| {
            let mut call = self.call(0);
            for work in chunk {
                // A kibibyte, though no JSON is written.
                call.arg(&id(work.number)).arg(&**self.spec);
                call.arg(&PAYLOAD).arg(&start);
            }
            call
        });
        for reply in self.send(0, calls.collect()).await {
            for said in &reply[1..] {
                assert_eq!(*said, Value::BulkString(b"1".to_vec()));
            }
        }
    }

    async fn push_one(&self, work: Work) {
        self.push(vec![work]).await;
    }

    async fn work(&self, run: &'static Run) {
        let most = self.args.slots;
        let mut seq = 1;
        let mut held = self.claim(seq, most).await;
        while !held.is_empty() {
            for id in &held {
                run.ran_number(number(id));
            }
            seq += 1;
            let (next, ()) = tokio::join!(self.claim(seq, most), self.settle(&held));
            held = next;
        }
    }
}

static PAYLOAD: [u8; 1024] = [b'x'; 1024];

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let net = Net::of(Tokio::current());
        let store = Redis::open(net, &args.url, Options::default()).await;
        bench_ours::enqueue_one(store.expect("the store opens")).await;
        let client = redis::Client::open(args.url.as_str()).expect("a URL");
        let connect = async || {
            let connection = client.get_multiplexed_async_connection().await;
            connection.expect("Redis answers")
        };
        let mut first = connect().await;
        let specs = cmd("HVALS").arg(format!("{BASE}:s")).clone();
        let specs: Vec<Vec<u8>> = specs.query_async(&mut first).await.expect("a hash");
        assert_eq!(specs.len(), 1, "one job was enqueued");
        cmd("FLUSHALL").exec_async(&mut first).await.expect("empty");
        let mut digests =
            [ENQUEUE, CLAIM, SETTLE].map(|text| Script::new(text).get_hash().to_owned());
        for (digest, text) in digests.iter_mut().zip([ENQUEUE, CLAIM, SETTLE]) {
            let load = cmd("SCRIPT").arg("LOAD").arg(text).clone();
            *digest = load.query_async(&mut first).await.expect("a script");
        }
        let bare = Bare {
            args: args.clone(),
            connections: Arc::new([Mutex::new(first), Mutex::new(connect().await)]),
            digests: Arc::new(digests),
            spec: Arc::new(specs.into_iter().next().expect("one")),
            channel: "tideway:hints".into(),
        };
        bench_served::main("bare", &args, bare).await;
    });
}
