//! The form of a log line. Audit lines keep their own: as JSON their fields stand at the top, without quoting.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::audit;

/// Formats audit lines itself and leaves the others to `inner`.
pub(super) struct WithAudit<F> {
    inner: F,
    json: bool,
}

impl WithAudit<Format<Full>> {
    /// One line for a person.
    pub(super) fn human() -> Self {
        Self {
            inner: Format::default(),
            json: false,
        }
    }
}

impl WithAudit<Format<Json>> {
    /// One JSON object per line.
    pub(super) fn json() -> Self {
        Self {
            inner: Format::default().json().flatten_event(true),
            json: true,
        }
    }
}

impl<F, S, N> FormatEvent<S, N> for WithAudit<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != audit::TARGET {
            return self.inner.format_event(context, writer, event);
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level();
        if self.json {
            // The line is an object already: its fields join ours.
            let rest = fields.line.strip_prefix('{').unwrap_or("}");
            writer.write_str("{\"timestamp\":\"")?;
            SystemTime.format_time(&mut writer)?;
            writeln!(
                writer,
                "\",\"level\":\"{level}\",\"target\":\"audit\",{rest}"
            )
        } else {
            SystemTime.format_time(&mut writer)?;
            writeln!(writer, " {level:>5} audit: {}", fields.text)
        }
    }
}

#[derive(Default)]
struct Fields {
    line: String,
    text: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "line" {
            value.clone_into(&mut self.line);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "text" {
            self.text = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use portcullis_policy::model::Mode;
    use portcullis_trust::Decision;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::telemetry::AuditLine;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line() -> AuditLine {
        let decision = Decision {
            denial: None,
            mode: Mode::Enforce,
            rules: Vec::new(),
            findings: Vec::new(),
            unmet: Vec::new(),
        };
        AuditLine::of(audit::Event::Pull, "a\"b\\\u{7}", &decision)
    }

    #[test]
    fn an_audit_line_in_json_is_one_object_with_its_fields_at_the_top() {
        let sink = Sink::default();
        let target = sink.clone();
        let subscriber = tracing_subscriber::registry().with(
            tracing_subscriber::fmt::layer()
                .json()
                .event_format(WithAudit::json())
                .with_writer(move || target.clone()),
        );
        tracing::subscriber::with_default(subscriber, || {
            line().log();
            tracing::info!(answer = 42, "other");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["target"], "audit");
        assert_eq!(lines[0]["verdict"], "allow");
        assert_eq!(lines[0]["reference"], "a\"b\\\u{7}");
        assert_eq!(lines[0]["level"], "INFO");
        assert!(lines[0]["timestamp"].is_string());
        assert_eq!(lines[1]["message"], "other");
        assert_eq!(lines[1]["answer"], 42);
    }

    #[test]
    fn an_audit_line_for_a_person_is_one_line() {
        let sink = Sink::default();
        let target = sink.clone();
        let subscriber = tracing_subscriber::registry().with(
            tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .event_format(WithAudit::human())
                .with_writer(move || target.clone()),
        );
        tracing::subscriber::with_default(subscriber, || line().log());
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.contains(" INFO audit: allow pull \"a\\\"b\\\\\\u{7}\""),
            "{text}"
        );
    }
}
