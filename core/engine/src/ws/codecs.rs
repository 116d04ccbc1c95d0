//! Compressors and inflaters, lent to connections by the worker that drives them. A connection holds
//! none, unless it negotiated context takeover: a compressor takes some 200 KiB.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::end::Violation;

/// Output of one step of inflation.
const STEP: usize = 16 << 10;
/// Spare inflaters: more were lent at once only while that many messages were coming in pieces.
const SPARE: usize = 4;
/// A sync flush ends with these, which a message leaves out (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The codecs of one worker thread. Made on first use and kept.
pub struct Codecs {
    level: Compression,
    /// One for each window, of 9 to 15 bits.
    deflaters: [Option<Deflater>; 7],
    inflaters: Vec<Inflater>,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codecs(..)")
    }
}

impl Default for Codecs {
    /// zlib's own level, 6.
    fn default() -> Self {
        Self::new(6)
    }
}

impl Codecs {
    /// Codecs that compress at `level`, from 1, the fastest, to 9. It allocates nothing yet.
    #[must_use]
    pub fn new(level: u8) -> Self {
        Self {
            level: Compression::new(u32::from(level.clamp(1, 9))),
            deflaters: [const { None }; 7],
            inflaters: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// `data` compressed by itself for a window of `bits`, from 9 to 15; `None` if that makes it no smaller.
    pub(super) fn deflate(&mut self, bits: u8, data: &[u8]) -> Option<&[u8]> {
        let level = self.level;
        let deflater = self.deflaters.get_mut(usize::from(bits).checked_sub(9)?)?;
        let deflater = deflater.get_or_insert_with(|| Deflater::new(level, bits));
        deflater.0.reset();
        give_up_space(&mut self.scratch);
        // Blocks that do not compress are stored, under heads of their own.
        self.scratch
            .reserve_exact(data.len() + data.len() / 256 + 64);
        deflater.run(data, &mut self.scratch);
        (self.scratch.len() < data.len()).then_some(&self.scratch[..])
    }

    /// `data` compressed by `deflater`, which remembers what it compressed before: whatever the size, since
    /// the peer's window must follow.
    pub(super) fn deflate_on(&mut self, deflater: &mut Deflater, data: &[u8]) -> &[u8] {
        give_up_space(&mut self.scratch);
        self.scratch.reserve(data.len() / 2 + 64);
        deflater.run(data, &mut self.scratch);
        &self.scratch
    }

    pub(super) fn deflater(&self, bits: u8) -> Deflater {
        Deflater::new(self.level, bits)
    }

    pub(super) fn inflater(&mut self) -> Inflater {
        self.inflaters.pop().unwrap_or_else(|| Inflater::new(15))
    }

    pub(super) fn give_back(&mut self, mut inflater: Inflater) {
        if self.inflaters.len() < SPARE {
            inflater.reset();
            self.inflaters.push(inflater);
        }
    }

    pub(super) fn scratch(&mut self) -> &mut Vec<u8> {
        &mut self.scratch
    }
}

fn give_up_space(scratch: &mut Vec<u8>) {
    scratch.clear();
    scratch.shrink_to(4 * STEP);
}

/// A compressor of bare DEFLATE.
pub(super) struct Deflater(Compress);

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deflater(..)")
    }
}

impl Deflater {
    fn new(level: Compression, bits: u8) -> Self {
        // zlib writes no bare stream for a window of 8 bits; the negotiation never agrees on one.
        Self(Compress::new_with_window_bits(
            level,
            false,
            bits.clamp(9, 15),
        ))
    }

    /// Compresses and flushes `data` into `out`, without the tail. To the end, also where it will not be worth it: the
    /// reset of zlib-rs 0.6.8 counts what was not taken from it as room that is used for ever, and panics in the end.
    fn run(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let start = self.0.total_in();
        loop {
            let taken = (self.0.total_in() - start) as usize;
            let flushed = self
                .0
                .compress_vec(&data[taken..], out, FlushCompress::Sync);
            // It only fails when it is used after a finish, which it never is.
            if flushed.is_err() {
                break;
            }
            let all = (self.0.total_in() - start) as usize == data.len();
            // A flush is complete when it leaves room (zlib's manual, deflate).
            if all && out.len() < out.capacity() {
                break;
            }
            out.reserve(out.len().max(64));
        }
        if out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
    }
}

/// An inflater of bare DEFLATE.
pub(super) struct Inflater {
    inner: Decompress,
    /// The last block said that it is the last, and nothing came after it.
    ended: bool,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inflater(..)")
    }
}

impl Inflater {
    pub(super) fn new(bits: u8) -> Self {
        Self {
            inner: Decompress::new_with_window_bits(false, bits.clamp(9, 15)),
            ended: false,
        }
    }

    fn reset(&mut self) {
        self.inner.reset(false);
        self.ended = false;
    }

    /// Inflates `data`, a part of a message, and gives what comes out to `sink`, in order and before any
    /// error: how the message was cut does not matter.
    pub(super) fn push(
        &mut self,
        mut data: &[u8],
        scratch: &mut Vec<u8>,
        mut sink: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        scratch.clear();
        scratch.reserve_exact(STEP);
        while !data.is_empty() {
            if self.ended {
                // RFC 7692 §7.2.3.4: more blocks may follow one marked as the last.
                self.reset();
            }
            let before = self.inner.total_in();
            scratch.clear();
            let status = self
                .inner
                .decompress_vec(data, scratch, FlushDecompress::Sync);
            sink(scratch)?;
            let taken = (self.inner.total_in() - before) as usize;
            data = &data[taken..];
            match status.map_err(|_| Violation::Inflate)? {
                Status::StreamEnd => self.ended = true,
                Status::Ok | Status::BufError if taken == 0 && scratch.is_empty() => {
                    // It neither takes nor gives: that is no stream.
                    return Err(Violation::Inflate);
                }
                Status::Ok | Status::BufError => {}
            }
        }
        // What it took may still be coming out.
        while !self.ended && scratch.len() == scratch.capacity() {
            scratch.clear();
            let status = self
                .inner
                .decompress_vec(&[], scratch, FlushDecompress::Sync);
            sink(scratch)?;
            self.ended = status.map_err(|_| Violation::Inflate)? == Status::StreamEnd;
        }
        Ok(())
    }

    /// The end of the message, whose bytes leave out the tail.
    pub(super) fn finish(
        &mut self,
        scratch: &mut Vec<u8>,
        sink: impl FnMut(&[u8]) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if self.ended {
            return Ok(());
        }
        self.push(&TAIL, scratch, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Rng, Seed};

    #[test]
    fn messages_that_do_not_compress_leave_nothing_behind() {
        let mut noise = vec![0; 20_000];
        let rng = &mut Rng::new(&Seed::from_u64(1));
        let text = "compress me ".repeat(100);
        for bits in [9, 12, 15] {
            let fresh = Codecs::default()
                .deflate(bits, text.as_bytes())
                .map(<[u8]>::to_vec);
            assert!(fresh.as_ref().is_some_and(|small| small.len() < 100));
            let mut codecs = Codecs::default();
            for n in 0..300 {
                let len = 64 + rng.below(19_000) as usize;
                rng.fill(&mut noise[..len]);
                assert_eq!(codecs.deflate(bits, &noise[..len]), None, "{n} of {len}");
                assert_eq!(codecs.deflate(bits, text.as_bytes()), fresh.as_deref());
            }
        }
    }
}
