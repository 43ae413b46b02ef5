//! A log that keeps everything that is told, at every level.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Takes in every span and every event, a line each: level, target, name of a span, and `field=value`.
#[derive(Debug, Clone, Default)]
pub struct LogCollector {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

impl LogCollector {
    /// The one that takes in what all threads of this process tell. A collector for a thread alone would miss events: what
    /// `tracing` remembers of their interest is one for all threads.
    ///
    /// # Panics
    /// The process has another log already.
    pub fn of_this_process() -> &'static Self {
        static LOG: LazyLock<LogCollector> = LazyLock::new(|| {
            let log = LogCollector::default();
            tracing::subscriber::set_global_default(log.clone()).expect("there is no other log");
            log
        });
        &LOG
    }

    /// What was told so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, metadata: &Metadata<'_>, fields: impl FnOnce(&mut Fields)) {
        let mut line = Fields(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()));
        fields(&mut line);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes every text");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").expect("a string takes every text");
    }
}

impl Subscriber for LogCollector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.tell(span.metadata(), |line| span.record(line));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Fields(String::new());
        values.record(&mut line);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.tell(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
