//! One file per call of the port: arguments for a script, and what its reply means.

mod audit;
mod claim;
mod control;
mod cron;
mod each;
mod enqueue;
mod outbox;
mod pages;
mod prune;
mod settle;
mod stats;

use std::sync::Arc;

use redis::Value;
use tideway::jobs::StoreError;
use tideway_engine::Wall;
use tideway_engine::jobs::{Id, Spec};

use crate::error::{fatal, unreadable};
use crate::row::{self, Shown, Stored};

/// The most items of a call that one script takes, but for a claim, and about the most bytes: longer ones would hold
/// others up.
const CHUNK: usize = 100;
const CHUNK_BYTES: usize = 1 << 20;

/// The values of a reply, read one after the other.
pub(crate) struct Reply {
    values: std::vec::IntoIter<Value>,
    /// Of the job that was read last: the next mostly has its names.
    last: Option<Arc<Spec>>,
}

impl Reply {
    pub(crate) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(values) => Ok(Self {
                values: values.into_iter(),
                last: None,
            }),
            Value::ServerError(error) => Err(fatal(format!("Redis said {error}"))),
            _ => Err(unreadable()),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.values.len() == 0
    }

    pub(crate) fn value(&mut self) -> Option<Value> {
        self.values.next()
    }

    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        match self.values.next() {
            Some(Value::Int(n)) => Ok(n),
            _ => Err(unreadable()),
        }
    }

    pub(crate) fn count(&mut self) -> Result<u64, StoreError> {
        self.int().map(|n| u64::try_from(n).unwrap_or_default())
    }

    pub(crate) fn now(&mut self) -> Result<Wall, StoreError> {
        self.int().map(Wall)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.values.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            _ => Err(unreadable()),
        }
    }

    /// Bytes, or nothing.
    pub(crate) fn maybe(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.values.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil | Value::Boolean(false)) => Ok(None),
            _ => Err(unreadable()),
        }
    }

    /// A number as text, or nothing.
    pub(crate) fn time(&mut self) -> Result<Option<Wall>, StoreError> {
        let text = self.bytes()?;
        if text.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&text).ok();
        let number = text.and_then(|text| text.parse::<f64>().ok());
        number.map(row::time).map(Some).ok_or_else(unreadable)
    }

    pub(crate) fn inner(&mut self) -> Result<Self, StoreError> {
        self.values.next().ok_or_else(unreadable).and_then(Self::of)
    }

    /// A job as scripts show it; `None` if there is none.
    pub(crate) fn job(&mut self) -> Result<Option<Stored>, StoreError> {
        let shown = Shown {
            id: self.bytes()?,
            changing: self.bytes()?,
            fixed: self.bytes()?,
            payload: self.bytes()?,
            extra: self.bytes()?,
        };
        let read = row::read(shown, self.last.as_deref());
        if let Some(stored) = &read {
            self.last = Some(stored.job.spec.clone());
        }
        Ok(read)
    }
}

fn id(bytes: &[u8]) -> Result<Id, StoreError> {
    let bits = bytes.try_into().map(u128::from_be_bytes);
    bits.map(Id::from_u128).map_err(|_| unreadable())
}

/// The bytes of the id that a page goes on behind; none from the beginning.
fn bits(after: Option<Id>) -> Vec<u8> {
    after.map_or_else(Vec::new, |id| row::id(id).to_vec())
}
