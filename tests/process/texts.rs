//! Texts on the command line and in settings: those that cannot be seen, or that turn the text around them, are refused
//! as they are over HTTP.

use crate::harness::{Home, Ran, run};

/// Texts that cannot be seen, or that change how the text around them is shown.
const REFUSED: [&str; 5] = ["\u{200b}", "   ", "\u{3164}", "a\u{202e}b", "a\u{2069}b"];

/// Addresses that look like another one.
const LOOKALIKES: [&str; 4] =
    ["ada\u{200b}@example.org", "ada@\u{ad}example.org", "ada\u{202e}@example.org", "\u{feff}ada@example.org"];

fn refused(home: &Home, words: &[&str], field: &str, text: &str) {
    let ran = home.run(words);
    told(&ran, words, field, text);
}

fn told(ran: &Ran, words: &[&str], field: &str, text: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{words:?}: {ran:?}");
    let told = ran.stderr.starts_with(&format!("orgkeys: {field} must ")) && !ran.stderr.contains(text);
    assert!(told, "{words:?}: {ran:?}");
}

#[test]
fn no_command_takes_a_text_that_cannot_be_seen_or_turns_the_text_around_it() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    home.write("key.pem", server.key(&owner).1);
    let lists = || (home.done(&["org", "list"]), home.done(&["user", "list"]));
    let before = lists();
    let user = ["user", "create", "--org", &owner.org, "--role", "USER"];
    let sign = ["sign", "--key", "key.pem"];
    // The running server reads the texts, and without one the command itself.
    let mut server = Some(server);
    for _ in 0..2 {
        for text in REFUSED {
            refused(&home, &["org", "create", "--name", text], "name", text);
            let words = [&user[..], &["--email", "ada@example.org"]].concat();
            refused(&home, &[&words[..], &["--name", text]].concat(), "name", text);
            refused(&home, &[&words[..], &["--last-name", text]].concat(), "last-name", text);
            refused(&home, &[&sign[..], &["--ip", text, "--region", "eu-1"]].concat(), "ip", text);
            refused(&home, &[&sign[..], &["--ip", "203.0.113.7", "--region", text]].concat(), "region", text);
        }
        for email in LOOKALIKES {
            refused(&home, &["org", "create", "--name", "acme", "--owner", email], "email", email);
            refused(&home, &[&user[..], &["--email", email]].concat(), "email", email);
        }
        if let Some(server) = server.take() {
            assert_eq!(server.stop().0, Some(0));
        }
    }
    assert_eq!(lists(), before);
}

/// Starts a server that must end by itself. One that does not is killed.
pub fn fails_to_start(home: &Home, words: &[&str]) -> Ran {
    let mut serve = home.serve(words);
    run(&mut serve)
}

#[test]
fn the_first_start_takes_no_text_that_cannot_be_seen_or_turns_the_text_around_it() {
    for text in REFUSED {
        let words = ["--bootstrap-org", text];
        told(&fails_to_start(&Home::new(), &words), &words, "name", text);
    }
    for email in LOOKALIKES {
        let words = ["--bootstrap-email", email];
        told(&fails_to_start(&Home::new(), &words), &words, "email", email);
    }
}
