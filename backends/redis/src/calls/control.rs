//! What a person or program asks of the store.

use redis::Cmd;
use tideway::jobs::StoreError;
use tideway_engine::jobs::call::{Control, ControlOut, Filter, Left, Limit, Scope, Select};
use tideway_engine::jobs::{Id, Name, Start, State};

use super::{CHUNK, Reply, id};
use crate::error::unreadable;
use crate::row;
use crate::scripts::{CONFIG, CONTROL};
use crate::store::{Inner, by_tag};

impl Inner {
    pub(crate) async fn control(&self, control: &Control) -> Result<ControlOut, StoreError> {
        match control {
            Control::Cancel(select) => self.each_selected(select, "cancel", Start::Now).await,
            Control::Reschedule(select, start) => self.each_selected(select, "move", *start).await,
            Control::Revive(select, start) => self.each_selected(select, "revive", *start).await,
            Control::Delete(select) => self.each_selected(select, "delete", Start::Now).await,
            Control::Pause(queue) => self.configure(queue, |call| call.arg("pause")).await,
            Control::Resume(queue) => self.configure(queue, |call| call.arg("resume")).await,
            Control::Limit(scope, limit) => self.limit(scope, limit).await,
            _ => Err(StoreError::Unsupported("this control")),
        }
    }

    async fn configure(
        &self,
        queue: &Name,
        more: impl FnOnce(&mut Cmd) -> &mut Cmd,
    ) -> Result<ControlOut, StoreError> {
        let tag = self.tag_of(queue);
        self.enter(std::iter::once(&tag)).await?;
        let mut call = self.call(&tag, &CONFIG);
        more(call.arg(&**queue));
        self.run_one(&tag, &CONFIG, call).await?;
        Ok(ControlOut::default())
    }

    async fn limit(&self, scope: &Scope, limit: &Limit) -> Result<ControlOut, StoreError> {
        let (queue, what, group) = match scope {
            Scope::Queue(queue) => (queue, "queue", ""),
            Scope::EachGroup(queue) => (queue, "each", ""),
            Scope::Group(queue, group) => (queue, "group", &**group),
        };
        let number =
            |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
        self.configure(queue, |call| {
            call.arg(what).arg(group).arg(number(limit.running));
            call.arg(number(limit.rate.map(|(n, _)| n)));
            let window = limit
                .rate
                .map(|(_, window)| row::millis(window).to_string());
            call.arg(window.unwrap_or_default())
        })
        .await
    }

    /// Does `what` to each of the selected jobs; says why it left one.
    async fn each_selected(
        &self,
        select: &Select,
        what: &str,
        start: Start,
    ) -> Result<ControlOut, StoreError> {
        let any = Filter::default();
        let (ids, filter, next) = match select {
            Select::Ids(ids) => (ids.clone(), &any, None),
            Select::Filter {
                filter,
                after,
                limit,
            } => {
                let page = self.matching(filter, after, *limit).await?;
                (page.0, filter, page.1)
            }
        };
        let by_tag = by_tag(&ids, |id| self.tag_of_id(*id));
        let start = row::start(start, false, &[]);
        let mut said = vec![Said::Gone; ids.len()];
        for (tag, places) in &by_tag {
            for chunk in places.chunks(CHUNK) {
                let mut call = self.call(tag, &CONTROL);
                call.arg(what).arg(&start);
                filter_args(&mut call, filter);
                for at in chunk {
                    call.arg(&row::id(ids[*at]));
                }
                let mut reply = self.run_one(tag, &CONTROL, call).await?;
                let sent = reply.count()?;
                for at in chunk {
                    said[*at] = read(&mut reply)?;
                }
                if sent > 0 {
                    self.deliver(*tag).await?;
                }
            }
        }
        let mut out = ControlOut {
            next,
            ..ControlOut::default()
        };
        for (id, said) in ids.into_iter().zip(said) {
            match said {
                Said::Done => out.done.push(id),
                Said::Left(left) => out.left.push((id, left)),
                Said::Gone => {}
            }
        }
        Ok(out)
    }
}

#[derive(Clone, Copy)]
enum Said {
    Done,
    Left(Left),
    /// It agreed with the filter when it was listed, and does not any more.
    Gone,
}

fn read(reply: &mut Reply) -> Result<Said, StoreError> {
    let said = reply.bytes()?;
    let (code, rest) = said.split_first().ok_or_else(unreadable)?;
    Ok(match code {
        b'd' => Said::Done,
        b'n' => Said::Left(Left::NotFound),
        b's' => {
            let state = rest.first().copied().and_then(State::of);
            Said::Left(Left::State(state.ok_or_else(unreadable)?))
        }
        b'u' => Said::Left(Left::UniqueHit(id(rest)?)),
        b'x' => Said::Gone,
        _ => return Err(unreadable()),
    })
}

/// The four arguments of a filter.
pub(super) fn filter_args(call: &mut Cmd, filter: &Filter) {
    let name = |name: &Option<Name>| name.as_deref().unwrap_or_default().to_owned();
    call.arg(name(&filter.queue)).arg(name(&filter.kind));
    let state = filter.state.map(|state| state.code().to_string());
    call.arg(state.unwrap_or_default()).arg(name(&filter.group));
}

/// Ids in the order of a listing.
pub(super) type Ids = Vec<Id>;
