//! Listings: which jobs, page by page, while others come and go.

use tideway_engine::jobs::call::{Control, Filter};
use tideway_engine::jobs::{Id, Record, State};

use super::fixture::{job, jobs, name};
use super::worker::succeed;
use super::{Cx, paging};
use crate::suite::claim::{holds, same};

async fn ids(cx: &Cx, filter: &Filter) -> Vec<Id> {
    let all = paging::list(cx, filter, 100, &|_| Box::pin(async {})).await;
    all.iter().map(Record::id).collect()
}

/// Each field narrows the listing; none at all lists everything.
pub async fn a_listing_agrees_with_every_field_of_its_filter(cx: &Cx) {
    let plain = cx.add(job("mail").build()).await;
    let kind = cx.add(job("mail").kind("other").build()).await;
    let group = cx.add(job("mail").group("acme").build()).await;
    let both = cx
        .add(job("maps").kind("other").group("acme").build())
        .await;
    let running = cx.add(job("maps").build()).await;
    let worker = cx.worker();
    let claimed = worker.claim("maps", 9).await;
    for job in claimed.iter().filter(|job| job.id() == both) {
        worker.settle(job, succeed()).await;
    }
    let any = Filter::default;
    let cases = [
        (any(), vec![plain, kind, group, both, running]),
        (
            Filter {
                queue: Some(name("mail")),
                ..any()
            },
            vec![plain, kind, group],
        ),
        (
            Filter {
                kind: Some(name("other")),
                ..any()
            },
            vec![kind, both],
        ),
        (
            Filter {
                group: Some(name("acme")),
                ..any()
            },
            vec![group, both],
        ),
        (
            Filter {
                state: Some(State::Pending),
                ..any()
            },
            vec![plain, kind, group],
        ),
        (
            Filter {
                state: Some(State::Running),
                ..any()
            },
            vec![running],
        ),
        (
            Filter {
                state: Some(State::Succeeded),
                ..any()
            },
            vec![both],
        ),
        (
            Filter {
                state: Some(State::Dead),
                ..any()
            },
            vec![],
        ),
        (
            Filter {
                queue: Some(name("mail")),
                group: Some(name("acme")),
                ..any()
            },
            vec![group],
        ),
        (
            Filter {
                queue: Some(name("mail")),
                kind: Some(name("other")),
                state: Some(State::Running),
                ..any()
            },
            vec![],
        ),
        (
            Filter {
                queue: Some(name("nobody")),
                ..any()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        same(
            ids(cx, &filter).await,
            expected,
            &format!("by id, for {filter:?}"),
        );
    }
    let record = cx
        .list(&Filter::default(), &Default::default(), 1)
        .await
        .items;
    same(
        record.first(),
        cx.find(plain).await.as_ref(),
        "a listing gives whole records",
    );
}

/// A person pages through thousands while the application goes on.
pub async fn pages_are_complete_while_jobs_come_and_go(cx: &Cx) {
    let before = cx.add_all(&jobs("mail", 30)).await;
    let filter = Filter {
        queue: Some(name("mail")),
        ..Filter::default()
    };
    let listed = paging::list(cx, &filter, 7, &|page: &[Record]| {
        let first = page.first().map(Record::id);
        Box::pin(async move {
            cx.add_all(&jobs("mail", 2)).await;
            cx.add_all(&jobs("maps", 1)).await;
            if let Some(id) = first {
                cx.ask(id, Control::Cancel).await;
                cx.ask(id, Control::Delete).await;
            }
        })
    })
    .await;
    let listed: Vec<Id> = listed.iter().map(Record::id).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    sorted.dedup();
    same(&listed, &sorted, "by id, none twice");
    let missing: Vec<&Id> = before.iter().filter(|id| !listed.contains(id)).collect();
    holds(
        missing.is_empty(),
        "every job that was there all the time is on a page",
        format!("missing are {missing:?}"),
        "a page must go on behind the last job of the one before, not at a number of rows",
    );
}

/// "Cancel all of that kind", as many as there are.
pub async fn a_control_by_filter_reaches_all_in_pages(cx: &Cx) {
    let wanted: Vec<_> = (0..11).map(|_| job("mail").kind("bulk").build()).collect();
    let other = cx.add_all(&jobs("mail", 3)).await;
    let wanted = cx.add_all(&wanted).await;
    let filter = Filter {
        queue: Some(name("mail")),
        kind: Some(name("bulk")),
        state: Some(State::Pending),
        ..Filter::default()
    };
    let out = paging::control(cx, &filter, 3, Control::Cancel).await;
    let mut done = out.done.clone();
    done.sort();
    same(
        done,
        wanted.clone(),
        "each is cancelled once, though cancelled ones match no more",
    );
    same(out.left, vec![], "all of them were pending");
    let states = async |ids: &[Id]| -> Vec<State> {
        cx.records(ids)
            .await
            .iter()
            .flatten()
            .map(|job| job.state)
            .collect()
    };
    same(
        states(&wanted).await,
        vec![State::Cancelled; 11],
        "they have ended",
    );
    same(
        states(&other).await,
        vec![State::Pending; 3],
        "the others do not match",
    );
    let filter = Filter {
        kind: Some(name("bulk")),
        ..Filter::default()
    };
    let out = paging::control(cx, &filter, 4, Control::Delete).await;
    same(
        out.done.len(),
        11,
        "deleting a page takes its jobs out from under the cursor",
    );
    same(ids(cx, &filter).await, vec![], "all are gone");
}
