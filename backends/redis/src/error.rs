//! What Redis's errors mean to a caller: come again, give up, or ask what was done.

use redis::{FromRedisValue, ServerError, Value};
use tideway::jobs::StoreError;

pub(crate) fn fatal(text: impl AsRef<str>) -> StoreError {
    StoreError::Fatal(text.as_ref().into())
}

pub(crate) fn transient(text: impl AsRef<str>) -> StoreError {
    StoreError::Transient(text.as_ref().into())
}

/// A reply that is none of ours: another program writes these keys, or another release.
pub(crate) fn unreadable() -> StoreError {
    fatal("Redis gave a reply that cannot be read: does another program write keys of this prefix?")
}

/// A reply to a plain command, as what it should be.
pub(crate) fn decoded<T: FromRedisValue>(reply: Value) -> Result<T, StoreError> {
    redis::from_redis_value(reply).map_err(|_| unreadable())
}

/// Questions change nothing: none is in doubt.
pub(crate) fn asked<T>(reply: Result<T, StoreError>) -> Result<T, StoreError> {
    reply.map_err(|error| match error {
        StoreError::Ambiguous(text) => StoreError::Transient(text),
        error => error,
    })
}

/// An error after a part of the call was done: the same call again tells which.
pub(crate) fn in_doubt(error: StoreError) -> StoreError {
    match error {
        StoreError::Transient(text) => StoreError::Ambiguous(text),
        error => error,
    }
}

/// The server's answer to a command it did not run.
pub(crate) fn refused(error: &ServerError) -> StoreError {
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "OOM" => transient(
            "Redis has reached `maxmemory` and takes no further jobs; nothing was changed. Let workers and `prune` \
             make room, or raise `maxmemory`",
        ),
        "LOADING" => transient("Redis is loading its data after a restart"),
        "BUSY" => transient("Redis is busy with a script of somebody else: see SCRIPT KILL"),
        "MASTERDOWN" | "CLUSTERDOWN" => transient(
            "the cluster has no master for these keys at the moment: a failover, or a node is down",
        ),
        "TRYAGAIN" | "ASK" | "MOVED" => transient(
            "the slot of these keys is being moved to another node; calls go on once it is there",
        ),
        "READONLY" => transient(
            "this server is a replica and takes no writes: after a failover the master is elsewhere; point the URL at it",
        ),
        "MISCONF" => transient(
            "Redis refuses writes because it cannot save to its disk (MISCONF): look at its log and its disk",
        ),
        "NOREPLICAS" => {
            transient("Redis refuses writes because it has too few replicas (NOREPLICAS)")
        }
        "NOAUTH" => fatal("Redis asks for a password: put it into the URL, redis://:password@host"),
        "WRONGPASS" => fatal("Redis refuses the user or password of the URL"),
        "NOPERM" => fatal(format!(
            "the user of the URL may not do this: grant it the keys of the prefix and EVALSHA, SCRIPT, INFO, PUBLISH, SUBSCRIBE ({detail})"
        )),
        "NOPROTO" => fatal("the server does not speak RESP3: Redis 7 or newer is needed"),
        "ERR" if detail.contains("max number of clients") => {
            transient("Redis has reached `maxclients`: use fewer connections, or raise it")
        }
        code => fatal(format!("Redis said {code} {detail}")),
    }
}
