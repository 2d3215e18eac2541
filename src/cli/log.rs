//! Sets up the log. It goes to standard error: as text on a terminal, as JSON otherwise.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Settings};

/// Starts the log of this process.
pub fn start(settings: &Settings) {
    let text = match settings.log_format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let level = LevelFilter::from_level(settings.log);
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(settings.log >= Level::DEBUG);
    let registry = tracing_subscriber::registry().with(level);
    if text {
        registry.with(layer.with_ansi(std::io::stderr().is_terminal())).init();
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
    }
}
