//! What may be said of a panic? Its message may quote what was being worked on, a password too, so only a fixed one is told.

use std::any::Any;

/// The message of a panic, if it is a text of the program's own.
#[must_use]
pub fn text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("its message may quote secrets, so it is not shown")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn what_was_being_worked_on_is_not_told() {
        let shown = |work: fn()| text(&*catch_unwind(work).expect_err("it panics")).to_owned();
        assert_eq!(shown(|| panic!("on purpose")), "on purpose");
        for work in [
            || panic!("bad password: {}", String::from("hunter2")),
            || drop(String::from("hunter2 \u{e9}")[..9].to_owned()),
            || assert!("hunter2".parse::<u8>().expect("a number") > 0),
        ] as [fn(); 3]
        {
            let shown = shown(work);
            assert!(shown.contains("not shown") && !shown.contains("hunter2"), "{shown}");
        }
    }
}
