//! Topics that several nodes share: subscribing, announcing, hearing others, and noticing what is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Entry;
use super::alarms::Due;
use super::remote::{Far, Heard, Life, Moved, Peer, SILENCE};
use super::subscription::{self, Sub, SubEvent};
use super::{Announce, Answer, BATCH, Body, Cause, Joined, Post, Remote, Rooms, Turn};
use crate::hub::{Conn, Frame, Incarnation, Position, Topic};
use crate::time::Mono;

/// Every topic with users says this often where it is.
const DIGEST: Duration = Duration::from_secs(5);
/// Without users it does so this many times after the last message or change.
const DIGESTS: u8 = 3;
/// Comings and goings are announced this much later, together.
const COALESCE: Duration = Duration::from_secs(1);
/// A node that does not tell its list is asked again after this.
const ASK: Duration = Duration::from_secs(1);
/// Incarnations remembered per topic.
const PEERS: usize = 1024;
/// Nodes remembered.
const NODES: usize = 4096;
/// Pauses before subscribing again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// While the broker is away, a topic without members is remembered for this long after its last message: then
/// that others missed it shows with its next one only.
const PATIENCE: Duration = Duration::from_secs(600);
/// The deadline of all topics together.
const ALL: u32 = u32::MAX;

impl<M: Clone, F: Frame> Rooms<M, F> {
    /// Another node said something. What it said before it was heard, or twice, is ignored; frames are to be
    /// handed out like those published here.
    pub fn handle_remote(&mut self, now: Mono, remote: Remote<F>) -> Turn {
        let Announce {
            from,
            topic,
            seq,
            body,
        } = remote.announce;
        let Some(ix) = self.names.get(&topic).copied() else {
            return Turn::Done;
        };
        let down = matches!(self.nodes.get(&from), Some(Life::Down(_)));
        if down || from == self.config.incarnation || self.far(ix).is_none() {
            return Turn::Done;
        }
        if let Body::Ask { of } = body {
            self.asked(now, ix, of);
            return Turn::Done;
        }
        let cap = self.config.present;
        self.make_room_for(ix, from);
        let Some(peer) = self.peer(ix, from, now) else {
            return Turn::Done;
        };
        (peer.heard, peer.silent) = (now, false);
        let message = matches!(body, Body::Message { .. });
        let heard = peer.count(seq, message);
        let moved = match &body {
            Body::Digest { version, empty } => peer.digest(*version, *empty),
            Body::State { version, users } => {
                let users = users.iter().take(cap).cloned().collect();
                peer.state(*version, users)
            }
            Body::Diff {
                base,
                version,
                came,
                went,
            } => {
                let moved = Moved {
                    came: came.clone(),
                    went: went.clone(),
                };
                peer.diff(*base, *version, moved, cap)
            }
            Body::Message { .. } | Body::Ask { .. } => Moved::default(),
        };
        let wanted = peer.wanted;
        self.alarms.set_once(Due::Silence, ix, now.plus(SILENCE));
        if heard == Heard::Gap {
            self.tell_gap(ix, Cause::Missed);
        }
        self.moved(ix, moved);
        if wanted && !self.alarms.is_set(Due::Ask, ix) {
            self.announce(ix, Body::Ask { of: Some(from) });
            self.alarms.set(Due::Ask, ix, now.plus(ASK));
        }
        match body {
            Body::Message { frame, key } if heard != Heard::Repeat => self.deliver_remote(
                ix,
                Post {
                    frame,
                    except: None,
                    key,
                    here: false,
                },
                remote.position,
            ),
            _ => Turn::Done,
        }
    }

    /// The connection to the broker is there, for the first time or again: what waits goes out at once, and
    /// others are told where every topic is, for what was said meanwhile is lost.
    pub fn handle_connected(&mut self, now: Mono) {
        (self.paused, self.away) = (false, false);
        self.alarms.clear(Due::Resume, ALL);
        for ix in 0..self.rooms.len() as u32 {
            if let Some(far) = self.far(ix)
                && far.seq > 0
            {
                far.digests = DIGESTS;
                self.alarms.set_once(Due::Digest, ix, now.plus(DIGEST));
            }
        }
    }

    /// The broker says that frames of this topic come in from now on.
    pub fn handle_subscribed(&mut self, now: Mono, topic: &Topic) {
        let Some(ix) = self.names.get(topic).copied() else {
            return;
        };
        if !self.step(ix, SubEvent::Subscribed) {
            return;
        }
        (self.losses, self.away) = (0, false);
        let Some(far) = self.far(ix) else {
            return;
        };
        let waiting = std::mem::take(&mut far.waiting);
        let missed = std::mem::take(&mut far.missed);
        self.alarms.clear(Due::Join, ix);
        if missed {
            self.tell_gap(ix, Cause::Reconnected);
        }
        for (_, conn) in waiting {
            self.joined(ix, conn, Joined::Whole);
        }
        // Whoever is there answers with its list and its number, within a second.
        self.announce(ix, Body::Ask { of: None });
        self.alarms.set_once(Due::Digest, ix, now.plus(DIGEST));
    }

    /// Frames of this topic do not come in any more, or never did; of all topics if none, for the connection to
    /// the broker is lost. They are subscribed to again after a pause.
    pub fn handle_lost(&mut self, now: Mono, topic: Option<&Topic>) {
        let some = match topic {
            Some(topic) => self.names.get(topic).copied().into_iter().collect(),
            None => (0..self.rooms.len() as u32).collect::<Vec<_>>(),
        };
        self.away |= topic.is_none();
        let mut lost = false;
        for ix in some {
            let Some(far) = self.far(ix) else {
                continue;
            };
            far.missed |= far.sub == Sub::On;
            if self.step(ix, SubEvent::Lost) {
                self.wanted.insert(ix);
                lost = true;
            }
        }
        if lost && !self.paused {
            self.paused = true;
            let pause = (FIRST_PAUSE * (1 << self.losses.min(6))).min(LONGEST_PAUSE);
            self.losses += 1;
            // Spread, so that a fleet does not come back at once.
            let spread = pause.mul_f64(self.rng.below(256) as f64 / 1024.0);
            self.alarms.set(Due::Resume, ALL, now.plus(pause + spread));
        }
    }

    /// A node was seen alive, on whatever way.
    pub fn handle_node_seen(&mut self, now: Mono, node: Incarnation) {
        if let Some(Life::Down(_)) = self.note(node, Life::Seen(now)) {
            // It was not down after all, and what it said meanwhile was not heard.
            for ix in 0..self.rooms.len() as u32 {
                if self.far(ix).is_some() {
                    self.tell_gap(ix, Cause::Missed);
                }
            }
        }
    }

    /// A node is known to have ended: its users are gone at once, and its last words still on the way are not
    /// heard any more.
    pub fn handle_node_down(&mut self, now: Mono, node: Incarnation) {
        self.note(node, Life::Down(now));
        for ix in 0..self.rooms.len() as u32 {
            self.forget_peer(ix, node);
        }
    }

    /// Remembers what was heard of a node last, and forgets the one of which nothing was heard longest if there
    /// are too many. Returns what was known of it.
    fn note(&mut self, node: Incarnation, life: Life) -> Option<Life> {
        let before = self.nodes.insert(node, life);
        if self.nodes.len() > NODES {
            let oldest = self.nodes.iter().min_by_key(|(_, life)| life.at());
            if let Some(oldest) = oldest.map(|(node, _)| *node) {
                self.nodes.remove(&oldest);
            }
        }
        before
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) {
        while let Some((due, ix)) = self.alarms.expired(now) {
            match due {
                Due::Digest => self.digest(now, ix),
                Due::Changes => self.announce_changes(now, ix),
                Due::Silence => self.silence(now, ix),
                Due::Join => self.degrade(now, ix),
                Due::Linger => self.linger(now, ix),
                Due::Ask => self.ask_again(now, ix),
                Due::Resume => self.paused = false,
            }
        }
    }

    /// A connection became a member of a shared topic.
    pub(super) fn enter_cluster(&mut self, now: Mono, ix: u32, slot: u32) -> Joined {
        self.alarms.clear(Due::Linger, ix);
        if self.step(ix, SubEvent::Need) {
            self.wanted.insert(ix);
        }
        let at = now.plus(self.config.join);
        let Some(room) = &mut self.rooms[ix as usize] else {
            return Joined::Already;
        };
        let (Some(Some(member)), Some(far)) = (room.slots.get_mut(slot as usize), &mut room.far)
        else {
            return Joined::Already;
        };
        if far.sub == Sub::On {
            self.recover(ix, slot);
            return Joined::Whole;
        }
        member.waiting = true;
        far.waiting.push_back((at, member.conn));
        self.alarms.set_once(Due::Join, ix, at);
        Joined::Waiting
    }

    /// Numbers a frame and announces it, if its topic is shared.
    pub(super) fn announce_message(&mut self, now: Mono, ix: u32, post: &Post<F>) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        let unused = room.members() == 0;
        let Some(far) = &mut room.far else {
            return;
        };
        far.seq += 1;
        (far.digests, far.touched) = (DIGESTS, now);
        let (frame, key) = (post.frame.clone(), post.key);
        self.announce(ix, Body::Message { frame, key });
        self.alarms.set_once(Due::Digest, ix, now.plus(DIGEST));
        if unused {
            self.alarms
                .set_once(Due::Linger, ix, now.plus(self.config.linger));
        }
    }

    /// The list of users here differs from what was announced.
    pub(super) fn presence_changed(&mut self, now: Mono, ix: u32) {
        self.alarms.set_once(Due::Changes, ix, now.plus(COALESCE));
    }

    /// The shared part of a topic.
    fn far(&mut self, ix: u32) -> Option<&mut Far> {
        self.rooms[ix as usize].as_mut()?.far.as_deref_mut()
    }

    /// The topics of the next batch.
    pub(super) fn subscribe(&mut self) -> Vec<Topic> {
        let mut topics = Vec::with_capacity(self.wanted.len().min(BATCH));
        while topics.len() < BATCH
            && let Some(ix) = self.wanted.pop_first()
        {
            if self.step(ix, SubEvent::Sent)
                && let Some(room) = &self.rooms[ix as usize]
            {
                topics.push(room.topic.clone());
            }
        }
        topics
    }

    fn step(&mut self, ix: u32, on: SubEvent) -> bool {
        let Some(far) = self.far(ix) else {
            return false;
        };
        let to = subscription::next(far.sub, on);
        far.sub = to.unwrap_or(far.sub);
        to.is_some()
    }

    /// Says something on the channel of a topic, unless too much waits to be said.
    fn announce(&mut self, ix: u32, body: Body<F>) {
        let Some(room) = &self.rooms[ix as usize] else {
            return;
        };
        let announce = Announce {
            from: self.config.incarnation,
            topic: room.topic.clone(),
            seq: room.far.as_ref().map_or(0, |far| far.seq),
            body,
        };
        let bytes = announce.allocated();
        if self.announced_bytes + bytes > self.config.announcements {
            self.counts.unannounced += 1;
            return;
        }
        self.counts.announced += 1;
        self.announced_bytes += bytes;
        self.announcements.push_back(announce);
    }

    fn deliver_remote(&mut self, ix: u32, post: Post<F>, position: Option<Position>) -> Turn {
        self.counts.remote += 1;
        if self.counts.log + Entry::allocated(&post.frame) > self.config.log {
            self.tell_gap(ix, Cause::Overload);
            return Turn::Done;
        }
        self.append(ix, post, position)
    }

    /// Tells a member, if it is one still, that its wait is over.
    fn joined(&mut self, ix: u32, conn: Conn, joined: Joined) {
        let client = self.clients.get(&conn);
        let place = client.and_then(|client| client.rooms.iter().find(|(room, _)| *room == ix));
        let (Some((_, slot)), Some(room)) = (place.copied(), &mut self.rooms[ix as usize]) else {
            return;
        };
        let topic = room.topic.clone();
        if let Some(member) = room.member(slot) {
            member.waiting = false;
            member.told += 1;
            self.answers.push_back(Answer::Joined {
                conn,
                topic,
                joined,
            });
            self.recover(ix, slot);
        }
    }

    fn asked(&mut self, now: Mono, ix: u32, of: Option<Incarnation>) {
        let us = of.is_none_or(|of| of == self.config.incarnation);
        if us && let Some(far) = self.far(ix) {
            far.asked = true;
            self.alarms.set_once(Due::Changes, ix, now.plus(COALESCE));
        }
    }

    fn peer(&mut self, ix: u32, node: Incarnation, now: Mono) -> Option<&mut Peer> {
        let far = self.rooms[ix as usize].as_mut()?.far.as_mut()?;
        Some(far.peers.entry(node).or_insert_with(|| Peer::new(now)))
    }

    /// Forgets the longest silent node of a topic that has as many as may be, if `node` is a new one.
    fn make_room_for(&mut self, ix: u32, node: Incarnation) {
        let far = self.rooms[ix as usize]
            .as_ref()
            .and_then(|room| room.far.as_ref());
        let Some(far) = far else {
            return;
        };
        if far.peers.len() < PEERS || far.peers.contains_key(&node) {
            return;
        }
        if let Some(silent) = far
            .peers
            .iter()
            .min_by_key(|(_, peer)| peer.heard)
            .map(|(node, _)| *node)
        {
            self.forget_peer(ix, silent);
            self.tell_gap(ix, Cause::Unchecked);
        }
    }

    fn forget_peer(&mut self, ix: u32, node: Incarnation) {
        let far = self.far(ix);
        if let Some(mut peer) = far.and_then(|far| far.peers.remove(&node)) {
            let moved = peer.fall_silent();
            self.moved(ix, moved);
        }
    }

    /// Users came and went at another node.
    fn moved(&mut self, ix: u32, moved: Moved) {
        for user in moved.came {
            let room = self.rooms[ix as usize].as_mut();
            if room.is_some_and(|room| room.presence.add(&user)) {
                self.counts.present += 1;
                self.tell_presence(ix, &user, true);
            }
        }
        for user in moved.went {
            let room = self.rooms[ix as usize].as_mut();
            if room.is_some_and(|room| room.presence.remove(&user)) {
                self.counts.present -= 1;
                self.tell_presence(ix, &user, false);
            }
        }
    }

    fn digest(&mut self, now: Mono, ix: u32) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        let (version, here) = (room.presence.version, room.presence.here());
        // Who went a moment ago may be back before it is announced.
        let empty = here == 0 && !room.presence.has_changed();
        let Some(far) = &mut room.far else {
            return;
        };
        if here == 0 && far.digests == 0 {
            return;
        }
        if !self.away {
            if here == 0 {
                far.digests -= 1;
            }
            self.announce(ix, Body::Digest { version, empty });
        }
        self.alarms.set(Due::Digest, ix, now.plus(DIGEST));
    }

    /// Says who came and went, or the whole list to whoever asked.
    fn announce_changes(&mut self, now: Mono, ix: u32) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        let Some(far) = &mut room.far else {
            return;
        };
        let (asked, changed) = (std::mem::take(&mut far.asked), room.presence.has_changed());
        if !asked && !changed {
            return;
        }
        let base = room.presence.version;
        if changed {
            far.digests = DIGESTS;
            self.version += 1;
            room.presence.version = self.version;
        }
        let (version, changes) = (room.presence.version, room.presence.changes());
        let body = if version == 0 {
            Body::Digest {
                version,
                empty: true,
            }
        } else if asked || base == 0 {
            let users = room.presence.own();
            Body::State { version, users }
        } else {
            let (came, went) = (changes.came, changes.went);
            Body::Diff {
                base,
                version,
                came,
                went,
            }
        };
        self.announce(ix, body);
        self.alarms.set_once(Due::Digest, ix, now.plus(DIGEST));
    }

    fn silence(&mut self, now: Mono, ix: u32) {
        let room = self.rooms[ix as usize].as_mut();
        let Some(far) = room.and_then(|room| room.far.as_deref_mut()) else {
            return;
        };
        let (mut gone, mut next) = (Vec::new(), None::<Mono>);
        for (node, peer) in far.peers.iter_mut().filter(|(_, peer)| !peer.silent) {
            let at = peer.silent_at(self.nodes.get(node).map(|life| life.at()));
            if at <= now {
                gone.push(peer.fall_silent());
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        if let Some(at) = next {
            self.alarms.set(Due::Silence, ix, at);
        }
        for moved in gone {
            self.moved(ix, moved);
        }
    }

    /// The broker did not answer in time.
    fn degrade(&mut self, now: Mono, ix: u32) {
        loop {
            let far = self.far(ix);
            let Some(far) = far else {
                return;
            };
            match far.waiting.front().copied() {
                Some((at, conn)) if at <= now => {
                    far.waiting.pop_front();
                    far.missed = true;
                    self.joined(ix, conn, Joined::Degraded);
                }
                Some((at, _)) => return self.alarms.set(Due::Join, ix, at),
                None => return,
            }
        }
    }

    /// A topic had no members for the linger: it is forgotten, once its last words were repeated.
    fn linger(&mut self, now: Mono, ix: u32) {
        let Some(room) = &self.rooms[ix as usize] else {
            return;
        };
        let Some(far) = room.far.as_ref().filter(|_| room.members() == 0) else {
            return;
        };
        // Asked: an answer that came after a second request would be taken for that one's.
        let unsaid = far.digests > 0 && (!self.away || far.touched.plus(PATIENCE) > now);
        let busy = unsaid || room.presence.has_changed() || far.sub == Sub::Asked;
        let until = far.touched.plus(self.config.linger);
        if busy || until > now {
            let later = if busy { now.plus(COALESCE) } else { now };
            return self.alarms.set(Due::Linger, ix, until.max(later));
        }
        let (topic, on) = (room.topic.clone(), far.sub == Sub::On);
        self.step(ix, SubEvent::Unused);
        if on {
            self.unwanted.push_back(topic);
        }
        self.forget(ix);
    }

    fn ask_again(&mut self, now: Mono, ix: u32) {
        let far = self.rooms[ix as usize]
            .as_ref()
            .and_then(|room| room.far.as_ref());
        let Some(far) = far else {
            return;
        };
        let wanted = far.peers.iter().filter(|(_, peer)| peer.wanted);
        let wanted: BTreeSet<_> = wanted.map(|(node, _)| *node).collect();
        if !wanted.is_empty() {
            self.alarms.set(Due::Ask, ix, now.plus(ASK));
        }
        for of in wanted {
            self.announce(ix, Body::Ask { of: Some(of) });
        }
    }
}
