//! Where scripts are run: on the one server, or on the node of a cluster that has the tag. Follows MOVED and waits
//! out what passes, a bounded number of times.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::Pool;
use redis::{Cmd, Value};
use tideway::jobs::StoreError;
use tideway_driver::Net;

use crate::connection::{Connecting, exchange};
use crate::error::{asked, fatal, in_doubt, refused, transient};
use crate::scripts::Script;
use crate::slots::{Slots, slot};
use crate::url::{Address, Servers, address};

/// How often a call is repeated that a server did not run.
const TRIES: u32 = 6;

/// What a call waits before it asks again for a slot that is nowhere.
const PAUSE: Duration = Duration::from_millis(100);

/// A hash tag, in which the keys of its queues begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tag {
    /// The 12 bits of its queues, if there are others.
    pub(crate) shard: Option<u16>,
}

/// The servers.
pub(crate) struct Nodes {
    pub(crate) net: Net,
    pub(crate) servers: Servers,
    connections: usize,
    timeout: Duration,
    pools: Mutex<BTreeMap<Address, Pool<Connecting>>>,
    slots: Mutex<Slots>,
}

/// Why a server did not run a command, if it can be helped.
enum Detour {
    Load,
    Moved(Address),
    Ask(Address),
    Wait,
}

impl Nodes {
    pub(crate) fn new(net: Net, servers: Servers, connections: usize, timeout: Duration) -> Self {
        Self {
            net,
            servers,
            connections: connections.max(2),
            timeout,
            pools: Mutex::default(),
            slots: Mutex::default(),
        }
    }

    pub(crate) fn connecting(&self, address: &Address) -> Connecting {
        Connecting {
            net: self.net.clone(),
            address: address.clone(),
            login: self.servers.login.clone(),
            timeout: self.timeout,
        }
    }

    fn pool(&self, address: &Address) -> Result<Pool<Connecting>, StoreError> {
        let mut pools = lock(&self.pools);
        if let Some(pool) = pools.get(address) {
            return Ok(pool.clone());
        }
        let pool = Pool::builder(self.connecting(address)).max_size(self.connections);
        let pool = pool.build().map_err(|error| fatal(error.to_string()))?;
        pools.insert(address.clone(), pool.clone());
        Ok(pool)
    }

    /// The masters: the one server, or all of the cluster.
    pub(crate) async fn masters(&self) -> Result<Vec<Address>, StoreError> {
        if !self.servers.cluster {
            return Ok(self.servers.addresses.clone());
        }
        self.refresh().await?;
        Ok(lock(&self.slots).masters())
    }

    /// Asks nodes, one after the other, who has which slots.
    async fn refresh(&self) -> Result<(), StoreError> {
        let mut nodes = lock(&self.slots).masters();
        nodes.extend(self.servers.addresses.iter().cloned());
        let mut last = None;
        for address in nodes {
            let mut slots = redis::cmd("CLUSTER");
            slots.arg("SLOTS");
            match self.ask(&address, &slots).await {
                Ok(reply) => match Slots::read(&reply, &address) {
                    Some(slots) if !slots.masters().is_empty() => {
                        let masters = slots.masters();
                        *lock(&self.slots) = slots;
                        lock(&self.pools).retain(|address, _| {
                            masters.contains(address) || self.servers.addresses.contains(address)
                        });
                        return Ok(());
                    }
                    _ => last = Some(transient("no node of the cluster has any slot yet")),
                },
                Err(error @ StoreError::Fatal(_)) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        let last = last.unwrap_or_else(|| transient("no node of the cluster is known"));
        asked(Err(last))
    }

    /// The reply to one command that goes to this server.
    pub(crate) async fn ask(&self, address: &Address, command: &Cmd) -> Result<Value, StoreError> {
        let command = command.get_packed_command();
        let mut values = exchange(&self.pool(address)?, &command, 1).await?;
        match values.pop() {
            Some(Value::ServerError(error)) => Err(refused(&error)),
            Some(value) => Ok(value),
            None => Err(crate::error::unreadable()),
        }
    }

    /// The reply to one command on a key, which goes to the key's server.
    pub(crate) async fn on_key(&self, key: &str, command: Cmd) -> Result<Value, StoreError> {
        let mut values = self.send(slot(key), None, vec![command]).await?;
        values.pop().ok_or_else(crate::error::unreadable)
    }

    /// The replies to calls of `script` on the keys that begin with `base`, in order.
    pub(crate) async fn run(
        &self,
        base: &str,
        script: &Script,
        calls: Vec<Cmd>,
    ) -> Result<Vec<Value>, StoreError> {
        let replies = self.send(slot(base), Some(script), calls).await;
        if script.asks { asked(replies) } else { replies }
    }

    async fn home(&self, slot: u16) -> Result<Address, StoreError> {
        if !self.servers.cluster {
            let first = self.servers.addresses.first().cloned();
            return first.ok_or_else(|| fatal("the URL has no host"));
        }
        if let Some(address) = lock(&self.slots).master(slot).cloned() {
            return Ok(address);
        }
        self.refresh().await?;
        let found = lock(&self.slots).master(slot).cloned();
        found.ok_or_else(|| transient(format!("no node of the cluster has slot {slot}")))
    }

    async fn send(
        &self,
        slot: u16,
        script: Option<&Script>,
        calls: Vec<Cmd>,
    ) -> Result<Vec<Value>, StoreError> {
        let mut replies: Vec<Option<Value>> = vec![None; calls.len()];
        let mut open: Vec<usize> = (0..calls.len()).collect();
        let (mut load, mut asking) = (false, None);
        let begun = self.net.now().mono;
        for tried in 1.. {
            let late = self.net.now().mono.since(begun) > self.timeout;
            let last = late || tried >= TRIES;
            let address = match asking.take() {
                Some(address) => (address, true),
                None => (self.home(slot).await?, false),
            };
            let (values, refusal) = self
                .attempt(&address, script.filter(|_| load), &calls, &open)
                .await
                .map_or_else(|error| (Vec::new(), Some(error)), |values| (values, None));
            load = false;
            let mut problem = refusal;
            let mut detour = None;
            let mut still = Vec::new();
            for (at, value) in open.iter().zip(values) {
                let Value::ServerError(error) = value else {
                    replies[*at] = Some(value);
                    continue;
                };
                still.push(*at);
                match detour_of(&error) {
                    Some(way) => detour = detour.or(Some((way, refused(&error)))),
                    None => problem = problem.or(Some(refused(&error))),
                }
            }
            if problem.is_none() && still.is_empty() {
                return Ok(replies.into_iter().flatten().collect());
            }
            if !still.is_empty() {
                open = still;
            }
            if let Some(error) = problem {
                let unreached = self.servers.cluster && matches!(error, StoreError::Transient(_));
                // A node that is gone may have been replaced.
                if !unreached || last || self.refresh().await.is_err() {
                    return Err(in_part(error, &replies));
                }
                self.net.sleep(PAUSE).await;
                continue;
            }
            let Some((way, error)) = detour else {
                return Err(crate::error::unreadable());
            };
            if last {
                return Err(in_part(error, &replies));
            }
            match way {
                Detour::Load => load = true,
                Detour::Moved(address) => lock(&self.slots).moved(slot, address),
                Detour::Ask(address) => asking = Some(address),
                Detour::Wait => {
                    self.net.sleep(PAUSE).await;
                    if self.servers.cluster {
                        let _ = self.refresh().await;
                    }
                }
            }
        }
        Err(transient("Redis did not run the call"))
    }

    /// Sends those of `calls` that are `open`; before them the script, or a word for a slot that is being moved.
    async fn attempt(
        &self,
        (address, asking): &(Address, bool),
        load: Option<&Script>,
        calls: &[Cmd],
        open: &[usize],
    ) -> Result<Vec<Value>, StoreError> {
        let mut bytes = Vec::new();
        let mut count = 0;
        let mut extra = Vec::new();
        if let Some(script) = load {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.text);
            load.write_packed_command(&mut bytes);
            extra.push(count);
            count += 1;
        }
        for at in open {
            if *asking {
                redis::cmd("ASKING").write_packed_command(&mut bytes);
                extra.push(count);
                count += 1;
            }
            calls[*at].write_packed_command(&mut bytes);
            count += 1;
        }
        let values = exchange(&self.pool(address)?, &bytes, count).await?;
        let mut replies = Vec::with_capacity(open.len());
        for (at, value) in values.into_iter().enumerate() {
            match value {
                Value::ServerError(error) if extra.contains(&at) => return Err(refused(&error)),
                _ if extra.contains(&at) => {}
                value => replies.push(value),
            }
        }
        Ok(replies)
    }
}

fn in_part(error: StoreError, replies: &[Option<Value>]) -> StoreError {
    if replies.iter().any(Option::is_some) {
        in_doubt(error)
    } else {
        error
    }
}

fn detour_of(error: &redis::ServerError) -> Option<Detour> {
    let elsewhere = || {
        let detail = error.details()?;
        address(detail.split(' ').next_back()?)
    };
    match error.code() {
        "NOSCRIPT" => Some(Detour::Load),
        "MOVED" => elsewhere().map(Detour::Moved),
        "ASK" => elsewhere().map(Detour::Ask),
        "TRYAGAIN" | "CLUSTERDOWN" => Some(Detour::Wait),
        _ => None,
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
