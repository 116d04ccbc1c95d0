//! The access log's sink: formats every record in full into a reused thread-local buffer and drops
//! it. It serves `tracing` and `log`, since peers use one or the other; both stop at INFO.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    static LINE: RefCell<String> = RefCell::new(String::with_capacity(4096));
}

/// Records formatted so far; counted builds report it, so that the runner can see the log is on.
#[cfg(feature = "count")]
pub(crate) static RECORDS: AtomicU64 = AtomicU64::new(0);

/// Makes this sink the process's only log.
pub(crate) fn install() {
    tracing::subscriber::set_global_default(Sink {
        spans: AtomicU64::new(1),
    })
    .expect("no other subscriber is set");
    log::set_logger(&LogSink).expect("no other logger is set");
    log::set_max_level(log::LevelFilter::Info);
}

/// Formats with `write` into this thread's buffer and forgets the text.
fn line(write: impl FnOnce(&mut String)) {
    LINE.with_borrow_mut(|line| {
        line.clear();
        write(line);
        std::hint::black_box(line.as_str());
    });
}

fn record() {
    #[cfg(feature = "count")]
    RECORDS.fetch_add(1, Ordering::Relaxed);
}

struct Sink {
    spans: AtomicU64,
}

impl Subscriber for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        line(|out| attributes.record(&mut Fields(out)));
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        line(|out| values.record(&mut Fields(out)));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        line(|out| {
            let metadata = event.metadata();
            out.push_str(metadata.level().as_str());
            out.push(' ');
            out.push_str(metadata.target());
            event.record(&mut Fields(out));
        });
        record();
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pair(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push(' ');
        self.0.push_str(field.name());
        self.0.push('=');
        self.0.push_str(value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.pair(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.pair(field, format_args!("{value}"));
    }
}

impl Fields<'_> {
    fn pair(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        write!(self.0, " {}={value}", field.name()).expect("a String takes any text");
    }
}

struct LogSink;

impl log::Log for LogSink {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, entry: &log::Record<'_>) {
        if !self.enabled(entry.metadata()) {
            return;
        }
        line(|out| {
            write!(out, "{} {} {}", entry.level(), entry.target(), entry.args())
                .expect("a String takes any text");
        });
        record();
    }

    fn flush(&self) {}
}
