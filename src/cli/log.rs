//! Sets up the log. It goes to standard error: as text on a terminal, as JSON otherwise. In systemd's journal, each line
//! begins with its priority.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

pub use crate::store::stderr::print;

use crate::config::{LogFormat, Settings};
use crate::store::stderr::{is_in_journal, priority};

/// The form of the lines.
#[derive(Clone, Copy)]
enum Form {
    Text,
    ColoredText,
    Json,
}

/// How lines are written.
#[derive(Clone, Copy)]
struct Style {
    form: Form,
    /// Whether a line names the module that it comes from.
    has_target: bool,
    /// Whether each line begins with its priority.
    has_priority: bool,
}

/// Starts the log of this process.
pub fn start(settings: &Settings) {
    let form = match (settings.log_format, io::stderr().is_terminal()) {
        (LogFormat::Auto | LogFormat::Text, true) => Form::ColoredText,
        (LogFormat::Text, false) => Form::Text,
        (LogFormat::Auto, false) | (LogFormat::Json, _) => Form::Json,
    };
    let style = Style { form, has_target: settings.log >= Level::DEBUG, has_priority: is_in_journal() };
    let level = LevelFilter::from_level(settings.log);
    tracing_subscriber::registry().with(level).with(layer(style, io::stderr)).init();
}

fn layer<S, W>(style: Style, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let Style { form, has_target, has_priority } = style;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_target(has_target);
    match form {
        Form::Text | Form::ColoredText => {
            let layer = layer.with_ansi(matches!(form, Form::ColoredText));
            layer.map_event_format(|format| Line { format, has_priority }).boxed()
        }
        Form::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
            layer.map_event_format(|format| Line { format, has_priority }).boxed()
        }
    }
}

/// The format of a line, after its priority if it has one. Both are written at once, so that the lines of several
/// threads do not mix.
struct Line<F> {
    format: F,
    has_priority: bool,
}

impl<S, N, F> FormatEvent<S, N> for Line<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.has_priority {
            writer.write_str(priority(*event.metadata().level()))?;
        }
        self.format.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer that keeps what is written to it.
    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of one event of each level.
    fn lines(form: Form, has_priority: bool) -> Vec<String> {
        let (captured, style) = (Captured::default(), Style { form, has_target: false, has_priority });
        let writer = captured.clone();
        let subscriber = tracing_subscriber::registry().with(layer(style, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(number = 1, "a message");
            tracing::warn!("a message");
            tracing::info!("a message");
            tracing::debug!("a message");
            tracing::trace!("a message");
        });
        let bytes = captured.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_line_in_the_journal_begins_with_its_priority() {
        for form in [Form::Text, Form::Json] {
            let (plain, prefixed) = (lines(form, false), lines(form, true));
            assert_eq!((plain.len(), prefixed.len()), (5, 5), "{prefixed:?}");
            for ((plain, prefixed), priority) in plain.iter().zip(&prefixed).zip(["<3>", "<4>", "<6>", "<7>", "<7>"]) {
                assert!(!plain.starts_with('<'), "{plain}");
                let line = prefixed.strip_prefix(priority).unwrap_or_else(|| panic!("{priority}: {prefixed}"));
                assert!(line.contains("a message"), "{line}");
                if matches!(form, Form::Json) {
                    let line: serde_json::Value = serde_json::from_str(line).expect("JSON after the priority");
                    assert_eq!(line["message"], "a message");
                }
            }
        }
    }
}
