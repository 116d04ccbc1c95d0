//! A Redis Cluster of its own: three masters that share the slots, and the replicas a test asks for.

use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::process::{START, free_port};
use super::redis::{Persistence, RedisServer};

/// The last slot of each master.
const LAST_SLOTS: [u16; 3] = [5460, 10922, 16383];

/// A running Redis Cluster of version 7 or later, each server as [`RedisServer`] and keeping nothing on disk
/// but its place in the cluster.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters, then the replicas as they were started.
    nodes: Vec<RedisServer>,
    persistence: Persistence,
    settings: Vec<(String, String)>,
}

impl RedisCluster {
    /// Starts one, and waits until every master takes commands.
    ///
    /// # Errors
    /// What kept it from starting: the package to install, the end of a log, or what a master says of the
    /// cluster.
    pub fn start() -> Result<Self, String> {
        Self::start_with(Persistence::None, &[])
    }

    /// Starts one with settings for each server, as [`RedisServer::start_with`].
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub fn start_with(persistence: Persistence, settings: &[(&str, &str)]) -> Result<Self, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut cluster = Self {
            nodes: Vec::new(),
            persistence,
            settings: settings.iter().map(owned).collect(),
        };
        let mut buses = Vec::new();
        let mut first = 0;
        for (number, last) in LAST_SLOTS.into_iter().enumerate() {
            let (node, bus) = cluster.launch()?;
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
            first = last + 1;
            buses.push(bus);
            cluster.nodes.push(node);
        }
        for (node, bus) in cluster.nodes.iter().zip(buses).skip(1) {
            cluster.nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port()))?;
        }
        cluster.settle()?;
        Ok(cluster)
    }

    /// Starts a server that is in no cluster yet; the port of its bus.
    fn launch(&self) -> Result<(RedisServer, u16), String> {
        let bus = Cell::new(0);
        let settings: Vec<(&str, &str)> = self
            .settings
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let node = RedisServer::launch(self.persistence, &settings, |port| {
            // The usual one, 10 000 above the port, may be taken.
            bus.set(loop {
                match free_port()? {
                    taken if taken == port => {}
                    free => break free,
                }
            });
            Ok(vec![
                ("cluster-enabled", "yes".to_owned()),
                ("cluster-config-file", "nodes.conf".to_owned()),
                ("cluster-port", bus.get().to_string()),
                ("cluster-announce-ip", "127.0.0.1".to_owned()),
                ("cluster-node-timeout", "5000".to_owned()),
            ])
        })?;
        Ok((node, bus.get()))
    }

    /// Starts a replica of a master, counted from 0, and waits until it has what that one has. The number of the
    /// replica, behind those of the masters.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    ///
    /// # Panics
    /// If there is no such master.
    pub fn replicate(&mut self, master: usize) -> Result<usize, String> {
        let (replica, bus) = self.launch()?;
        let id = self.nodes[master].ask("CLUSTER MYID")?;
        self.nodes[master].ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", replica.port()))?;
        // It hears of its master by and by.
        until(|| replica.ask(&format!("CLUSTER REPLICATE {id}")).map(drop))?;
        until(|| says(&replica, "INFO replication", "master_link_status:up"))?;
        self.nodes.push(replica);
        self.settle()?;
        Ok(self.nodes.len() - 1)
    }

    /// The URL of each server, the masters first.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The port of each server, the masters first.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(RedisServer::port).collect()
    }

    /// Kills one server (`SIGKILL`), counted from 0, and waits until it is gone. The slots of a master are gone with
    /// it; after some five seconds a replica takes them, or the other masters refuse commands for the rest.
    ///
    /// # Panics
    /// If there is no such server.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Stops one server in order, counted from 0.
    ///
    /// # Panics
    /// If there is no such server.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].stop();
    }

    /// Starts one server again on the same port and data, counted from 0, after stopping it if it runs, and
    /// waits until every server is in the cluster, if all run.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    ///
    /// # Panics
    /// If there is no such server.
    pub fn restart(&mut self, node: usize) -> Result<(), String> {
        self.nodes[node].restart()?;
        if self.nodes.iter().all(RedisServer::runs) {
            self.settle()?;
        }
        Ok(())
    }

    /// Waits until every server says that all slots are served.
    fn settle(&self) -> Result<(), String> {
        for node in &self.nodes {
            until(|| says(node, "CLUSTER INFO", "cluster_state:ok"))?;
        }
        Ok(())
    }
}

/// Whether the answer to a command has this line in it; if not, the answer.
fn says(node: &RedisServer, command: &str, line: &str) -> Result<(), String> {
    let answer = node.ask(command)?;
    if answer.lines().any(|said| said == line) {
        return Ok(());
    }
    let url = node.url();
    Err(format!("{url}: no {line} after {START:?}:\n{answer}"))
}

/// Does it again until it succeeds; the last error if it does not for too long.
fn until(mut done: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let until = Instant::now() + START;
    loop {
        match done() {
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(20)),
            done => return done,
        }
    }
}
