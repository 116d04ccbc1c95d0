//! From bytes to events: whole frames where they lie, everything else by assembly.

use std::borrow::Cow;

use super::Conn;
use crate::time::Mono;
use crate::ws::assembly::{Assembly, Step, Whole};
use crate::ws::code::{CloseCode, CloseFrame};
use crate::ws::codecs::Codecs;
use crate::ws::end::{End, Violation};
use crate::ws::event::{Data, Event};
use crate::ws::head::{self, Head, opcode};
use crate::ws::mask::mask;
use crate::ws::phase::{On, Phase};

impl Conn {
    #[inline]
    pub(super) fn receive<'a>(
        &mut self,
        now: Mono,
        input: &mut &'a mut [u8],
        codecs: &mut Codecs,
    ) -> Option<Event<'a>> {
        if self.assembly.is_some() {
            return self.assemble(now, input, codecs);
        }
        match head::parse(input, &self.rules(false)) {
            Ok(Some(head)) if is_whole(&head, input.len()) => self.take_whole(now, input, &head),
            Ok(_) => self.assemble(now, input, codecs),
            Err(violation) => self.refuse(now, input, violation),
        }
    }

    #[inline]
    fn rules(&self, within: bool) -> head::Rules {
        head::Rules {
            masked: self.keys.is_none(),
            deflate: self.compression.is_some(),
            within,
            longest: self.config.max_frame as u64,
        }
    }

    /// A frame that lies whole at the start of `input` and is a message of its own, or control.
    #[inline]
    fn take_whole<'a>(
        &mut self,
        now: Mono,
        input: &mut &'a mut [u8],
        head: &Head,
    ) -> Option<Event<'a>> {
        let len = head.len as usize;
        if len > self.config.max_message && !head.is_control() {
            return self.refuse(now, input, Violation::TooBig);
        }
        let (frame, rest) = std::mem::take(input).split_at_mut(head.size + len);
        *input = rest;
        let payload = &mut frame[head.size..];
        if self.keys.is_none() {
            mask(payload, head.key);
        }
        let payload = &*payload;
        match head.opcode() {
            opcode::BINARY => Some(Event::Binary(Data::Lent(payload))),
            opcode::TEXT => match std::str::from_utf8(payload) {
                Ok(text) => Some(Event::Text(Cow::Borrowed(text))),
                Err(_) => self.refuse(now, input, Violation::Utf8),
            },
            code => self.control(now, input, code, Data::Lent(payload)),
        }
    }

    /// Everything that does not lie whole at the start of `input`.
    #[inline(never)]
    fn assemble<'a>(
        &mut self,
        now: Mono,
        input: &mut &'a mut [u8],
        codecs: &mut Codecs,
    ) -> Option<Event<'a>> {
        let mut assembly = match self.assembly.take() {
            Some(assembly) => assembly,
            None => Box::new(Assembly::new(now)),
        };
        loop {
            let rules = self.rules(assembly.message.is_some());
            let compression = self.compression.as_mut();
            let step = assembly.take(input, &rules, &self.config, codecs, compression);
            let event = match step {
                Ok(Step::Fragment) => continue,
                Ok(Step::More) => None,
                Ok(Step::Control(code, payload)) => {
                    self.control(now, input, code, Data::Owned(payload))
                }
                Ok(Step::Message) => match assembly.finish(&self.config, codecs) {
                    Ok((whole, inflater)) => {
                        if let (Some(compression), Some(inflater)) =
                            (&mut self.compression, inflater)
                        {
                            compression.give_back(inflater, codecs);
                        }
                        Some(match whole {
                            Whole::Text(text) => Event::Text(Cow::Owned(text)),
                            Whole::Binary(data) => Event::Binary(Data::Owned(data.into())),
                        })
                    }
                    Err(violation) => self.refuse(now, input, violation),
                },
                Err(violation) => self.refuse(now, input, violation),
            };
            if self.reads() && !assembly.is_empty() {
                self.assembly = Some(assembly);
            }
            return event;
        }
    }

    fn control<'a>(
        &mut self,
        now: Mono,
        input: &mut &'a mut [u8],
        code: u8,
        payload: Data<'a>,
    ) -> Option<Event<'a>> {
        match code {
            opcode::PING => {
                // Nothing follows our Close (RFC 6455 §5.5.1).
                if matches!(self.phase, Phase::Open | Phase::Closing) && !self.out.close_begun() {
                    let pong = self.control_frame(opcode::PONG, &payload);
                    self.out.push_pong(&pong);
                }
                Some(Event::Ping(payload))
            }
            opcode::PONG => Some(Event::Pong(payload)),
            _ => match read_close(&payload) {
                Ok(frame) => {
                    *input = &mut [];
                    if self.is_open() {
                        self.queue_close(frame.code, "");
                    }
                    self.report(if self.asked {
                        End::Answered(frame)
                    } else {
                        End::Peer(frame)
                    });
                    self.step(now, On::PeerClose);
                    None
                }
                Err(violation) => self.refuse(now, input, violation),
            },
        }
    }

    /// A violation: what follows it is not looked at.
    #[cold]
    fn refuse<'a>(
        &mut self,
        now: Mono,
        input: &mut &'a mut [u8],
        violation: Violation,
    ) -> Option<Event<'a>> {
        *input = &mut [];
        self.violation(now, violation);
        None
    }
}

/// Whether a frame is all here and needs no assembly.
#[inline]
fn is_whole(head: &Head, here: usize) -> bool {
    head.is_final() && !head.is_deflated() && head.len <= (here - head.size) as u64
}

/// The payload of a Close (RFC 6455 §5.5.1).
fn read_close(payload: &[u8]) -> Result<CloseFrame, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(CloseFrame::default())
        } else {
            Err(Violation::Close)
        };
    };
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::Close)?;
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::Utf8)?;
    Ok(CloseFrame {
        code: Some(code),
        reason: reason.into(),
    })
}
