//! What one connection agreed to compress, seen from its side, and the codecs it keeps if it agreed to
//! remember from message to message.

use super::codecs::{Codecs, Deflater, Inflater};
use super::deflate::Deflate;

/// The compression of one connection.
#[derive(Debug)]
pub(super) struct Compression {
    ours: Direction,
    theirs: Direction,
    /// Made with the first message, and only with takeover.
    kept: Option<Box<Kept>>,
}

#[derive(Clone, Copy, Debug)]
struct Direction {
    takeover: bool,
    bits: u8,
}

#[derive(Debug, Default)]
struct Kept {
    deflater: Option<Deflater>,
    inflater: Option<Inflater>,
}

impl Compression {
    pub(super) fn new(agreed: &Deflate, is_server: bool) -> Self {
        let server = Direction {
            takeover: agreed.server_takeover,
            bits: agreed.server_max_window_bits,
        };
        let client = Direction {
            takeover: agreed.client_takeover,
            bits: agreed.client_max_window_bits,
        };
        let (ours, theirs) = if is_server {
            (server, client)
        } else {
            (client, server)
        };
        Self {
            ours,
            theirs,
            kept: None,
        }
    }

    /// The window of our messages.
    pub(super) fn bits(&self) -> u8 {
        self.ours.bits
    }

    #[cfg(test)]
    pub(super) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// `data` compressed after all we sent before; `None` unless we remember.
    pub(super) fn deflate_on<'c>(
        &mut self,
        codecs: &'c mut Codecs,
        data: &[u8],
    ) -> Option<&'c [u8]> {
        if !self.ours.takeover {
            return None;
        }
        let kept = &mut self.kept.get_or_insert_default().deflater;
        let deflater = kept.get_or_insert_with(|| codecs.deflater(self.ours.bits));
        Some(codecs.deflate_on(deflater, data))
    }

    /// What inflates the peer's next message; to be given back when it is complete.
    pub(super) fn lend(&mut self, codecs: &mut Codecs) -> Inflater {
        if !self.theirs.takeover {
            return codecs.inflater();
        }
        let kept = self.kept.get_or_insert_default().inflater.take();
        kept.unwrap_or_else(|| Inflater::new(self.theirs.bits))
    }

    pub(super) fn give_back(&mut self, inflater: Inflater, codecs: &mut Codecs) {
        if self.theirs.takeover {
            self.kept.get_or_insert_default().inflater = Some(inflater);
        } else {
            codecs.give_back(inflater);
        }
    }
}
