//! What is measured: how many sockets, which messages, how many in flight, who gets them.

use super::options::Part;

/// One table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cell {
    pub(crate) part: Part,
    pub(crate) name: &'static str,
    pub(crate) payload: Payload,
    pub(crate) depth: usize,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Payload {
    pub(crate) len: usize,
    pub(crate) text: bool,
}

const fn binary(len: usize) -> Payload {
    Payload { len, text: false }
}

const fn text(len: usize) -> Payload {
    Payload { len, text: true }
}

const fn cell(part: Part, name: &'static str, payload: Payload, depth: usize) -> Cell {
    Cell {
        part,
        name,
        payload,
        depth,
    }
}

const SMALL: usize = 20;
const USUAL: usize = 1 << 10;
const LARGE: usize = 64 << 10;

/// All of them, in the order of the report.
pub(crate) static CELLS: [Cell; 12] = [
    cell(Part::Echo, "20 B × 1", binary(SMALL), 1),
    cell(Part::Echo, "20 B × 16", binary(SMALL), 16),
    cell(Part::Echo, "1 KiB × 1", binary(USUAL), 1),
    cell(Part::Echo, "1 KiB × 16", binary(USUAL), 16),
    cell(Part::Echo, "64 KiB × 1", binary(LARGE), 1),
    cell(Part::Echo, "64 KiB × 16", binary(LARGE), 16),
    cell(Part::Echo, "1 KiB text × 1", text(USUAL), 1),
    cell(Part::Deflate, "1 KiB text × 1, compressed", text(USUAL), 1),
    cell(
        Part::Deflate,
        "1 KiB text × 16, compressed",
        text(USUAL),
        16,
    ),
    cell(Part::Deflate, "64 KiB text × 1, compressed", text(LARGE), 1),
    cell(Part::Room, "128 B × 1 to 1 000", binary(128), 1),
    cell(Part::Room, "128 B × 16 to 1 000", binary(128), 16),
];

impl Cell {
    /// The path asked for.
    pub(crate) fn path(&self) -> &'static str {
        match self.part {
            Part::Room => "/ws/room",
            _ => "/ws/echo",
        }
    }

    /// How many sockets are open.
    pub(crate) fn sockets(&self) -> usize {
        match self.part {
            Part::Room => 1_000,
            _ => 64,
        }
    }

    /// Whether all sockets get what the first sends.
    pub(crate) fn is_room(&self) -> bool {
        self.part == Part::Room
    }

    pub(crate) fn is_deflated(&self) -> bool {
        self.part == Part::Deflate
    }

    /// What is counted.
    pub(crate) fn unit(&self) -> &'static str {
        if self.is_room() {
            "deliveries"
        } else {
            "messages"
        }
    }
}

impl Payload {
    /// Its bytes: rows of JSON as text, else bytes that are none.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut seed = 7_u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        let mut bytes = Vec::new();
        while bytes.len() < self.len {
            if self.text {
                let (id, score) = (next() % 10_000, next() % 1_000);
                let row = format!("{{\"id\":{id},\"name\":\"user {id}\",\"score\":0.{score}}},");
                bytes.extend_from_slice(row.as_bytes());
            } else {
                bytes.push(next() as u8);
            }
        }
        bytes.truncate(self.len);
        bytes
    }
}
