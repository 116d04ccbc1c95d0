//! Cron cells: of all workers that see a slot fall due, one enqueues it.

use tideway_engine::Wall;
use tideway_engine::jobs::call::CronCas;
use tideway_engine::jobs::cron::Cell;
use tideway_engine::jobs::{Id, NewJob};

use super::Cx;
use super::fixture::{job, name};
use crate::suite::claim::same;

fn cell(slot: i64) -> Cell {
    Cell {
        slot: Wall(slot),
        rev: 1,
        spec: "*/5 * * * * UTC vixie".into(),
        last_job: None,
    }
}

fn cas(prev: Option<i64>, next: Cell, jobs: Vec<NewJob>) -> CronCas {
    CronCas {
        key: name("report"),
        prev: prev.map(Wall),
        next,
        jobs,
    }
}

/// Nobody has fired yet; a worker that starts must be able to tell.
pub async fn an_entry_that_nobody_wrote_has_no_cell(cx: &Cx) {
    let out = cx.cron_cell(&name("report")).await;
    same((out.won, out.cell), (false, None), "there is none");
}

/// The cell comes back as it was written.
pub async fn a_cell_is_kept_whole(cx: &Cx) {
    let fired = job("mail").build();
    let next = Cell {
        last_job: Some(fired.spec.id),
        rev: 7,
        ..cell(1_700_000_000_000)
    };
    let out = cx
        .cron_cas(&cas(None, next.clone(), vec![fired.clone()]))
        .await;
    same(
        (out.won, out.cell),
        (true, Some(next.clone())),
        "there was none before",
    );
    let out = cx.cron_cell(&name("report")).await;
    same(
        out.cell,
        Some(next),
        "slot, revision, schedule and last job decide what fires next",
    );
    same(
        cx.find(fired.spec.id).await.is_some(),
        true,
        "what fell due is enqueued with it",
    );
}

/// Each slot once, however many workers see it.
pub async fn a_slot_is_won_once(cx: &Cx) {
    const WORKERS: i64 = 5;
    let (mut prev, mut wins) = (None, 0);
    for slot in 1..=3 {
        for worker in 0..WORKERS {
            let next = cell(slot * 1000);
            let fired = job("mail").build();
            let out = cx
                .cron_cas(&cas(prev, next.clone(), vec![fired.clone()]))
                .await;
            wins += i64::from(out.won);
            same(
                out.cell,
                Some(next),
                "whoever lost plans again from the cell it is given",
            );
            same(
                (out.won, cx.find(fired.spec.id).await.is_some()),
                (worker == 0, worker == 0),
                "the first worker wins and enqueues, the others do neither",
            );
        }
        prev = Some(slot * 1000);
    }
    same(wins, 3, "one for each slot");
}

/// Whoever plans from another slot has not seen what fired since.
pub async fn a_swap_from_another_slot_loses(cx: &Cx) {
    let first = cell(1000);
    cx.cron_cas(&cas(None, first.clone(), vec![])).await;
    for prev in [None, Some(999), Some(1001)] {
        let out = cx.cron_cas(&cas(prev, cell(2000), vec![])).await;
        let why = format!("the slot is 1000, not {prev:?}");
        same((out.won, out.cell), (false, Some(first.clone())), &why);
    }
    let out = cx.cron_cas(&cas(Some(1000), cell(2000), vec![])).await;
    same(out.won, true, "this is the slot");
}

/// In a rollout the old schedule and the new one must not both fire.
pub async fn a_swap_of_an_older_revision_loses(cx: &Cx) {
    let rev = |rev, slot| Cell { rev, ..cell(slot) };
    cx.cron_cas(&cas(None, rev(2, 1000), vec![])).await;
    let fired = job("mail").build();
    let old = cx
        .cron_cas(&cas(Some(1000), rev(1, 2000), vec![fired.clone()]))
        .await;
    same(
        (old.won, old.cell),
        (false, Some(rev(2, 1000))),
        "a lower revision never fires again",
    );
    same(
        cx.find(fired.spec.id).await,
        None,
        "what loses enqueues nothing",
    );
    let new = cx.cron_cas(&cas(Some(1000), rev(3, 2000), vec![])).await;
    same(new.won, true, "a higher one takes over");
}

/// The first reply may be lost; its slot must not fire again.
pub async fn a_repeated_swap_enqueues_nothing_twice(cx: &Cx) {
    let fired: Vec<NewJob> = vec![job("mail").build(), job("mail").build()];
    let once = cas(None, cell(1000), fired.clone());
    same(cx.cron_cas(&once).await.won, true, "there was no cell");
    let worker = cx.worker();
    let claimed = worker.claim("mail", 1).await;
    worker.settle(&claimed[0], super::worker::succeed()).await;
    let again = cx.cron_cas(&once).await;
    same(
        (again.won, again.cell),
        (false, Some(cell(1000))),
        "the cell has moved on: a repeat loses, and finds what it wrote",
    );
    let left: Vec<Id> = worker
        .claim("mail", 9)
        .await
        .iter()
        .map(|job| job.id())
        .collect();
    same(
        left,
        vec![fired[1].spec.id],
        "two were enqueued, one has run",
    );
}

/// One entry says nothing about another.
pub async fn entries_are_apart(cx: &Cx) {
    cx.cron_cas(&cas(None, cell(1000), vec![])).await;
    let other = CronCas {
        key: name("report2"),
        ..cas(None, cell(5000), vec![])
    };
    same(
        cx.cron_cas(&other).await.won,
        true,
        "this entry has no cell yet",
    );
    same(
        cx.cron_cell(&name("report")).await.cell,
        Some(cell(1000)),
        "it is as it was",
    );
}

/// Twenty workers at the same moment, for real.
pub async fn workers_at_the_same_moment_win_once(cx: &Cx) {
    const SLOTS: i64 = 10;
    let wins = cx
        .clients(8, |_, cx| async move {
            let mut wins = Vec::new();
            let mut prev = None;
            for slot in 1..=SLOTS {
                let fired = job("mail").build();
                let out = cx.cron_cas(&cas(prev, cell(slot), vec![fired])).await;
                if out.won {
                    wins.push(slot);
                }
                prev = out.cell.map(|cell| cell.slot.0);
                // Others were faster; they fire what is left.
                if prev > Some(slot) {
                    break;
                }
            }
            wins
        })
        .await;
    let mut all: Vec<i64> = wins.into_iter().flatten().collect();
    all.sort_unstable();
    let mut once = all.clone();
    once.dedup();
    same(&all, &once, "no slot fires twice");
    same(all.first(), Some(&1), "somebody wins the first slot");
    let enqueued = cx.worker().claim("mail", 100).await.len();
    same(
        enqueued,
        all.len(),
        "one job for each win, none for the others",
    );
}
