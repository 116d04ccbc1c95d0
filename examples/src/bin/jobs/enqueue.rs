//! `enqueue`: adds jobs of one or several kinds, in as few calls as the store allows.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use tideway::jobs::{Jobs, Receipt, UniqueBy};

use crate::kinds::Kind;
use crate::{Fail, Session};

/// Which jobs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Batch {
    /// How many of each kind that has no count of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,
    /// What they do: ok, fail, panic, hang, abort or sleep, with a count of its own as in fail:3;
    /// may be repeated
    #[arg(long = "kind", value_name = "KIND[:COUNT]", default_value = "ok")]
    kinds: Vec<Share>,
    /// How long each works before it does that; 1000 for sleep, else 0, unless set
    #[arg(long, value_name = "M")]
    ms: Option<u64>,
    /// The priority, 0 first, at most 7
    #[arg(long, value_name = "B")]
    band: Option<u8>,
    /// Start them this much later: seconds, or with a unit as in 500ms
    #[arg(long, value_name = "D", value_parser = seconds)]
    delay: Option<Duration>,
    /// At most one job of this key until it ends; a second is not made
    #[arg(long, value_name = "K")]
    unique: Option<String>,
}

/// The most jobs of one call: they are made before they are sent.
const MOST: u64 = 1_000_000;

/// A kind and how many of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    kind: Kind,
    count: Option<u32>,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, count) = match text.split_once(':') {
            Some((kind, count)) => (kind, Some(count)),
            None => (text, None),
        };
        let number = |count: &str| {
            let number = count.parse();
            number.map_err(|_| format!("the count {count:?} is no number: write {kind}:COUNT"))
        };
        Ok(Self {
            kind: kind.parse()?,
            count: count.map(number).transpose()?,
        })
    }
}

/// `2` and `0.5` are seconds; `500ms`, `2s` and `5m` are what they say.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|_| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    match number {
        Some(number) => Duration::try_from_secs_f64(number).map_err(|error| error.to_string()),
        None => tideway_engine::parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// What became of a batch.
pub(crate) struct Added {
    pub(crate) receipts: Vec<Receipt>,
    refused: Vec<String>,
}

impl Batch {
    /// Enqueues them; the kinds one after the other.
    pub(crate) async fn add(&self, jobs: &Jobs) -> Result<Added, Fail> {
        let count = |share: &Share| share.count.unwrap_or(self.count);
        let total: u64 = self.kinds.iter().map(|share| u64::from(count(share))).sum();
        if total > MOST {
            return Err(format!("{total} jobs at once are too many: at most {MOST}").into());
        }
        let kinds = self.kinds.iter();
        let all = kinds.flat_map(|share| (0..count(share)).map(|_| share.kind));
        let batch: Vec<_> = all.map(|kind| self.one(jobs, kind)).collect();
        let mut added = Added {
            receipts: Vec::new(),
            refused: Vec::new(),
        };
        for answer in jobs.enqueue_all(batch).await {
            match answer {
                Ok(receipt) => added.receipts.push(receipt),
                Err(error) => added.refused.push(error.to_string()),
            }
        }
        Ok(added)
    }

    fn one(&self, jobs: &Jobs, kind: Kind) -> tideway::jobs::Enqueue {
        let mut job = kind.enqueue(jobs, self.ms);
        if let Some(band) = self.band {
            job = job.band(band);
        }
        if let Some(delay) = self.delay {
            job = job.later(delay);
        }
        if let Some(key) = &self.unique {
            job = job.unique(UniqueBy::key(key));
        }
        job
    }
}

impl Added {
    /// An error unless all were taken.
    pub(crate) fn whole(&self) -> Result<(), Fail> {
        match self.refused.first() {
            None => Ok(()),
            Some(first) => {
                let (refused, all) = (self.refused.len(), self.refused.len() + self.receipts.len());
                Err(format!("{refused} of {all} jobs were not enqueued: {first}").into())
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        let new = self.receipts.iter().filter(|receipt| receipt.is_new());
        let new = new.count();
        let s = if new == 1 { "" } else { "s" };
        match self.receipts.len() - new {
            0 => format!("enqueued {new} job{s}"),
            held => format!("enqueued {new} job{s}; for {held} there is one of that key already"),
        }
    }
}

/// The command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Enqueue {
    #[command(flatten)]
    batch: Batch,
}

impl Enqueue {
    pub(crate) async fn run<R>(self, session: &Session<R>) -> Result<(), Fail> {
        let added = self.batch.add(&session.jobs).await?;
        let ids: Vec<_> = added.receipts.iter().map(|receipt| receipt.id).collect();
        if ids.is_empty() {
            added.whole()?;
        }
        session.say(&ids, || {
            let lines = ids.iter().map(|id| format!("{id}\n"));
            lines.collect::<String>() + &added.text()
        })?;
        added.whole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_unless_it_says_otherwise() {
        let read = |text| seconds(text).ok().map(|time| time.as_millis());
        assert_eq!(read("2"), Some(2_000));
        assert_eq!(read("0.25"), Some(250));
        assert_eq!(read("40ms"), Some(40));
        for wrong in ["", "-1", "1e9", "inf", "NaN", "2 s", "."] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_kind_may_have_a_count_of_its_own() {
        let share = |kind, count| Ok(Share { kind, count });
        assert_eq!("fail".parse(), share(Kind::Fail, None));
        assert_eq!("sleep:30".parse(), share(Kind::Sleep, Some(30)));
        assert!("fail:x".parse::<Share>().is_err());
        let unknown = "nap".parse::<Share>().expect_err("no such kind");
        assert!(
            unknown.contains("ok, fail, panic, hang, abort, sleep"),
            "{unknown}"
        );
    }
}
