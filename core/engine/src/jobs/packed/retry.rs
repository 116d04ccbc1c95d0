//! A retry policy in few bytes: the default in one, every other one in full. Its first byte holds the
//! backoff in bits 0 to 2 (0: the default policy, and nothing follows), the jitter in bits 3 to 5, and in
//! bit 6 whether there is an `until`. Then the numbers of the backoff and the jitter, the cap, the
//! attempts, the `until`. Only a valid policy is read back.

use super::bytes::{Reader, number};
use super::{Unreadable, whole_millis};
use crate::jobs::retry::{Backoff, Jitter, Retry};

const UNTIL: u8 = 1 << 6;

pub(super) fn pack(retry: &Retry, out: &mut Vec<u8>) {
    if *retry == Retry::default() {
        out.push(0);
        return;
    }
    let backoff = match retry.backoff {
        Backoff::Fixed(_) => 1,
        Backoff::Linear { .. } => 2,
        Backoff::Poly { .. } => 3,
        Backoff::Exp { .. } => 4,
        Backoff::Table(_) => 5,
        Backoff::Decorrelated { .. } => 6,
    };
    let jitter = match retry.jitter {
        Jitter::None => 0,
        Jitter::Full => 1,
        Jitter::Equal => 2,
        Jitter::Proportional(_) => 3,
        Jitter::Add(_) => 4,
    };
    let until = if retry.until.is_some() { UNTIL } else { 0 };
    out.push(backoff | jitter << 3 | until);
    match &retry.backoff {
        Backoff::Fixed(base) | Backoff::Decorrelated { base } => number(out, whole_millis(*base)),
        Backoff::Linear { base, step } => {
            number(out, whole_millis(*base));
            number(out, whole_millis(*step));
        }
        Backoff::Poly { base, power: by } | Backoff::Exp { base, factor: by } => {
            number(out, whole_millis(*base));
            number(out, (*by).into());
        }
        Backoff::Table(delays) => {
            number(out, delays.len() as u64);
            let delays = delays.iter().copied().map(whole_millis);
            delays.for_each(|delay| number(out, delay));
        }
    }
    match retry.jitter {
        Jitter::None | Jitter::Full | Jitter::Equal => {}
        Jitter::Proportional(percent) => out.push(percent),
        Jitter::Add(most) => number(out, whole_millis(most)),
    }
    number(out, whole_millis(retry.cap));
    number(out, retry.attempts.into());
    if let Some(until) = retry.until {
        number(out, whole_millis(until));
    }
}

pub(super) fn unpack(from: &mut Reader<'_>) -> Result<Retry, Unreadable> {
    let bad = Unreadable::Damaged(from.at());
    let tags = from.byte()?;
    if tags == 0 {
        return Ok(Retry::default());
    }
    if tags & 1 << 7 != 0 {
        return Err(bad);
    }
    let backoff = match tags & 7 {
        1 => Backoff::Fixed(from.millis()?),
        2 => Backoff::Linear {
            base: from.millis()?,
            step: from.millis()?,
        },
        3 => Backoff::Poly {
            base: from.millis()?,
            power: from.number_32()?,
        },
        4 => Backoff::Exp {
            base: from.millis()?,
            factor: from.number_32()?,
        },
        5 => {
            let many = from.count(Backoff::LONGEST_TABLE)?;
            Backoff::Table((0..many).map(|_| from.millis()).collect::<Result<_, _>>()?)
        }
        6 => Backoff::Decorrelated {
            base: from.millis()?,
        },
        _ => return Err(bad),
    };
    let jitter = match tags >> 3 & 7 {
        0 => Jitter::None,
        1 => Jitter::Full,
        2 => Jitter::Equal,
        3 => Jitter::Proportional(from.byte()?),
        4 => Jitter::Add(from.millis()?),
        _ => return Err(bad),
    };
    let retry = Retry {
        backoff,
        jitter,
        cap: from.millis()?,
        attempts: from.number_32()?,
        until: if tags & UNTIL != 0 {
            Some(from.millis()?)
        } else {
            None
        },
    };
    retry.check().map_err(|_| bad)?;
    Ok(retry)
}
