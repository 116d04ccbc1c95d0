//! Cron cells. A cell is in the tag of its entry's name; its jobs in those of their queues.

use tideway::jobs::StoreError;
use tideway_engine::jobs::Name;
use tideway_engine::jobs::call::{CronCas, CronOut};
use tideway_engine::jobs::cron::Cell;

use super::Reply;
use crate::error::unreadable;
use crate::nodes::Tag;
use crate::row::{self, Reader};
use crate::scripts::CRON;
use crate::store::Inner;

impl Inner {
    pub(crate) async fn cron_cas(&self, cas: &CronCas) -> Result<CronOut, StoreError> {
        let tag = self.tag_of(&cas.key);
        let told = self.told(cas.jobs.iter()).await?;
        let mut tags: Vec<Tag> = cas
            .jobs
            .iter()
            .map(|new| self.tag_of(&new.spec.queue))
            .collect();
        tags.push(tag);
        self.enter(tags.iter()).await?;
        let mut call = self.call(&tag, &CRON);
        call.arg(&*cas.key);
        match cas.prev {
            Some(slot) => call.arg(slot.0),
            None => call.arg(""),
        };
        call.arg(pack(&cas.next));
        for (at, new) in cas.jobs.iter().enumerate() {
            self.add_job(&mut call, new, &tag, &told, &cas.jobs[..at]);
        }
        let mut reply = self.run_one(&tag, &CRON, call).await?;
        let out = read(&mut reply)?;
        if reply.count()? > 0 {
            self.deliver(tag).await?;
        }
        Ok(out)
    }

    pub(crate) async fn cron_cell(&self, key: &Name) -> Result<CronOut, StoreError> {
        let tag = self.tag_of(key);
        let mut call = self.call(&tag, &CRON);
        call.arg(&**key).arg("").arg("");
        read(&mut self.run_one(&tag, &CRON, call).await?)
    }
}

fn pack(cell: &Cell) -> Vec<u8> {
    let mut out = row::wall(cell.slot).to_le_bytes().to_vec();
    out.extend(cell.rev.to_le_bytes());
    out.push(u8::from(cell.last_job.is_some()));
    out.extend(cell.last_job.into_iter().flat_map(row::id));
    out.extend_from_slice(cell.spec.as_bytes());
    out
}

fn unpack(bytes: &[u8]) -> Option<Cell> {
    let mut from = Reader(bytes);
    let slot = row::time(from.double()?);
    let rev = from.count()?;
    let last_job = match from.byte()? {
        0 => None,
        _ => Some(from.id()?),
    };
    Some(Cell {
        slot,
        rev,
        spec: String::from_utf8(from.0.to_vec()).ok()?,
        last_job,
    })
}

fn read(reply: &mut Reply) -> Result<CronOut, StoreError> {
    let (now, won) = (reply.now()?, reply.int()? == 1);
    let cell = reply.maybe()?;
    let cell = cell.map(|bytes| unpack(&bytes).ok_or_else(unreadable));
    Ok(CronOut {
        won,
        cell: cell.transpose()?,
        now,
    })
}
