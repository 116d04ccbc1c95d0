//! Which node of a cluster has which keys (Redis Cluster specification, "Key distribution model"). Counts no time.

use redis::Value;

use crate::url::Address;

/// How many there are.
const SLOTS: u16 = 16384;

/// The slot of a key: CRC-16/XMODEM of what is between its first `{` and the next `}`, or of all of it if there is
/// no such pair, or nothing in it.
pub(crate) fn slot(key: &str) -> u16 {
    let inner = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = inner
        .map(|(inner, _)| inner)
        .filter(|inner| !inner.is_empty());
    let mut crc = 0_u16;
    for byte in hashed.unwrap_or(key).bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
    }
    crc % SLOTS
}

/// Ranges of slots and their masters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots(Vec<(u16, u16, Address)>);

impl Slots {
    /// Reads the reply to `CLUSTER SLOTS`. `asked` stands for a node that does not know its own address.
    pub(crate) fn read(reply: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(ranges) = reply else {
            return None;
        };
        let ranges = ranges.iter().map(|range| {
            let Value::Array(parts) = range else {
                return None;
            };
            let [Value::Int(from), Value::Int(to), Value::Array(master), ..] = &parts[..] else {
                return None;
            };
            let [host, Value::Int(port), ..] = &master[..] else {
                return None;
            };
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => {
                    String::from_utf8(host.clone()).ok()?
                }
                _ => asked.0.clone(),
            };
            Some((
                u16::try_from(*from).ok()?,
                u16::try_from(*to).ok()?,
                (host, u16::try_from(*port).ok()?),
            ))
        });
        ranges.collect::<Option<Vec<_>>>().map(Self)
    }

    /// Who has `slot`.
    pub(crate) fn master(&self, slot: u16) -> Option<&Address> {
        let of = |(from, to, _): &&(u16, u16, Address)| (*from..=*to).contains(&slot);
        self.0.iter().find(of).map(|(_, _, address)| address)
    }

    /// Every master once.
    pub(crate) fn masters(&self) -> Vec<Address> {
        let mut all: Vec<Address> = self.0.iter().map(|(_, _, at)| at.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Says that `slot` is at `address` since.
    pub(crate) fn moved(&mut self, slot: u16, address: Address) {
        self.0.insert(0, (slot, slot, address));
        // As many single slots as there are ranges in a large cluster; a refresh replaces all.
        self.0.truncate(2048);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot("123456789"), 0x31c3);
        for key in ["foo", "{foo}", "{foo}:tags", "{foo}:meta", "a{foo}b{bar}"] {
            assert_eq!(slot(key), 12182, "{key}");
        }
        assert_eq!(slot("foo{{bar}}zap"), slot("{bar"));
        // What `CLUSTER KEYSLOT` says: an empty tag is none.
        assert_eq!(slot("foo{}{bar}"), 8363);
        assert_eq!(slot("foo{bar"), 15278);
    }
}
