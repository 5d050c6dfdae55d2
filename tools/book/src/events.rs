//! What mdbook reports on the side.
//!
//! A failed include or formula is only a log event to mdbook: the build
//! succeeds. This collects those events, so that a caller can fail.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// One warning or error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `true` for an error, `false` for a warning.
    pub error: bool,
    /// What mdbook or KaTeX said.
    pub message: String,
    /// The formula being rendered, when it was one.
    pub formula: Option<String>,
}

impl Report {
    /// `error: ...` or `warning: ...`, on one line.
    pub fn line(&self) -> String {
        let kind = if self.error { "error" } else { "warning" };
        format!("{kind}: {}", self.message.replace('\n', " "))
    }
}

static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());
static TURN: Mutex<()> = Mutex::new(());
static INSTALL: Once = Once::new();

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` and hands back its result with every WARN and ERROR event of
/// the process meanwhile. Only one `work` runs at a time: KaTeX renders on
/// threads of its own, so events cannot be told apart by thread.
pub fn collect<R>(work: impl FnOnce() -> R) -> (R, Vec<Report>) {
    INSTALL.call_once(|| {
        let layered = tracing_subscriber::registry().with(Collector);
        // Someone else's subscriber may be there already (a test harness).
        let _ = tracing::subscriber::set_global_default(layered);
    });
    let _turn = lock(&TURN);
    lock(&REPORTS).clear();
    let result = work();
    (result, std::mem::take(&mut *lock(&REPORTS)))
}

struct Collector;

/// The fields of an event or span that we keep.
#[derive(Default)]
struct Fields {
    message: String,
    item: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "item" => self.item = Some(value.to_owned()),
            name => drop(write!(self.message, " {name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => drop(write!(self.message, "{value:?}")),
            name => drop(write!(self.message, " {name}={value:?}")),
        }
    }
}

impl<S> Layer<S> for Collector
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(
        &self,
        attrs: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        ctx: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let formula = ctx.event_scope(event).and_then(|scope| {
            scope
                .filter_map(|s| s.extensions().get::<Fields>()?.item.clone())
                .next()
        });
        lock(&REPORTS).push(Report {
            error: *event.metadata().level() == Level::ERROR,
            message: fields.message,
            formula,
        });
    }
}
