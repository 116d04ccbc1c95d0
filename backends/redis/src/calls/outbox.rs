//! Words from one tag to another: written with what caused them, removed once they were delivered. Whoever caused them
//! delivers them before its call returns; those of a caller that died are delivered by the next `prune`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use redis::Value;
use tideway::jobs::StoreError;
use tideway_engine::jobs::{Id, NewJob, Spec, Start};

use super::{Reply, id};
use crate::error::{in_doubt, unreadable};
use crate::nodes::Tag;
use crate::row::{self, Reader};
use crate::scripts::{DELIVER, OUTBOX};
use crate::store::Inner;

/// A chain through queues passes one tag a round: so many rounds a call makes, and leaves the rest to the next.
const ROUNDS: usize = 10_000;

/// One word.
enum Word {
    /// For the job of this id, as it is.
    To(Id, Vec<u8>),
    /// A job that came with a settle or a cron slot.
    Job(Box<NewJob>),
    /// Nobody can read it.
    Broken,
}

impl Inner {
    /// Delivers what waits in the outbox of `tag`, and what follows from that. The call whose words these are has done
    /// its part, so an error leaves it in doubt.
    pub(super) async fn deliver(&self, tag: Tag) -> Result<(), StoreError> {
        let mut open = BTreeSet::from([tag]);
        for _ in 0..ROUNDS {
            let Some(tag) = open.pop_first() else {
                break;
            };
            self.empty(&tag, &mut open).await.map_err(in_doubt)?;
        }
        Ok(())
    }

    /// Empties the outbox of `tag`; notes whose got something.
    async fn empty(&self, tag: &Tag, open: &mut BTreeSet<Tag>) -> Result<(), StoreError> {
        let mut done: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut call = self.call(tag, &OUTBOX);
            call.arg(&done);
            let mut reply = self.run_one(tag, &OUTBOX, call).await?;
            if reply.is_over() {
                return Ok(());
            }
            let (mut words, mut jobs) = (BTreeMap::<Tag, Vec<Vec<u8>>>::new(), Vec::new());
            done.clear();
            while !reply.is_over() {
                let word = read(reply.bytes()?);
                done.push(number(&mut reply)?);
                match word {
                    Word::To(id, word) => words.entry(self.tag_of_id(id)).or_default().push(word),
                    Word::Job(job) => jobs.push(*job),
                    Word::Broken => {}
                }
            }
            // Before the words, some of which are for these jobs.
            if !jobs.is_empty() {
                // Boxed: an enqueue may have words of its own to deliver.
                Box::pin(self.enqueue(&jobs)).await?;
            }
            for (to, words) in words {
                let mut call = self.call(&to, &DELIVER);
                call.arg(&words);
                let mut reply = self.run_one(&to, &DELIVER, call).await?;
                if reply.count()? > 0 {
                    open.insert(to);
                }
            }
        }
    }
}

/// The number of a word: a score, which protocols show in two ways.
fn number(reply: &mut Reply) -> Result<Vec<u8>, StoreError> {
    match reply.value() {
        Some(Value::BulkString(text)) => Ok(text),
        Some(Value::Double(number)) => Ok(format!("{number}").into_bytes()),
        _ => Err(unreadable()),
    }
}

fn read(word: Vec<u8>) -> Word {
    match word.first() {
        Some(b't' | b'w') => match word.get(1..17).map(id) {
            Some(Ok(to)) => Word::To(to, word),
            _ => Word::Broken,
        },
        Some(b'i') => job(&word[1..]).map_or(Word::Broken, |job| Word::Job(Box::new(job))),
        _ => Word::Broken,
    }
}

fn job(word: &[u8]) -> Option<NewJob> {
    let mut from = Reader(word);
    let start = row::time(from.double()?);
    from.id()?;
    let spec: Spec = row::spec(from.part()?)?;
    Some(NewJob {
        spec: Arc::new(spec),
        payload: Bytes::copy_from_slice(from.0),
        start: Start::At(start),
    })
}
