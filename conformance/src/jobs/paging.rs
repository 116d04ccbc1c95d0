//! Walks through pages as a caller does, and stops when a store would never end.

use tideway_engine::jobs::Record;
use tideway_engine::jobs::call::{Control, ControlOut, Cursor, Expired, Filter, Select};

use super::Cx;
use crate::suite::claim::{fail, holds};

/// No case has more pages.
const PAGES: usize = 200;

/// What a walk does between two pages.
pub(super) type Between<'a, T> = &'a (dyn Fn(&[T]) -> tideway::BoxFuture<'a, ()> + Sync);

/// All lapsed leases, in pages of `limit`.
pub(super) async fn expired(cx: &Cx, limit: u32) -> Vec<Expired> {
    expired_with(cx, limit, &|_| Box::pin(async {})).await
}

/// All lapsed leases, in pages of `limit`, doing something after each.
pub(super) async fn expired_with(
    cx: &Cx,
    limit: u32,
    between: Between<'_, Expired>,
) -> Vec<Expired> {
    let (mut all, mut after) = (Vec::new(), Cursor::default());
    for _ in 0..PAGES {
        let page = cx.expired(&after, limit).await;
        at_most("expired", page.items.len(), limit);
        between(&page.items).await;
        all.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
    endless("expired")
}

/// All records that match, in pages of `limit`, doing something after each.
pub(super) async fn list(
    cx: &Cx,
    filter: &Filter,
    limit: u32,
    between: Between<'_, Record>,
) -> Vec<Record> {
    let (mut all, mut after) = (Vec::new(), Cursor::default());
    for _ in 0..PAGES {
        let page = cx.list(filter, &after, limit).await;
        at_most("list", page.items.len(), limit);
        between(&page.items).await;
        all.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
    endless("list")
}

/// Asks for a change of all jobs that match, in pages of `limit`.
pub(super) async fn control(
    cx: &Cx,
    filter: &Filter,
    limit: u32,
    control: impl Fn(Select) -> Control,
) -> ControlOut {
    let mut all = ControlOut::default();
    let mut after = Cursor::default();
    for _ in 0..PAGES {
        let select = Select::Filter {
            filter: filter.clone(),
            after,
            limit,
        };
        let out = cx.control(control(select)).await;
        at_most("control", out.done.len() + out.left.len(), limit);
        all.done.extend(out.done);
        all.left.extend(out.left);
        match out.next {
            Some(next) => after = next,
            None => return all,
        }
    }
    endless("control")
}

fn at_most(what: &str, got: usize, limit: u32) {
    holds(
        got <= limit as usize,
        format!("at most {limit} items in a page of `{what}`"),
        format!("{got}"),
        "a caller asks for what it can hold",
    );
}

fn endless(what: &str) -> ! {
    fail(
        format!("the pages of `{what}` end"),
        format!("there is one more after {PAGES}"),
        "a cursor that does not move on keeps its caller busy for ever",
    )
}
