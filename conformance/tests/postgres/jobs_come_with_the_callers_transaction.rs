//! `enqueue_in`: the jobs are there if and when the caller commits. And two who are in each other's way.

use std::time::Duration;

use futures_util::StreamExt;
use tideway::jobs::JobStore;
use tideway_conformance::servers::{self, PostgresServer};
use tideway_engine::jobs::call::{Control, Enqueued, Select, Wake};
use tideway_engine::jobs::{Conflict, Hold, Owner, Start, Unique};

use crate::world::{World, block_on, client, id, job, ms, name, open, plain, record, sound};

#[test]
fn if_and_when_it_commits() {
    let world = World::new();
    let store = world.open();
    let keyed = |n| {
        job(n, |spec| {
            spec.unique = Some(Unique {
                key: name("k"),
                hold: Hold::UntilDone,
                conflict: Conflict::Keep,
            });
        })
    };
    block_on(async {
        let mut own = client(&servers::postgres().unwrap().url()).await;
        let mut hints = store.wakeups(Owner(1));
        tokio::time::sleep(ms(300)).await;
        while let Ok(Some(_)) = tokio::time::timeout(ms(50), hints.next()).await {}
        own.batch_execute(&format!("CREATE TABLE {}.mine (n int)", world.schema))
            .await
            .unwrap();
        for (commit, n) in [(false, 1), (true, 10)] {
            let tx = own.transaction().await.unwrap();
            tx.batch_execute(&format!("INSERT INTO {}.mine VALUES (1)", world.schema))
                .await
                .unwrap();
            let all = [plain(n), plain(n + 1)];
            assert_eq!(
                store.enqueue_in(&tx, &all).await.unwrap(),
                [Enqueued::Inserted; 2]
            );
            assert_eq!(
                store.enqueue_in(&tx, &all).await.unwrap(),
                [Enqueued::Duplicate; 2]
            );
            let tied = [
                keyed(n + 2),
                keyed(n + 3),
                job(n + 4, |spec| spec.waits = vec![id(n)]),
            ];
            let out = store.enqueue_in(&tx, &tied).await.unwrap();
            assert_eq!(
                out,
                [
                    Enqueued::Inserted,
                    Enqueued::UniqueHit(id(n + 2)),
                    Enqueued::Inserted
                ]
            );
            let early = tokio::time::timeout(ms(200), hints.next()).await;
            assert!(early.is_err(), "nobody hears before the commit: {early:?}");
            if commit {
                tx.commit().await.unwrap();
                let hint = tokio::time::timeout(Duration::from_secs(2), hints.next()).await;
                assert_eq!(hint.unwrap(), Some(Wake::Queue(name("mail"))));
            } else {
                tx.rollback().await.unwrap();
            }
        }
    });
    assert!(record(&store, 1).is_none() && record(&store, 3).is_none());
    assert!(
        record(&store, 10).is_some()
            && record(&store, 12).is_some()
            && record(&store, 14).is_some()
    );
    sound(&store);
}

#[test]
fn a_deadlock_is_tried_again() {
    let world = World::new();
    let store = world.open();
    block_on(async {
        store.enqueue(&[plain(1), plain(2)]).await.unwrap();
        let other = client(&servers::postgres().unwrap().url()).await;
        let lock = |n: u128| {
            format!(
                "SELECT FROM {}.job WHERE id = '{}' FOR UPDATE",
                world.schema,
                id(n)
            )
        };
        // The other one waits longer than the store before it looks for a circle.
        other
            .batch_execute(&format!(
                "BEGIN; SET LOCAL deadlock_timeout = '20s'; {}",
                lock(2)
            ))
            .await
            .unwrap();
        let ours = Control::Reschedule(
            Select::Ids(vec![id(1), id(2)]),
            Start::After(Duration::from_secs(60)),
        );
        let ours = store.control(&ours);
        let theirs = async {
            tokio::time::sleep(ms(300)).await;
            other.batch_execute(&lock(1)).await.unwrap();
            other.batch_execute("COMMIT").await.unwrap();
        };
        let (ours, ()) = futures_util::future::join(ours, theirs).await;
        assert_eq!(ours.unwrap().done, [id(1), id(2)]);
    });
}

#[test]
fn a_serialization_failure_is_tried_again() {
    // Where this is the default, whoever waited for a row that was changed meanwhile has to begin again.
    let settings = [("default_transaction_isolation", "repeatable read")];
    let server = PostgresServer::start_with(&settings).expect("a server");
    let world = World::new();
    let store = open(&server.url(), world.options()).expect("a store");
    block_on(async {
        store.enqueue(&[plain(1)]).await.unwrap();
        let other = client(&server.url()).await;
        let job = format!("{}.job", world.schema);
        let update = format!(
            "BEGIN; UPDATE {job} SET payload = payload WHERE id = '{}'",
            id(1)
        );
        other.batch_execute(&update).await.unwrap();
        let select = Select::Ids(vec![id(1)]);
        let ours = Control::Reschedule(select, Start::After(Duration::from_secs(60)));
        let ours = store.control(&ours);
        let theirs = async {
            tokio::time::sleep(ms(300)).await;
            other.batch_execute("COMMIT").await.unwrap();
        };
        let (ours, ()) = futures_util::future::join(ours, theirs).await;
        assert_eq!(ours.unwrap().done, [id(1)]);
    });
    sound(&store);
}
