//! Sends that wait for room in an outbox: who is next, and what is set aside for whom.

use std::collections::VecDeque;

/// A place in the line of sends that wait for room in one outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// The longest line.
pub(super) const LONGEST: usize = 1024;

/// Those who wait, those who were let in and have not come yet, and whom to tell.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// In order, each with the bytes it waits for.
    waiting: VecDeque<(Ticket, usize)>,
    /// Those for whom bytes are set aside.
    granted: Vec<(Ticket, usize)>,
    /// Those to be told that their wait is over.
    news: VecDeque<Ticket>,
    /// The sum of what is set aside.
    reserved: usize,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.granted.is_empty() && self.news.is_empty()
    }

    pub(super) fn full(&self) -> bool {
        self.waiting.len() + self.granted.len() >= LONGEST
    }

    /// The bytes the next in line waits for.
    pub(super) fn head(&self) -> Option<usize> {
        self.waiting.front().map(|(_, bytes)| *bytes)
    }

    /// How many have bytes set aside.
    pub(super) fn granted(&self) -> usize {
        self.granted.len()
    }

    pub(super) fn reserved(&self) -> usize {
        self.reserved
    }

    pub(super) fn join(&mut self, ticket: Ticket, bytes: usize) {
        self.waiting.push_back((ticket, bytes));
    }

    /// Sets aside what the next in line waits for.
    pub(super) fn grant(&mut self) {
        if let Some((ticket, bytes)) = self.waiting.pop_front() {
            self.granted.push((ticket, bytes));
            self.reserved += bytes;
            self.news.push_back(ticket);
        }
    }

    /// What was set aside for `ticket`, which gives it up.
    pub(super) fn redeem(&mut self, ticket: Ticket) -> Option<usize> {
        let at = self
            .granted
            .iter()
            .position(|(granted, _)| *granted == ticket)?;
        let (_, bytes) = self.granted.swap_remove(at);
        self.reserved -= bytes;
        self.forget(ticket);
        Some(bytes)
    }

    pub(super) fn withdraw(&mut self, ticket: Ticket) {
        if self.redeem(ticket).is_none() {
            self.waiting.retain(|(waiting, _)| *waiting != ticket);
            self.forget(ticket);
        }
    }

    fn forget(&mut self, ticket: Ticket) {
        self.news.retain(|told| *told != ticket);
    }

    /// Nobody will be let in any more: whoever was not told yet is told, nothing stays set aside.
    pub(super) fn dissolve(&mut self) {
        let waiting = self.waiting.drain(..).map(|(ticket, _)| ticket);
        self.news.extend(waiting);
        self.granted.clear();
        self.reserved = 0;
    }

    pub(super) fn told(&mut self) -> Option<Ticket> {
        self.news.pop_front()
    }
}
