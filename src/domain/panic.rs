//! Safe reporting of panics. A panic message may contain the data being processed, even a password, so only constant
//! messages are reported.

use std::any::Any;

/// Returns the message of a panic if it is a string literal of the program, else a fixed text.
#[must_use]
pub fn text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("the message is not shown because it may contain secrets")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_panic_message_with_data_is_not_shown() {
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
