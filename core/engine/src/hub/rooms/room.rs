//! One topic on this node: its members and the frames still to be handed out to them, in one order.

use super::super::{Conn, Frame, Policy, Position, Topic};
use super::presence::Presence;
use super::remote::Far;
use super::{Batch, Rules};
use crate::jobs::Name;

/// One topic.
#[derive(Debug)]
pub(super) struct Room<M, F> {
    pub(super) topic: Topic,
    pub(super) rules: Rules,
    /// A member keeps its slot, so that a batch in progress neither skips nor repeats anyone.
    pub(super) slots: Vec<Option<Member<M, F>>>,
    free: Vec<u32>,
    /// The number of the next frame.
    next: u64,
    /// What is being handed out, up to the slot `cursor`.
    batch: Vec<Entry<F>>,
    cursor: usize,
    /// What comes after it.
    pending: Vec<Entry<F>>,
    /// Bytes of both.
    pub(super) bytes: usize,
    /// It is in the line of those with something to hand out.
    pub(super) ready: bool,
    pub(super) presence: Presence,
    /// What a topic that other nodes share needs.
    pub(super) far: Option<Box<Far>>,
    /// A gap was told that nobody took yet.
    pub(super) gap_told: bool,
    /// A relisting was told that nobody took yet.
    pub(super) relist_told: bool,
}

/// One membership.
#[derive(Debug)]
pub(super) struct Member<M, F> {
    pub(super) conn: Conn,
    pub(super) to: M,
    /// The number of the first frame it gets.
    from: u64,
    pub(super) user: Option<Name>,
    /// It waits for the cluster.
    pub(super) waiting: bool,
    /// How many events about its join were told that nobody took yet.
    pub(super) told: u8,
    /// Frames kept until it is live.
    pub(super) joining: Option<Box<Joining<F>>>,
}

/// What a member missed while its history is being read.
#[derive(Debug)]
pub(super) struct Joining<F> {
    pub(super) since: Position,
    pub(super) kept: Vec<Entry<F>>,
    pub(super) bytes: usize,
    /// There were more than may be kept.
    pub(super) spilled: bool,
}

/// One frame with its number.
#[derive(Clone, Debug)]
pub(in crate::hub) struct Entry<F> {
    pub(super) frame: F,
    pub(super) key: u64,
    pub(super) except: Option<Conn>,
    pub(super) position: Option<Position>,
    pub(super) seq: u64,
}

/// Bytes that members who are joining may keep together.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) used: usize,
    pub(super) each: usize,
    pub(super) all: usize,
}

/// What one step of handing out did.
pub(super) struct Step {
    /// Slots looked at.
    pub(super) used: usize,
    /// Frames handed out.
    pub(super) delivered: u64,
}

impl<F: Frame> Entry<F> {
    /// What it holds as allocated; its own place twice, since a list grows by doubling.
    pub(super) fn allocated(frame: &F) -> usize {
        frame.allocated() + 2 * size_of::<Self>()
    }
}

impl<M, F: Frame> Room<M, F> {
    pub(super) fn new(topic: Topic, rules: Rules, far: Option<Box<Far>>) -> Self {
        Self {
            topic,
            rules,
            slots: Vec::new(),
            free: Vec::new(),
            next: 1,
            batch: Vec::new(),
            cursor: 0,
            pending: Vec::new(),
            bytes: 0,
            ready: false,
            presence: Presence::default(),
            far,
            gap_told: false,
            relist_told: false,
        }
    }

    pub(super) fn members(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn member(&mut self, slot: u32) -> Option<&mut Member<M, F>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Gives a connection a slot; it gets what is published from now on.
    pub(super) fn enter(&mut self, conn: Conn, to: M, user: Option<Name>) -> u32 {
        let member = Some(Member {
            conn,
            to,
            from: self.next,
            user,
            waiting: false,
            told: 0,
            joining: None,
        });
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = member;
                slot
            }
            None => {
                self.slots.push(member);
                (self.slots.len() - 1) as u32
            }
        }
    }

    /// Takes a slot back; what was still to be handed out to it never is.
    pub(super) fn leave(&mut self, slot: u32) -> Option<Member<M, F>> {
        let member = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(member)
    }

    /// Forgets what is to be handed out: nobody is left. Returns its bytes.
    pub(super) fn hush(&mut self) -> usize {
        (self.slots, self.free) = (Vec::new(), Vec::new());
        (self.batch, self.pending, self.cursor) = (Vec::new(), Vec::new(), 0);
        std::mem::take(&mut self.bytes)
    }

    /// Puts a frame behind all others.
    pub(super) fn append(
        &mut self,
        frame: F,
        key: u64,
        except: Option<Conn>,
        position: Option<Position>,
    ) {
        self.bytes += Entry::allocated(&frame);
        self.pending.push(Entry {
            frame,
            key,
            except,
            position,
            seq: self.next,
        });
        self.next += 1;
    }

    /// Ends the joining of a member: what was kept for it, and behind that what is still to be handed out to it,
    /// which then counts as handed out.
    pub(super) fn live(&mut self, slot: u32) -> Option<(&Member<M, F>, Joining<F>)> {
        let member = self.slots.get_mut(slot as usize)?.as_mut()?;
        let mut joining = *member.joining.take()?;
        let batch = if self.cursor <= slot as usize {
            &self.batch[..]
        } else {
            &[]
        };
        let owed = batch.iter().chain(&self.pending);
        let owed = owed.filter(|entry| entry.seq >= member.from);
        joining.kept.extend(owed.cloned());
        member.from = self.next;
        Some((member, joining))
    }

    /// Whether nothing is to be handed out.
    pub(super) fn quiet(&self) -> bool {
        self.batch.is_empty() && self.pending.is_empty()
    }

    /// Hands the batch out to the next members, looking at no more than `limit` slots. No other such step has its `number`.
    pub(super) fn fan(
        &mut self,
        limit: usize,
        number: u64,
        budget: &mut Budget,
        deliver: &mut impl FnMut(&M, Batch<'_, F>),
    ) -> Step {
        let mut step = Step {
            used: 0,
            delivered: 0,
        };
        if self.batch.is_empty() {
            std::mem::swap(&mut self.batch, &mut self.pending);
            self.cursor = 0;
        }
        let Some(first) = self.batch.first().map(|entry| entry.seq) else {
            return step;
        };
        let end = self.slots.len().min(self.cursor + limit);
        step.used = end - self.cursor;
        let alike = (self.rules.policy != Policy::Conflate).then_some(number);
        for member in self.slots[self.cursor..end].iter_mut().flatten() {
            // A member that joined amid the batch gets only what was published after it joined.
            let skip = member.from.saturating_sub(first) as usize;
            let entries = self.batch.get(skip..).unwrap_or_default();
            if entries.is_empty() {
                continue;
            }
            if let Some(joining) = &mut member.joining {
                joining.keep(entries, member.conn, budget);
                continue;
            }
            let meant = |entry: &&Entry<F>| entry.except != Some(member.conn);
            let meant = entries.iter().filter(meant).count() as u64;
            if meant == 0 {
                continue;
            }
            step.delivered += meant;
            let all = meant == self.batch.len() as u64;
            let batch = Batch {
                entries,
                to: member.conn,
                policy: self.rules.policy,
                alike: alike.filter(|_| all),
            };
            deliver(&member.to, batch);
        }
        self.cursor = end;
        if end == self.slots.len() {
            self.finish_batch();
        }
        step
    }

    fn finish_batch(&mut self) {
        let batch = self.batch.drain(..);
        self.bytes -= batch
            .map(|entry| Entry::allocated(&entry.frame))
            .sum::<usize>();
        self.cursor = 0;
        // Kept for the next batch unless a burst made it large.
        if self.batch.capacity() > 16 {
            self.batch = Vec::new();
        }
    }

    /// Closes up after many have left. Returns where each one that moved is now.
    pub(super) fn close_up(&mut self) -> Vec<(Conn, u32)> {
        let sparse = self.slots.len() >= 64 && self.members() * 4 < self.slots.len();
        // A batch in progress counts slots.
        if !sparse || !self.batch.is_empty() {
            return Vec::new();
        }
        let slots = std::mem::take(&mut self.slots);
        self.free = Vec::new();
        self.slots = slots.into_iter().flatten().map(Some).collect();
        self.slots.shrink_to_fit();
        let members = self.slots.iter().flatten().zip(0..);
        members.map(|(member, slot)| (member.conn, slot)).collect()
    }
}

impl<F: Frame> Joining<F> {
    pub(super) fn new(since: Position) -> Self {
        Self {
            since,
            kept: Vec::new(),
            bytes: 0,
            spilled: false,
        }
    }

    fn keep(&mut self, entries: &[Entry<F>], conn: Conn, budget: &mut Budget) {
        for entry in entries {
            let bytes = Entry::allocated(&entry.frame);
            let fits = self.bytes + bytes <= budget.each && budget.used + bytes <= budget.all;
            if self.spilled || entry.except == Some(conn) {
                continue;
            }
            if !fits {
                // From here on the client has to load anew anyway.
                self.spilled = true;
                continue;
            }
            self.bytes += bytes;
            budget.used += bytes;
            self.kept.push(entry.clone());
        }
    }
}
