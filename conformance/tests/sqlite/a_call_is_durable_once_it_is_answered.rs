//! A process says which of its calls were answered and is killed at any moment: all that it said is in the file.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};

use tideway_engine::jobs::State;
use tideway_sqlite::{Options, Sqlite};

use crate::world::{
    World, as_child, block_on, child, claim, enqueue, id, plain, request, settle, sound,
};

const CHILD: &str = "a_call_is_durable_once_it_is_answered::the_one_that_is_killed";

/// Enqueues, claims and settles without end, and says what was answered.
#[test]
fn the_one_that_is_killed() {
    let Some(path) = as_child(CHILD) else { return };
    let store = Sqlite::open(path, Options::default()).unwrap();
    let mut out = std::io::stdout().lock();
    let owner = u128::from(std::process::id()) << 64;
    for round in 0_u128.. {
        let first = owner + round * 5;
        let jobs: Vec<_> = (first..first + 5).map(plain).collect();
        enqueue(&store, &jobs);
        for n in first..first + 5 {
            writeln!(out, "ack {n} 1").unwrap();
        }
        let seq = u64::try_from(round).unwrap() + 1;
        let claimed = claim(&store, &request(owner, seq, 3));
        for job in &claimed {
            writeln!(out, "ack {} 2", job.id().as_u128()).unwrap();
        }
        for job in &claimed {
            settle(&store, job);
            writeln!(out, "ack {} 3", job.id().as_u128()).unwrap();
        }
        out.flush().unwrap();
    }
}

#[test]
fn whatever_kills_the_process() {
    let world = World::new();
    let program = std::env::current_exe().unwrap();
    let mut said: BTreeMap<u128, u8> = BTreeMap::new();
    for kill in 1..=6 {
        let mut child = child(&program, CHILD, &world.path()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, words)) = line.split_once("ack ") {
                let (n, stage) = words.split_once(' ').unwrap();
                let stage: u8 = stage.parse().unwrap();
                let most = said.entry(n.parse().unwrap()).or_default();
                *most = stage.max(*most);
                heard += 1;
                // SIGKILL; what the child has said by then is still read.
                if heard == kill * 23 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(heard >= kill * 23, "the child ended by itself");
        let store = Sqlite::open(world.path(), Options::default()).unwrap();
        sound(&store);
        let ids: Vec<_> = said.keys().map(|n| id(*n)).collect();
        let found = block_on(tideway::jobs::JobStore::jobs(&store, &ids)).unwrap();
        for ((n, stage), job) in said.iter().zip(found) {
            let state = job.unwrap_or_else(|| panic!("job {n} is lost")).state;
            let kept = match stage {
                1 => true,
                2 => matches!(state, State::Running | State::Succeeded),
                _ => state == State::Succeeded,
            };
            assert!(kept, "job {n} was at stage {stage} and is {state:?}");
        }
    }
}
