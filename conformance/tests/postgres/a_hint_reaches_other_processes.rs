//! NOTIFY and LISTEN between two stores, as between two processes; also after the listening connection broke.

use std::time::Duration;

use futures_util::StreamExt;
use tideway::jobs::JobStore;
use tideway_conformance::servers;
use tideway_engine::jobs::Owner;
use tideway_engine::jobs::call::{Control, Select, Wake};

use crate::world::{World, block_on, id, ms, name, open, plain, request};

type Hints = std::pin::Pin<Box<dyn futures_util::Stream<Item = Wake> + Send>>;

async fn heard(hints: &mut Hints, wanted: &Wake) -> bool {
    let look = async {
        while let Some(wake) = hints.next().await {
            if wake == *wanted {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(Duration::from_secs(2), look)
        .await
        .unwrap_or(false)
}

async fn silence(hints: &mut Hints) {
    while let Ok(Some(_)) = tokio::time::timeout(ms(100), hints.next()).await {}
}

fn listening(world: &World) -> usize {
    let like = format!(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%tideway_{}\"'",
        world.schema
    );
    let rows = world.sql(&like);
    rows.iter()
        .filter(|row| matches!(row, tokio_postgres::SimpleQueryMessage::Row(_)))
        .count()
}

#[test]
fn of_new_jobs_and_of_a_cancel_request() {
    let world = World::new();
    let (one, other) = (world.open(), world.open());
    block_on(async {
        let mut hints = one.wakeups(Owner(7));
        let mail = Wake::Queue(name("mail"));
        tokio::time::sleep(ms(300)).await;
        for n in 1..4 {
            silence(&mut hints).await;
            other.enqueue(&[plain(n)]).await.unwrap();
            assert!(heard(&mut hints, &mail).await, "of job {n}");
        }
        one.claim(&request(7, 1, 1)).await.unwrap();
        other
            .control(&Control::Cancel(Select::Ids(vec![id(1)])))
            .await
            .unwrap();
        assert!(heard(&mut hints, &Wake::Cancel(vec![id(1)])).await);
    });
}

#[test]
fn of_all_that_was_missed_when_the_connection_broke() {
    let world = World::new();
    let (one, other) = (world.open(), world.open());
    block_on(async {
        let mut hints = one.wakeups(Owner(7));
        tokio::time::sleep(ms(300)).await;
        other.enqueue(&[plain(1)]).await.unwrap();
        one.claim(&request(7, 1, 1)).await.unwrap();
        other
            .control(&Control::Cancel(Select::Ids(vec![id(1)])))
            .await
            .unwrap();
        silence(&mut hints).await;
    });
    world.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%tideway_{}\"'",
        world.schema
    ));
    block_on(async {
        let mut hints = one.wakeups(Owner(7));
        assert!(
            heard(&mut hints, &Wake::Cancel(vec![id(1)])).await,
            "it was asked before"
        );
        assert!(heard(&mut hints, &Wake::Queue(name("mail"))).await);
    });
    assert_eq!(listening(&world), 1);
    drop(one);
    std::thread::sleep(ms(500));
    assert_eq!(listening(&world), 0, "the store is gone, and so is its ear");
}

#[test]
fn behind_a_pooler_through_a_direct_address() {
    let world = World::new();
    let bouncer = servers::pgbouncer().unwrap().url();
    let direct = servers::postgres().unwrap().url();
    let deaf = open(&bouncer, world.options().pooled(true)).unwrap();
    assert!(!deaf.caps().wakeups);
    let one = open(&bouncer, world.options().pooled(true).listen_url(direct)).unwrap();
    assert!(one.caps().wakeups);
    block_on(async {
        assert_eq!(deaf.wakeups(Owner(1)).next().await, None);
        let mut hints = one.wakeups(Owner(7));
        tokio::time::sleep(ms(300)).await;
        silence(&mut hints).await;
        deaf.enqueue(&[plain(1)]).await.unwrap();
        assert!(heard(&mut hints, &Wake::Queue(name("mail"))).await);
    });
}

#[test]
fn a_pooler_that_was_not_named_is_found_out() {
    let bouncer = servers::pgbouncer().unwrap().url();
    let text = open(&bouncer, World::new().options())
        .unwrap_err()
        .to_string();
    assert!(text.contains("Options::pooled(true)"), "{text}");
}
