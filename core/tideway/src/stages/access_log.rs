//! One log line per exchange, written when it is over.

use crate::pipeline::{Cx, End, Phases, Stage};

/// Logs through `tracing`, target `tideway::access`, at the *end* of the body: duration and bytes
/// are those of the whole exchange, and an abort is logged with its reason.
///
/// Level by outcome: 5xx ERROR; 4xx and aborts WARN; everything else, redirects and 304 included, INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessLog;

macro_rules! line {
    ($level:ident, $cx:ident, $status:ident, $bytes:ident, $aborted:ident) => {
        tracing::$level!(
            target: "tideway::access",
            method = $cx.line().method().as_str(),
            path = $cx.line().path(),
            route = $cx.route().unwrap_or(""),
            status = $status,
            duration_us = $cx.elapsed().as_micros() as u64,
            bytes = $bytes,
            aborted = $aborted,
            peer = $cx.peer_text(),
            request_id = $cx.id().as_str(),
            cause = $cx.cause(),
        )
    };
}

impl Stage for AccessLog {
    fn name(&self) -> &'static str {
        "access log"
    }

    fn phases(&self) -> Phases {
        Phases::DONE
    }

    fn done(&self, cx: &mut Cx<'_>, end: &End) {
        let status = cx.status().map_or(0, |status| status.as_u16());
        let bytes = cx.bytes_out();
        let aborted: Option<&'static str> = match end {
            End::Complete { .. } | End::Upgraded => None,
            End::Aborted(abort) => Some(abort.reason()),
        };
        if status >= 500 {
            line!(error, cx, status, bytes, aborted);
        } else if status >= 400 || aborted.is_some() {
            line!(warn, cx, status, bytes, aborted);
        } else {
            line!(info, cx, status, bytes, aborted);
        }
    }
}
