//! The network: connections as two directions of bytes, ports, links and partitions. Order within
//! a direction is kept and nothing is lost, as TCP promises; everything else may happen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tideway::{Rng, Seed};

use crate::digest::Record;
use crate::link::Link;
use crate::world::{Event, State, host_ip};

/// Connections a port holds that nobody has accepted; more are refused.
const BACKLOG: usize = 1024;

/// The connecting side of a connection.
pub(crate) const CLIENT: usize = 0;
/// The accepting side of a connection.
pub(crate) const SERVER: usize = 1;

pub(crate) struct Net {
    conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    ports: BTreeMap<(usize, u16), Port>,
    next_port: u64,
    default: Arc<Link>,
    links: BTreeMap<(usize, usize), Arc<Link>>,
    cut: BTreeSet<(usize, usize)>,
    /// Packets under way over cut links, in order.
    held: Vec<Packet>,
    rng: Rng,
}

struct Conn {
    ends: [End; 2],
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    Refused,
}

struct End {
    host: usize,
    addr: SocketAddr,
    /// Arrived and not yet read.
    inbox: VecDeque<u8>,
    /// Sent by this end and not yet arrived.
    under_way: usize,
    /// When the latest packet sent by this end arrives; none overtakes it.
    latest: u64,
    /// The other end will send no more, and all of it has arrived.
    ended: bool,
    /// This end will send no more.
    shut: bool,
    reset: bool,
    /// A stream for it exists, or waits to be accepted.
    open: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Port {
    id: u64,
    backlog: VecDeque<u64>,
    acceptor: Option<Waker>,
}

pub(crate) struct Packet {
    conn: u64,
    /// The end it goes to.
    to: usize,
    what: What,
}

enum What {
    Connect,
    Accepted,
    Data(Vec<u8>),
    Fin,
    Reset,
}

impl Net {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self {
            conns: BTreeMap::new(),
            next_conn: 0,
            ports: BTreeMap::new(),
            next_port: 0,
            default: Arc::new(Link::default()),
            links: BTreeMap::new(),
            cut: BTreeSet::new(),
            held: Vec::new(),
            rng: Rng::new(seed),
        }
    }

    pub(crate) fn set_default_link(&mut self, link: Link) {
        self.default = Arc::new(link);
    }

    pub(crate) fn set_link(&mut self, a: usize, b: usize, link: Link) {
        self.links.insert(pair(a, b), Arc::new(link));
    }

    /// How many packets partitions hold back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many connections have at least one open end.
    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }

    fn path(&self, conn: u64) -> Option<(usize, usize)> {
        let [a, b] = &self.conns.get(&conn)?.ends;
        Some(pair(a.host, b.host))
    }

    fn link(&self, path: (usize, usize)) -> Arc<Link> {
        self.links.get(&path).unwrap_or(&self.default).clone()
    }
}

/// Links and partitions.
impl State {
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        let path = pair(a, b);
        if !self.net.cut.insert(path) {
            return;
        }
        self.record(Record::Cut, [path.0 as u64, path.1 as u64]);
        let net = &self.net;
        let on_path = |event: &Event| match event {
            Event::Packet(packet) => net.path(packet.conn) == Some(path),
            Event::Timer { .. } => false,
        };
        let under_way = self.events.iter().filter(|(_, event)| on_path(event));
        let keys: Vec<_> = under_way.map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(Event::Packet(packet)) = self.events.remove(&key) {
                self.net.held.push(packet);
            }
        }
    }

    pub(crate) fn heal(&mut self, a: usize, b: usize) {
        let path = pair(a, b);
        if !self.net.cut.remove(&path) {
            return;
        }
        self.record(Record::Heal, [path.0 as u64, path.1 as u64]);
        for packet in std::mem::take(&mut self.net.held) {
            if self.net.path(packet.conn) == Some(path) {
                self.dispatch(packet, path);
            } else {
                self.net.held.push(packet);
            }
        }
    }

    fn send(&mut self, conn: u64, to: usize, what: What) {
        let Some(path) = self.net.path(conn) else {
            return;
        };
        let packet = Packet { conn, to, what };
        if self.net.cut.contains(&path) {
            self.net.held.push(packet);
        } else {
            self.dispatch(packet, path);
        }
    }

    fn dispatch(&mut self, packet: Packet, path: (usize, usize)) {
        let travel = self.net.link(path).draw_latency(&mut self.net.rng);
        let Some(conn) = self.net.conns.get_mut(&packet.conn) else {
            return;
        };
        let from = &mut conn.ends[1 - packet.to];
        let at = from.latest.max(self.now.saturating_add(travel));
        from.latest = at;
        self.schedule(at, Event::Packet(packet));
    }

    pub(crate) fn arrive(&mut self, packet: Packet) {
        let Packet { conn: id, to, what } = packet;
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return;
        };
        let bytes = match &what {
            What::Data(data) => data.len() as u64,
            What::Connect | What::Accepted | What::Fin | What::Reset => 0,
        };
        let [client, server] = &mut conn.ends;
        let (end, from) = match to {
            CLIENT => (client, server),
            _ => (server, client),
        };
        match what {
            What::Connect => self.knock(id),
            What::Accepted => {
                conn.phase = Phase::Open;
                self.wakes.extend(end.reader.take());
            }
            What::Data(data) => {
                from.under_way -= data.len();
                if !end.open {
                    // RFC 9293 §3.10.7.4: data for a connection nobody reads is answered by a reset.
                    self.send(id, 1 - to, What::Reset);
                } else if !end.reset {
                    end.inbox.extend(data);
                    self.wakes.extend(end.reader.take());
                }
            }
            What::Fin => {
                end.ended = true;
                self.wakes.extend(end.reader.take());
            }
            What::Reset => {
                // RFC 9293 §3.10.7.4: "All segment queues should be flushed", what has arrived and
                // was not read included. Linux is kinder; what must survive it must not count on it.
                end.inbox.clear();
                end.reset = true;
                if conn.phase == Phase::Connecting {
                    conn.phase = Phase::Refused;
                }
                self.wakes.extend(end.reader.take());
                self.wakes.extend(end.writer.take());
            }
        }
        self.record(Record::Arrive, [id * 2 + to as u64, bytes]);
    }
}

/// Ports and connections.
impl State {
    /// Binds a port; the number tells this binding from later ones of the same port.
    pub(crate) fn bind(&mut self, host: usize, port: u16) -> io::Result<u64> {
        if !self.hosts[host].up {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if self.net.ports.contains_key(&(host, port)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let id = self.net.next_port;
        self.net.next_port += 1;
        let bound = Port {
            id,
            backlog: VecDeque::new(),
            acceptor: None,
        };
        self.net.ports.insert((host, port), bound);
        Ok(id)
    }

    pub(crate) fn unbind(&mut self, host: usize, port: u16, id: u64) {
        let key = (host, port);
        if self.net.ports.get(&key).is_none_or(|port| port.id != id) {
            return;
        }
        if let Some(port) = self.net.ports.remove(&key) {
            self.wakes.extend(port.acceptor);
            for conn in port.backlog {
                self.abort(conn, SERVER);
                self.close(conn, SERVER);
            }
        }
    }

    pub(crate) fn poll_accept(
        &mut self,
        (host, port, id): (usize, u16, u64),
        cx: &Context<'_>,
    ) -> Poll<io::Result<(u64, SocketAddr)>> {
        let bound = self.net.ports.get_mut(&(host, port));
        let Some(port) = bound.filter(|port| port.id == id) else {
            let gone = io::Error::new(io::ErrorKind::NotConnected, "the host has crashed");
            return Poll::Ready(Err(gone));
        };
        match port.backlog.pop_front() {
            Some(conn) => Poll::Ready(Ok((conn, self.net.conns[&conn].ends[CLIENT].addr))),
            None => {
                park(&mut port.acceptor, cx, &mut self.trash);
                Poll::Pending
            }
        }
    }

    /// Sets out to connect; returns the connection and the address of the near end.
    pub(crate) fn connect(&mut self, from: usize, to: usize, port: u16) -> (u64, SocketAddr) {
        let state = &mut self.hosts[from];
        let near = state.next_port;
        state.next_port = near.checked_add(1).unwrap_or(49_152);
        let near = SocketAddr::from((host_ip(from), near));
        let far = SocketAddr::from((host_ip(to), port));
        let id = self.net.next_conn;
        self.net.next_conn += 1;
        let mut ends = [End::new(from, near), End::new(to, far)];
        ends[CLIENT].open = true;
        let phase = Phase::Connecting;
        self.net.conns.insert(id, Conn { ends, phase });
        self.send(id, SERVER, What::Connect);
        (id, near)
    }

    /// A connection has come to its port.
    fn knock(&mut self, id: u64) {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return;
        };
        let end = &mut conn.ends[SERVER];
        let port = self.net.ports.get_mut(&(end.host, end.addr.port()));
        match port.filter(|port| port.backlog.len() < BACKLOG) {
            Some(port) => {
                end.open = true;
                port.backlog.push_back(id);
                self.wakes.extend(port.acceptor.take());
                self.send(id, CLIENT, What::Accepted);
            }
            None => self.send(id, CLIENT, What::Reset),
        }
    }

    pub(crate) fn poll_connect(&mut self, id: u64, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        match conn.phase {
            Phase::Open => Poll::Ready(Ok(())),
            Phase::Refused => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            Phase::Connecting => {
                park(&mut conn.ends[CLIENT].reader, cx, &mut self.trash);
                Poll::Pending
            }
        }
    }

    /// Breaks a connection at one end; the other learns of it a latency later.
    pub(crate) fn abort(&mut self, id: u64, at: usize) {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return;
        };
        let end = &mut conn.ends[at];
        if end.reset {
            return;
        }
        end.reset = true;
        end.inbox.clear();
        self.wakes.extend(end.reader.take());
        self.wakes.extend(end.writer.take());
        self.send(id, 1 - at, What::Reset);
    }

    /// The stream of one end is dropped.
    pub(crate) fn close(&mut self, id: u64, at: usize) {
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return;
        };
        let end = &mut conn.ends[at];
        if !end.open {
            return;
        }
        end.open = false;
        self.trash.extend(end.reader.take());
        self.trash.extend(end.writer.take());
        // RFC 2525 §2.17: closing with bytes unread resets, for their sender must learn that they
        // were lost.
        if !end.inbox.is_empty() {
            self.abort(id, at);
        } else if !end.reset && !end.shut {
            end.shut = true;
            self.send(id, 1 - at, What::Fin);
        }
        if self.net.conns[&id].ends.iter().all(|end| !end.open) {
            self.net.conns.remove(&id);
        }
    }

    /// Takes everything of a host off the network.
    pub(crate) fn unplug(&mut self, host: usize) {
        let of_host = self.net.ports.iter().filter(|((at, _), _)| *at == host);
        let ports: Vec<_> = of_host
            .map(|((_, port), bound)| (*port, bound.id))
            .collect();
        for (port, id) in ports {
            self.unbind(host, port, id);
        }
        let conns: Vec<u64> = self.net.conns.keys().copied().collect();
        for (id, at) in conns.iter().flat_map(|id| [(*id, CLIENT), (*id, SERVER)]) {
            let ends = self.net.conns.get(&id).map(|conn| &conn.ends);
            if ends.is_some_and(|ends| ends[at].host == host && ends[at].open) {
                self.abort(id, at);
                self.close(id, at);
            }
        }
    }
}

/// Bytes.
impl State {
    pub(crate) fn poll_read(
        &mut self,
        (id, at): (u64, usize),
        cx: &Context<'_>,
        most: usize,
        mut sink: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        self.maybe_reset(id, at, |end| !end.inbox.is_empty());
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let path = pair(conn.ends[0].host, conn.ends[1].host);
        let end = &mut conn.ends[at];
        if end.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if end.inbox.is_empty() && !end.ended {
            park(&mut end.reader, cx, &mut self.trash);
            return Poll::Pending;
        }
        let there = end.inbox.len().min(most);
        let link = self.net.links.get(&path).unwrap_or(&self.net.default);
        let read = link.draw_chop(there, &mut self.net.rng);
        let (front, back) = end.inbox.as_slices();
        sink(&front[..read.min(front.len())]);
        sink(&back[..read.saturating_sub(front.len())]);
        end.inbox.drain(..read);
        self.wakes.extend(conn.ends[1 - at].writer.take());
        self.record(Record::Read, [id * 2 + at as u64, read as u64]);
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(
        &mut self,
        (id, at): (u64, usize),
        cx: &Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.maybe_reset(id, at, |end| !end.shut);
        let Some(conn) = self.net.conns.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let path = pair(conn.ends[0].host, conn.ends[1].host);
        let unread = conn.ends[1 - at].inbox.len();
        let end = &mut conn.ends[at];
        if end.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if end.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
        if offered == 0 {
            return Poll::Ready(Ok(0));
        }
        let link = self.net.links.get(&path).unwrap_or(&self.net.default);
        let room = link.buffer.max(1).saturating_sub(end.under_way + unread);
        if room == 0 {
            park(&mut end.writer, cx, &mut self.trash);
            return Poll::Pending;
        }
        let taken = link.draw_chop(offered.min(room), &mut self.net.rng);
        let shuts = link.half_close_chance > 0 && self.net.rng.chance(link.half_close_chance);
        end.under_way += taken;
        let mut data = Vec::with_capacity(taken);
        for buf in bufs {
            let part = buf.len().min(taken - data.len());
            data.extend_from_slice(&buf[..part]);
        }
        self.record(Record::Send, [id * 2 + at as u64, taken as u64]);
        self.digest.bytes(&data);
        self.send(id, 1 - at, What::Data(data));
        if shuts {
            self.shut(id, at)?;
        }
        Poll::Ready(Ok(taken))
    }

    /// Ends one direction, as `shutdown(SHUT_WR)` does.
    pub(crate) fn shut(&mut self, id: u64, at: usize) -> io::Result<()> {
        let conn = self.net.conns.get_mut(&id);
        let Some(end) = conn.map(|conn| &mut conn.ends[at]).filter(|end| !end.reset) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        if !end.shut {
            end.shut = true;
            self.send(id, 1 - at, What::Fin);
        }
        Ok(())
    }

    /// The link's chance to reset a connection on which something is about to move.
    fn maybe_reset(&mut self, id: u64, at: usize, moves: impl Fn(&End) -> bool) {
        let Some(path) = self.net.path(id) else {
            return;
        };
        let chance = self.net.link(path).reset_chance;
        let end = &self.net.conns[&id].ends[at];
        if chance > 0 && !end.reset && moves(end) && self.net.rng.chance(chance) {
            self.abort(id, at);
        }
    }
}

impl End {
    fn new(host: usize, addr: SocketAddr) -> Self {
        Self {
            host,
            addr,
            inbox: VecDeque::new(),
            under_way: 0,
            latest: 0,
            ended: false,
            shut: false,
            reset: false,
            open: false,
            reader: None,
            writer: None,
        }
    }
}

/// A path has no direction.
fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// Waits with this waker, and no other.
fn park(place: &mut Option<Waker>, cx: &Context<'_>, trash: &mut Vec<Waker>) {
    if !place.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
        trash.extend(place.replace(cx.waker().clone()));
    }
}
