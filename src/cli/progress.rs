//! How far long work has come, on standard error where that is a terminal: what is done, how far it is, and how long it
//! still takes.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::store::progress::{self, Step};

/// How often a line without a known end is drawn.
const TICK: Duration = Duration::from_millis(200);

const BAR: &str = "{msg} [{bar:30}] {percent:>3} %, {eta} left";

/// For work whose end is not known.
const SPINNER: &str = "{msg} {spinner} for {elapsed}";

static SHOWN: Mutex<Option<(&'static str, ProgressBar)>> = Mutex::new(None);

/// The line at the terminal. It is removed when this is dropped.
pub struct Line(());

/// Shows how far the work of this process has come, until the line is dropped.
#[must_use]
pub fn show() -> Line {
    if stderr().is_terminal() {
        progress::watch(draw);
    }
    Line(())
}

impl Drop for Line {
    fn drop(&mut self) {
        clear();
    }
}

/// Removes the line, if there is one.
pub fn clear() {
    if let Some((_, bar)) = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

fn draw(step: Step) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = shown.as_ref().is_none_or(|(what, _)| *what != step.what);
    if is_new && let Some((_, bar)) = shown.take() {
        bar.finish_and_clear();
    }
    let (_, bar) = shown.get_or_insert_with(|| (step.what, line(step)));
    bar.set_position(step.done);
}

fn line(step: Step) -> ProgressBar {
    let (bar, template) = match step.total {
        0 => (ProgressBar::no_length(), SPINNER),
        total => (ProgressBar::new(total), BAR),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(step.what);
    if step.total == 0 {
        bar.enable_steady_tick(TICK);
    }
    bar.tick();
    bar
}
