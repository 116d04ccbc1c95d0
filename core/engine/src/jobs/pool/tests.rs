//! Whole pools in virtual time over a small store that loses calls and replies and whose clock jumps.

mod chaos;
mod claims;
mod cron;
mod ends;
mod idle;
mod leases;
mod reaping;
mod stopping;
mod store;
mod suspects;
mod world;
