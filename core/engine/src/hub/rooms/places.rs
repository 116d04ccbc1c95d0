//! The places of topics and members: how they come, and how nothing of them stays. No frame is read here.

use super::alarms::Due;
use super::remote::Far;
use super::room::{Joining, Room};
use super::{Join, Joined, Reach, Refused, Rooms, Rules};
use crate::hub::{Conn, Frame, Topic};
use crate::time::Mono;

impl<M: Clone, F: Frame> Rooms<M, F> {
    /// The topic's place, made if there is none.
    pub(super) fn open(&mut self, topic: &Topic, rules: Rules) -> Result<u32, Refused> {
        if let Some(ix) = self.names.get(topic) {
            let room = self.rooms[*ix as usize].as_ref();
            return match room {
                Some(room) if room.rules == rules => Ok(*ix),
                _ => Err(Refused::OtherRules),
            };
        }
        if self.names.len() >= self.config.topics {
            return Err(Refused::Topics(self.config.topics));
        }
        let far = match rules.reach {
            Reach::Node => None,
            Reach::Cluster => Some(Box::new(Far::new(self.numbers.take(topic)))),
        };
        let room = Some(Room::new(topic.clone(), rules, far));
        let ix = match self.vacant.pop() {
            Some(ix) => {
                self.rooms[ix as usize] = room;
                ix
            }
            None => {
                self.rooms.push(room);
                (self.rooms.len() - 1) as u32
            }
        };
        self.names.insert(topic.clone(), ix);
        Ok(ix)
    }

    /// Makes a member of a connection that may be one.
    pub(super) fn enter(
        &mut self,
        now: Mono,
        conn: Conn,
        to: &M,
        ix: u32,
        join: Join,
    ) -> Result<Joined, Refused> {
        let (room, client) = (
            self.rooms[ix as usize].as_mut(),
            self.clients.get_mut(&conn),
        );
        let (Some(room), Some(client)) = (room, client) else {
            return Err(Refused::NotMember);
        };
        let slot = room.enter(conn, to.clone(), join.user.clone());
        if let Some(since) = join.since
            && let Some(member) = room.member(slot)
        {
            member.joining = Some(Box::new(Joining::new(since)));
        }
        if client.rooms.is_empty() {
            // Most are in one room, and should not pay for four.
            client.rooms.reserve_exact(1);
        }
        client.rooms.push((ix, slot));
        self.counts.members += 1;
        let far = room.far.is_some();
        if let Some(user) = &join.user {
            let (first_here, first) = room.presence.enter(user);
            self.counts.present += usize::from(first);
            if first {
                self.tell_presence(ix, user, true);
            }
            if first_here && far {
                self.presence_changed(now, ix);
            }
        }
        if far {
            return Ok(self.enter_cluster(now, ix, slot));
        }
        self.recover(ix, slot);
        Ok(Joined::Whole)
    }

    /// Takes a member out of its room. Its entry in the list of its connection is the caller's.
    pub(super) fn remove(&mut self, now: Mono, ix: u32, slot: u32) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        let Some(member) = room.leave(slot) else {
            return;
        };
        self.counts.members -= 1;
        if let Some(joining) = &member.joining {
            self.budget.used -= joining.bytes;
        }
        if member.told > 0 {
            let topic = &room.topic;
            self.answers
                .retain(|answer| answer.of() != (member.conn, topic));
        }
        let far = room.far.is_some();
        if member.waiting
            && let Some(far) = &mut room.far
        {
            far.waiting.retain(|(_, conn)| *conn != member.conn);
        }
        let empty = room.members() == 0;
        if empty {
            // Whoever comes next lists anew.
            let topic = &room.topic;
            self.events.retain(|event| event.topic() != topic);
            (room.gap_told, room.relist_told) = (false, false);
            self.counts.log -= room.hush();
            if std::mem::take(&mut room.ready) {
                self.ready.retain(|ready| *ready != ix);
            }
        }
        if let Some(user) = &member.user {
            let (last_here, last) = room.presence.leave(user);
            self.counts.present -= usize::from(last);
            if last {
                self.tell_presence(ix, user, false);
            }
            if last_here && far {
                self.presence_changed(now, ix);
            }
        }
        match (empty, far) {
            (true, true) => self
                .alarms
                .set(Due::Linger, ix, now.plus(self.config.linger)),
            (true, false) => self.forget(ix),
            (false, _) => self.close_up(ix),
        }
    }

    pub(super) fn close_up(&mut self, ix: u32) {
        let Some(room) = &mut self.rooms[ix as usize] else {
            return;
        };
        for (conn, slot) in room.close_up() {
            let rooms = self.clients.get_mut(&conn).map(|client| &mut client.rooms);
            let mut places = rooms.into_iter().flatten();
            if let Some(place) = places.find(|(room, _)| *room == ix) {
                place.1 = slot;
            }
        }
    }

    /// Drops a topic nobody is in.
    pub(super) fn forget(&mut self, ix: u32) {
        let Some(room) = self.rooms[ix as usize].take() else {
            return;
        };
        self.vacant.push(ix);
        self.names.remove(&room.topic);
        self.alarms.clear_topic(ix);
        self.wanted.remove(&ix);
        self.counts.present -= room.presence.total();
        if let Some(far) = room.far {
            self.numbers.keep(room.topic, far.seq);
        }
        if self.names.is_empty() {
            // After a wave of rooms their places are given back.
            (self.rooms, self.vacant) = (Vec::new(), Vec::new());
        }
    }
}
