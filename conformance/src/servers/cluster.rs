//! A Redis Cluster of its own: three masters that share the slots, without replicas.

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
    nodes: Vec<RedisServer>,
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
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        let mut first = 0;
        for (number, last) in LAST_SLOTS.into_iter().enumerate() {
            let bus = std::cell::Cell::new(0);
            let node = RedisServer::launch(persistence, settings, |port| {
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
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))?;
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
            first = last + 1;
            buses.push(bus.get());
            nodes.push(node);
        }
        let cluster = Self { nodes };
        for (node, bus) in cluster.nodes.iter().zip(buses).skip(1) {
            cluster.nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port()))?;
        }
        cluster.settle()?;
        Ok(cluster)
    }

    /// The URL of each master.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The port of each master.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(RedisServer::port).collect()
    }

    /// Kills one master (`SIGKILL`), counted from 0, and waits until it is gone; its slots are gone with it,
    /// and after some five seconds the others refuse commands for the rest.
    ///
    /// # Panics
    /// If there is no such master.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Stops one master in order, counted from 0.
    ///
    /// # Panics
    /// If there is no such master.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].stop();
    }

    /// Starts one master again on the same port and data, counted from 0, after stopping it if it runs, and
    /// waits until every master takes commands, if all run.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    ///
    /// # Panics
    /// If there is no such master.
    pub fn restart(&mut self, node: usize) -> Result<(), String> {
        self.nodes[node].restart()?;
        if self.nodes.iter().all(RedisServer::runs) {
            self.settle()?;
        }
        Ok(())
    }

    /// Waits until every master says that all slots are served.
    fn settle(&self) -> Result<(), String> {
        let until = Instant::now() + START;
        for node in &self.nodes {
            loop {
                let state = node.ask("CLUSTER INFO")?;
                if state.contains("cluster_state:ok") {
                    break;
                }
                if Instant::now() >= until {
                    let url = node.url();
                    return Err(format!("{url}: no cluster after {START:?}:\n{state}"));
                }
                sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}
