//! What is checked before a store is used: the servers, and whose the prefix is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use redis::Value;
use tideway::jobs::StoreError;
use tideway_driver::Net;
use tideway_engine::jobs::call::{Caps, Durability};

use crate::error::{asked, decoded, fatal, transient, unreadable};
use crate::hub;
use crate::nodes::Nodes;
use crate::options::{Options, Tags};
use crate::store::Inner;
use crate::url;

/// The version of the keys. Raised when an older release could not read them.
const SCHEMA: u32 = 1;

/// Items of one call at most, as `caps` reports it: ten scripts of 100.
const MAX_BATCH: u32 = 1000;

/// The set of shards in use.
pub(crate) fn tags_key(prefix: &str) -> String {
    format!("{{{prefix}}}:tags")
}

/// Where hints are published.
pub(crate) fn channel(prefix: &str) -> String {
    format!("{prefix}:wake")
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    /// Every write goes into the append-only file.
    keeps_a_file: bool,
}

pub(crate) async fn open(net: Net, url: &str, options: Options) -> Result<Arc<Inner>, StoreError> {
    let servers = url::parse(url)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if !(1..=64).contains(&options.prefix.len()) || !options.prefix.chars().all(allowed) {
        return Err(fatal(
            "the prefix is no good: give it 1 to 64 letters, digits and -_.:/",
        ));
    }
    let tags = options.tags.unwrap_or(if servers.cluster {
        Tags::PerQueue
    } else {
        Tags::One
    });
    let nodes = Nodes::new(net, servers, options.connections, options.timeout);
    let durability = check(&nodes).await?;
    claim_prefix(&nodes, &options.prefix, tags).await?;
    let caps = Caps {
        durability,
        unique: true,
        cron: true,
        limits: true,
        waits: true,
        list: true,
        wakeups: true,
        max_batch: MAX_BATCH,
        max_payload: options.max_payload,
    };
    let (open, closed) = async_channel::bounded(1);
    let inner = Arc::new(Inner {
        nodes,
        prefix: options.prefix,
        tags,
        clock: options.clock,
        caps,
        wakes: Arc::default(),
        known: Mutex::new(BTreeMap::new()),
        open,
    });
    // Before the first call, so that no hint is missed from then on.
    let first = hub::subscribe(&inner).await?;
    let net = inner.nodes.net.clone();
    net.spawn(hub::listen(
        net.clone(),
        Arc::downgrade(&inner),
        first,
        closed,
    ));
    Ok(inner)
}

/// Checks every server; what the least durable of them keeps.
pub(crate) async fn check(nodes: &Nodes) -> Result<Durability, StoreError> {
    let mut least = Durability::Power;
    for address in nodes.masters().await? {
        let info = asked(nodes.ask(&address, &redis::cmd("INFO")).await)?;
        let Value::BulkString(text) = text_of(info) else {
            return Err(unreadable());
        };
        let info = String::from_utf8_lossy(&text).into_owned();
        let server = read(&info, nodes.servers.cluster)?;
        if !server.keeps_a_file {
            return Ok(Durability::Memory);
        }
        let mut get = redis::cmd("CONFIG");
        get.arg("GET");
        get.arg("appendfsync").arg("no-appendfsync-on-rewrite");
        // Where CONFIG is forbidden, the usual.
        let settings = nodes.ask(&address, &get).await.ok();
        least = least.min(synced(&settings.map(flat).unwrap_or_default()));
    }
    Ok(least)
}

fn text_of(value: Value) -> Value {
    match value {
        Value::VerbatimString { text, .. } => Value::BulkString(text.into_bytes()),
        value => value,
    }
}

fn flat(value: Value) -> Vec<String> {
    let text = |value: Value| match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    match value {
        Value::Map(pairs) => pairs
            .into_iter()
            .flat_map(|(a, b)| [text(a), text(b)])
            .collect(),
        Value::Array(values) => values.into_iter().map(text).collect(),
        other => vec![text(other)],
    }
}

/// Reads the reply to `INFO`.
fn read(info: &str, cluster: bool) -> Result<Server, StoreError> {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.trim())
    };
    let version = field("redis_version").unwrap_or("unknown");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 7) {
        return Err(fatal(format!(
            "the server is Redis {version}: version 7 or newer is needed"
        )));
    }
    if field("loading") == Some("1") {
        return Err(transient("Redis is loading its data after a restart"));
    }
    if field("role").is_some_and(|role| role != "master") {
        return Err(fatal(
            "the server is a replica and takes no writes: put its master into the URL",
        ));
    }
    match (field("cluster_enabled"), cluster) {
        (Some("1"), false) => {
            return Err(fatal(
                "the server is a node of a cluster: write redis-cluster://host:port",
            ));
        }
        (Some("0"), true) => {
            return Err(fatal(
                "the server is not part of a cluster: write redis://host:port",
            ));
        }
        _ => {}
    }
    let policy = field("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" {
        return Err(fatal(format!(
            "`maxmemory-policy` is {policy}: Redis would drop jobs when its memory is full. \
             Set it to noeviction: CONFIG SET maxmemory-policy noeviction, and in redis.conf"
        )));
    }
    Ok(Server {
        keeps_a_file: field("aof_enabled") == Some("1"),
    })
}

/// What a server keeps that has these settings (name, value, name, …) of its append-only file.
fn synced(settings: &[String]) -> Durability {
    let (pairs, _) = settings.as_chunks();
    let value = |name| pairs.iter().find(|[n, _]| n == name).map(|[_, v]| &**v);
    match value("appendfsync") {
        // While the file is rewritten it may be told not to.
        Some("always") if value("no-appendfsync-on-rewrite") == Some("no") => Durability::Power,
        // Written before the answer.
        Some("always" | "no") => Durability::Process,
        // Written later while a sync is under way, for up to two seconds.
        _ => Durability::Delayed,
    }
}

/// Notes the version and the tags of the prefix, or sees that they are ours.
async fn claim_prefix(nodes: &Nodes, prefix: &str, tags: Tags) -> Result<(), StoreError> {
    let key = format!("{{{prefix}}}:meta");
    let ours = match tags {
        Tags::One => "one",
        Tags::PerQueue => "queue",
    };
    for (field, value) in [("schema", &*SCHEMA.to_string()), ("tags", ours)] {
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg(field);
        let mut found: Option<String> = decoded(asked(nodes.on_key(&key, get.clone()).await)?)?;
        if found.is_none() {
            let mut set = redis::cmd("HSETNX");
            set.arg(&key).arg(field).arg(value);
            asked(nodes.on_key(&key, set).await)?;
            found = decoded(asked(nodes.on_key(&key, get).await)?)?;
        }
        let found = found.ok_or_else(unreadable)?;
        match field {
            "tags" if found != ours => {
                return Err(fatal(format!(
                    "the jobs of prefix {prefix:?} were written with other `Options::tags` ({found}): \
                     use the same in all processes, or another prefix"
                )));
            }
            "schema" if found.parse().is_ok_and(|version: u32| version > SCHEMA) => {
                return Err(fatal(format!(
                    "the jobs of prefix {prefix:?} were written by a newer release (version {found} of the keys, \
                     this one knows {SCHEMA}): update this program"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}
