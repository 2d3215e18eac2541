//! Output of the client that cannot be written: every command that calls a server says so and exits with an error.

use std::process::Stdio;

use orgkeys::crypto::rsa;
use orgkeys::server::clock;

use crate::client::{client, done};
use crate::harness::{Home, Ran, output_of};
use crate::output::Lost;

/// Every command of the client that prints something, in an order in which all succeed. `api` stands for its operations.
pub const COMMANDS: [&str; 37] = [
    "api getHealth",
    "whoami",
    "profile list",
    "audit list",
    "audit tail",
    "user invite",
    "user role",
    "project list",
    "project create",
    "project show",
    "project delete",
    "key list",
    "key create",
    "key show",
    "key rotate",
    "key import",
    "key update",
    "key impact",
    "node list",
    "node delete",
    "node activate",
    "key delete",
    "key restore",
    "secret put",
    "secret list",
    "secret delete",
    "api-key list",
    "api-key create",
    "api-key verify",
    "api-key rotate",
    "api-key delete",
    "webhook list",
    "webhook create",
    "webhook test",
    "webhook deliveries",
    "webhook redeliver",
    "webhook delete",
];

/// What each command needs: something that it lists, or something to change.
fn words(command: &str, ids: &[(&str, String)]) -> Vec<String> {
    let id = |name: &str| ids.iter().find(|(known, _)| *known == name).expect("an id").1.clone();
    let texts = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    match command {
        "user invite" => [vec![id("email")], texts(&["--name", "Bob", "--role", "USER"])].concat(),
        "user role" => vec!["bob@example.org".to_owned(), "BILLING".to_owned()],
        "project create" => vec![id("email")],
        "api-key create" => texts(&["--name", "x", "--role", "USER", "--expires", "1d"]),
        "key import" => texts(&["--public-key", "@public.pem"]),
        "key update" => vec![id("key"), "--name".to_owned(), "old".to_owned()],
        "secret put" => texts(&["s3", "--text", "@api-key"]),
        "api-key verify" => texts(&["--key", "@api-key"]),
        "webhook create" => texts(&["https://hooks.example.org/y"]),
        _ => match command.split_once(' ').expect("a noun") {
            (noun, "show" | "delete" | "restore" | "activate" | "rotate" | "test" | "deliveries") => vec![id(noun)],
            _ => Vec::new(),
        },
    }
}

#[test]
fn no_command_of_the_client_loses_its_output_without_a_word() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let done = |words: &[&str]| done(&home, &server, &owner, words);
    let first = |text: &str| text.split(['\t', '\n']).next().expect("a value").to_owned();
    let url = format!("http://{}", server.address);
    done(&["login", "--url", &url, "--profile", "work", "--token-command", "echo $ORGKEYS_TOKEN"]);
    done(&["user", "invite", "bob@example.org", "--name", "Bob", "--role", "USER", "--out", "invitation"]);
    for round in [Lost::Full, Lost::Closed] {
        let file = |name: &str| format!("{name}-{round:?}");
        let key = first(&done(&["key", "create", "--out", &file("key")]));
        let sign = ["sign", "--key", &file("key"), "--ip", "203.0.113.7", "--region", "eu-1"];
        done(&["api", "registerNode", "--body", &home.done(&sign)]);
        let pair = rsa::generate(|| clock::system().rng()).expect("a key pair");
        home.write("public.pem", rsa::public_pem(&pair.public_der));
        home.write("api-key", done(&["api-key", "create", "--name", "x", "--role", "USER", "--expires", "1d"]));
        let hook = first(&done(&["webhook", "create", "https://hooks.example.org/x", "--out", &file("hook")]));
        let ids = [
            ("email", format!("{round:?}@example.org").to_lowercase()),
            ("project", first(&done(&["project", "create", "Shop"]))),
            ("key", key),
            ("node", first(&done(&["node", "list"]))),
            ("api-key", first(&done(&["api-key", "list"]))),
            ("webhook", hook.clone()),
            ("secret", "s3".to_owned()),
        ];
        done(&["webhook", "test", &hook]);
        // The delivery is pending for minutes, so sending it again is refused. It prints as `webhook delete` does.
        for command in COMMANDS.into_iter().filter(|command| *command != "webhook redeliver") {
            let own = if command.contains(' ') { words(command, &ids) } else { Vec::new() };
            let all: Vec<&str> = command.split(' ').chain(own.iter().map(String::as_str)).collect();
            let mut program = client(&home, &server, &owner.token, &all);
            program.stdin(Stdio::null()).stdout(round.stdout()).stderr(Stdio::piped());
            let output = output_of(command, program.spawn().expect("it runs"));
            let stderr = String::from_utf8(output.stderr).expect("text");
            let ran = Ran { code: output.status.code(), stdout: String::new(), stderr };
            assert_eq!(ran.code, Some(1), "{all:?} {round:?}: {ran:?}");
            let sentence = ran.stderr.lines().last().unwrap_or_default();
            assert!(sentence.starts_with(round.sentence()), "{all:?} {round:?}: {ran:?}");
            let has_secret = ["create", "rotate", "invite"].iter().any(|verb| command.ends_with(verb));
            let is_told = command == "project create" || sentence.contains(" is lost: delete it and create another (");
            assert!(is_told || !has_secret, "{all:?}: {ran:?}");
        }
        // The next round needs room for its keys.
        for key in done(&["key", "list"]).lines() {
            done(&["key", "delete", &first(key)]);
        }
    }
}
