//! The floor: the functions that our PostgreSQL store installs and calls for a job that succeeds, in the batches it
//! calls them with, on two connections, so that the next are claimed while the last are settled. It makes no record
//! of a row and has no worker; what it leaves out is what the store and the worker add.

use std::sync::Arc;

use bench_served::{Args, Queue, Run, Work};
use tideway_driver::Net;
use tideway_postgres::{Options, Postgres};
use tideway_tokio::Tokio;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

type Param<'a> = (&'a (dyn ToSql + Sync), Type);

const ENQUEUE: &str = "SELECT id, digest FROM tideway.enqueue_1\
    ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const CLAIM: &str = "SELECT * FROM tideway.claim_1($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const SUCCEED: &str = "SELECT codes, hints FROM tideway.succeed_1($1, $2, $3, $4, $5, $6)";

const OWNER: Uuid = Uuid::from_u128(7);
const LEASE: i64 = 60_000;
const ROOM: i64 = 8 << 20;

static PAYLOAD: [u8; 1024] = [b'x'; 1024];

/// A job's id. The high half is a time, as in ours.
fn id(number: usize) -> Uuid {
    Uuid::from_u128((0x01a2_06e9_bf43_760a_u128 << 64) + number as u128)
}

fn number(id: Uuid) -> usize {
    id.as_u128() as u64 as usize
}

#[derive(Clone)]
struct Bare {
    args: Args,
    clients: Arc<[Client; 2]>,
    /// The part of a record that never changes, as the store writes it, its digest, and how long it is kept.
    spec: Arc<Vec<u8>>,
    digest: i64,
    keep: i64,
}

impl Bare {
    async fn claim(&self, seq: i64, most: i64) -> Vec<(Uuid, i64)> {
        let maxes = vec![most];
        let params: [Param<'_>; 9] = [
            (&OWNER, Type::UUID),
            (&seq, Type::INT8),
            (&["default"].as_slice(), Type::TEXT_ARRAY),
            (&[0_i16].as_slice(), Type::INT2_ARRAY),
            (&maxes, Type::INT8_ARRAY),
            (&most, Type::INT8),
            (&ROOM, Type::INT8),
            (&LEASE, Type::INT8),
            (&None::<i64>, Type::INT8),
        ];
        let rows = self.clients[0].query_typed(CLAIM, &params).await;
        let rows = rows.expect("claimed");
        let jobs = rows.iter().filter_map(|row| {
            let (spec, payload): (Option<&[u8]>, Option<&[u8]>) = (row.get(28), row.get(29));
            std::hint::black_box((spec, payload));
            Some((row.get::<_, Option<Uuid>>(0)?, row.get(3)))
        });
        jobs.collect()
    }

    async fn settle(&self, jobs: &[(Uuid, i64)]) {
        if jobs.is_empty() {
            return;
        }
        let mut jobs = jobs.to_vec();
        jobs.sort_unstable();
        let (ids, tokens): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let owners = vec![OWNER; ids.len()];
        let results = vec![None::<&[u8]>; ids.len()];
        let forget = self.args.setting == "delete";
        let params: [Param<'_>; 6] = [
            (&ids, Type::UUID_ARRAY),
            (&tokens, Type::INT8_ARRAY),
            (&owners, Type::UUID_ARRAY),
            (&results, Type::BYTEA_ARRAY),
            (&forget, Type::BOOL),
            (&None::<i64>, Type::INT8),
        ];
        let rows = self.clients[1].query_typed(SUCCEED, &params).await;
        let codes: Option<Vec<i16>> = rows.expect("settled")[0].get(0);
        assert_eq!(codes, None, "all applied");
    }
}

impl Queue for Bare {
    async fn push(&self, batch: Vec<Work>) {
        let count = batch.len();
        let ids: Vec<Uuid> = batch.iter().map(|work| id(work.number)).collect();
        let none = vec![None::<i64>; count];
        let params: [Param<'_>; 13] = [
            (&ids, Type::UUID_ARRAY),
            (&vec!["default"; count], Type::TEXT_ARRAY),
            (&vec!["work"; count], Type::TEXT_ARRAY),
            (&vec![None::<&str>; count], Type::TEXT_ARRAY),
            (&vec![0_i16; count], Type::INT2_ARRAY),
            (&none, Type::INT8_ARRAY),
            (&vec![0_i64; count], Type::INT8_ARRAY),
            (&vec![self.digest; count], Type::INT8_ARRAY),
            (&vec![self.keep; count], Type::INT8_ARRAY),
            (&none, Type::INT8_ARRAY),
            (&vec![&**self.spec; count], Type::BYTEA_ARRAY),
            (&vec![PAYLOAD.as_slice(); count], Type::BYTEA_ARRAY),
            (&None::<i64>, Type::INT8),
        ];
        let rows = self.clients[0].query_typed(ENQUEUE, &params).await;
        assert!(rows.expect("enqueued").is_empty(), "all are new");
    }

    async fn push_one(&self, work: Work) {
        self.push(vec![work]).await;
    }

    async fn work(&self, run: &'static Run) {
        let most = self.args.slots as i64;
        let mut seq = 1;
        let mut held = self.claim(seq, most).await;
        while !held.is_empty() {
            for (id, _) in &held {
                run.ran_number(number(*id));
            }
            seq += 1;
            let (next, ()) = tokio::join!(self.claim(seq, most), self.settle(&held));
            held = next;
        }
    }

    async fn check(&self) -> Vec<(String, f64)> {
        let rows = self.clients[0].query_typed(
            "SELECT count(*), count(*) FILTER (WHERE state = 3) FROM tideway.job",
            &[],
        );
        let row = rows.await.expect("counted").remove(0);
        let kept = match self.args.setting.as_str() {
            "delete" => 0,
            _ => self.args.jobs as i64,
        };
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (kept, kept));
        Vec::new()
    }
}

fn main() {
    let args = bench_served::args();
    bench_served::runtime(&args).block_on(async {
        let net = Net::of(Tokio::current());
        let store = Postgres::open(net, &args.url, Options::default()).await;
        bench_ours::one_job(store.expect("the store opens")).await;
        let connect = async || {
            let connected = tokio_postgres::connect(&args.url, NoTls).await;
            let (client, connection) = connected.expect("the database is there");
            tokio::spawn(connection);
            client
        };
        let first = connect().await;
        let rows = first.query_typed("SELECT spec, digest, keep FROM tideway.job", &[]);
        let row = rows.await.expect("a row").remove(0);
        let emptied = first.batch_execute("TRUNCATE tideway.job, tideway.tally, tideway.claimer");
        emptied.await.expect("empty");
        let bare = Bare {
            args: args.clone(),
            spec: Arc::new(row.get(0)),
            digest: row.get(1),
            keep: row.get(2),
            clients: Arc::new([first, connect().await]),
        };
        bench_served::main("bare", &args, bare).await;
    });
}
