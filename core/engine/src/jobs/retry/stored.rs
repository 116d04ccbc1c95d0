//! A policy as it is stored with a job: names that never change, durations as whole milliseconds.
//! Only a valid policy is written, and nothing else is read back.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{Backoff, Jitter, Retry};
use crate::jobs::spec::whole_millis;

#[derive(Deserialize)]
#[serde(rename = "Retry", deny_unknown_fields)]
struct Read {
    b: Backoff,
    j: Jitter,
    #[serde(with = "millis")]
    cap: Duration,
    n: u32,
    until: Option<u64>,
}

/// The same, borrowed. Every field is always written, so that formats without names can read it.
#[derive(Serialize)]
#[serde(rename = "Retry")]
struct Written<'a> {
    b: &'a Backoff,
    j: Jitter,
    #[serde(with = "millis")]
    cap: Duration,
    n: u32,
    until: Option<u64>,
}

impl Serialize for Retry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Refused before it is stored: later it would fail on every worker.
        self.check().map_err(ser::Error::custom)?;
        let written = Written {
            b: &self.backoff,
            j: self.jitter,
            cap: self.cap,
            n: self.attempts,
            until: self.until.map(whole_millis),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Retry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let retry = Self {
            backoff: read.b,
            jitter: read.j,
            cap: read.cap,
            attempts: read.n,
            until: read.until.map(Duration::from_millis),
        };
        retry.check().map_err(de::Error::custom)?;
        Ok(retry)
    }
}

pub(super) mod millis {
    //! One duration as a number of milliseconds.

    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::whole_millis(*duration).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

pub(super) mod millis_each {
    //! A table of durations as numbers of milliseconds.

    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        delays: &[Duration],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(delays.iter().map(|delay| super::whole_millis(*delay)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let delays = Vec::<u64>::deserialize(deserializer)?;
        Ok(delays.into_iter().map(Duration::from_millis).collect())
    }
}
