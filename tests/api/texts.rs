//! Texts: which ones the server takes, wherever it takes one, and how the document describes them.

use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::contract::{DOCUMENT, resolve};
use crate::harness::{Answer, Identity, Server, with_body};
use crate::openapi::{operations, walk};

/// Inputs of type string that are no texts for people.
const NO_TEXT: [&str; 28] = [
    // Secrets, which are compared and never shown.
    "apiKey",
    "currentPassword",
    "password",
    "refreshToken",
    "text",
    "token",
    // Ids, which are found or not.
    "id_org",
    "key",
    "keyId",
    "org_id",
    "organization",
    "project",
    "projectId",
    // Times.
    "expireDate",
    "expireDateTime",
    "from_timestamp",
    "retireAt",
    "since",
    "startDate",
    "startDateTime",
    "to_timestamp",
    // Words and numbers of a fixed form.
    "Last-Event-ID",
    "after",
    "ids",
    "provider",
    "publicKey",
    "role",
    "signature",
];

/// What a client calls itself: what cannot be shown is left out instead of being refused.
const FILTERED: &str = "deviceInfo";

/// Texts that cannot be seen, or that change how the text around them is shown.
const REFUSED: [&str; 9] =
    ["\u{200b}", "   ", "\u{a0}", "\u{3164}", "a\u{202a}b", "a\u{202e}b", "a\u{2066}b", "a\u{2069}b", "a\u{85}b"];

/// A field of a request body, with the path to it, or a query parameter.
struct Input {
    operation: &'static Value,
    method: Method,
    path: String,
    /// Empty for a query parameter.
    pointer: Vec<&'static str>,
    name: &'static str,
}

/// Every string in a body's schema, with the path to it.
fn strings(schema: &'static Value, way: &[&'static str]) -> Vec<Vec<&'static str>> {
    let properties = resolve(schema)["properties"].as_object().into_iter().flatten();
    let found = properties.flat_map(|(name, property)| {
        let (way, property) = ([way, &[name.as_str()]].concat(), resolve(property));
        if property["type"] == "string" { vec![way] } else { strings(property, &way) }
    });
    found.collect()
}

/// Every string that the server takes in a body or a query.
fn inputs(caller: &Identity) -> Vec<Input> {
    let mut inputs = Vec::new();
    for (method, path, operation) in operations() {
        let method: Method = method.to_uppercase().parse().expect("a method");
        let mut path = path.to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|found| found["in"] == "path")
        {
            let name = parameter["name"].as_str().expect("a name");
            let real = match name {
                "orgId" | "idOrg" | "organizationId" => &caller.org,
                "userId" | "id" => &caller.user,
                _ => "none",
            };
            path = path.replace(&format!("{{{name}}}"), real);
        }
        let mut add =
            |name, pointer| inputs.push(Input { operation, method: method.clone(), path: path.clone(), pointer, name });
        for way in strings(&operation["requestBody"]["content"]["application/json"]["schema"], &[]) {
            add(way[way.len() - 1], way);
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|found| found["in"] != "path")
        {
            if resolve(&parameter["schema"])["type"] == "string" {
                add(parameter["name"].as_str().expect("a name"), Vec::new());
            }
        }
    }
    inputs
}

impl Input {
    /// Sends the operation's example with this text in place of the input's value.
    async fn send(&self, server: &Server, caller: &Identity, text: &str) -> Answer {
        let authorization = format!("Bearer {}", caller.token);
        if self.pointer.is_empty() {
            let path = format!("{}?{}={}", self.path, self.name, utf8_percent_encode(text, NON_ALPHANUMERIC));
            let request = server.request(self.method.clone(), &path).header("authorization", authorization);
            return server.send(with_body(request, None)).await;
        }
        let mut body = self.operation["requestBody"]["content"]["application/json"]["example"].clone();
        let place = self.pointer.iter().fold(&mut body, |value, name| &mut value[*name]);
        *place = json!(text);
        let request = server.request(self.method.clone(), &self.path).header("authorization", authorization);
        server.send(with_body(request, Some(&body))).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_taken_that_cannot_be_seen_or_turns_the_text_around_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let inputs = inputs(&owner);
    for name in NO_TEXT.iter().chain([&FILTERED]) {
        assert!(inputs.iter().any(|input| input.name == *name), "no operation takes {name}");
    }
    let texts: Vec<&Input> =
        inputs.iter().filter(|input| !NO_TEXT.contains(&input.name) && input.name != FILTERED).collect();
    assert!(texts.len() > 40, "only {} texts were found", texts.len());
    for input in texts {
        for text in REFUSED {
            let answer = input.send(&server, &owner, text).await;
            let (operation, name) = (&input.operation["operationId"], input.name);
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{operation} takes {text:?} as {name}: {answer:?}");
            let body = answer.json();
            let message = body["message"].as_str().or(body["errors"][0].as_str()).expect("a message").to_owned();
            assert!(message.contains(name) && !message.contains(text), "{operation} {name} {text:?}: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_email_address_contains_a_character_that_cannot_be_seen() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let inputs = inputs(&owner);
    let addresses: Vec<&Input> = inputs.iter().filter(|input| input.name == "email").collect();
    assert!(addresses.len() >= 2, "only {} addresses were found", addresses.len());
    for input in addresses {
        for c in ['\u{200b}', '\u{ad}', '\u{200d}', '\u{202e}', '\u{2069}', '\u{fe0f}', '\u{feff}', '\u{e0020}'] {
            for email in [format!("{c}ada@example.org"), format!("a{c}da@example.org"), format!("ada@example.org{c}")] {
                let answer = input.send(&server, &owner, &email).await;
                let operation = &input.operation["operationId"];
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{operation} takes {email:?}: {answer:?}");
                let message = answer.json()["message"].as_str().expect("a message").to_owned();
                let told = message.contains("email must not contain ") && !message.contains(c);
                assert!(told, "{operation} {email:?}: {message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_every_language_are_taken() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let path = format!("/api/organizations/{}/projects", owner.org);
    for name in ["Ärzte", "東京", "أحمد", "עברית", "a\u{200d}b", "👩\u{200d}🚀", "O'Brien | <b>"] {
        let answer = server.call_as(&owner, Method::POST, &path, Some(&json!({ "name": name }))).await;
        assert_eq!((answer.status, &answer.json()["result"]["name"]), (StatusCode::CREATED, &json!(name)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_shows_only_what_can_be_seen_of_its_devices_name() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (path, password) = (format!("/user/{}", owner.user), "correct horse battery staple");
    let set = server.call_as(&owner, Method::PUT, &path, Some(&json!({ "password": password }))).await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    let profile = server.call_as(&owner, Method::GET, "/user/profile", None).await.json();
    for (sent, shown) in [("a\u{202e}b", json!("ab")), ("\u{2066}\u{200b}", Value::Null)] {
        let login = json!({ "email": profile["data"]["email"], "password": password, "deviceInfo": sent });
        assert_eq!(server.call(Method::POST, "/user/login", Some(&login)).await.status, StatusCode::OK);
        let tokens = server.call_as(&owner, Method::GET, "/token", None).await.json();
        assert_eq!(tokens["tokens"][0]["deviceInfo"], shown, "{tokens}");
    }
}

/// Why a pattern does not mean the same in every language: what a class like `\s` contains beyond ASCII differs, and
/// languages whose texts are bytes cut a character beyond ASCII into several.
fn foreign(pattern: &str) -> Option<&'static str> {
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('x') => {
                    let code: String = rest.by_ref().take(2).collect();
                    if u8::from_str_radix(&code, 16).is_ok_and(|code| code >= 0x80) {
                        return Some("names a character beyond ASCII");
                    }
                }
                Some(class) if class.is_ascii_alphanumeric() => return Some("has a named class or an escape"),
                _ => {}
            },
            ' '..='~' => {}
            _ => return Some("contains a character beyond ASCII"),
        }
    }
    None
}

#[test]
fn no_pattern_leaves_ascii_and_no_status_is_a_range() {
    let mut patterns = 0;
    walk("", &DOCUMENT, &mut |place, value| {
        if let Some(pattern) = value.get("pattern").and_then(Value::as_str) {
            assert_eq!(foreign(pattern), None, "{place}: {pattern}");
            patterns += 1;
        }
        for status in value.get("responses").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            assert!(status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()), "{place}: {status}");
        }
    });
    assert!(patterns > 30, "only {patterns} patterns were checked");
    for good in [r"^[^|\x00-\x1f\x7f]*$", r"^[A-Za-z0-9+/]{342}==$", r"^\.$"] {
        assert_eq!(foreign(good), None, "{good}");
    }
    for bad in [r"^[^\x00-\x9f]$", r"\s", r"[\w]", r"\d", r"\p{L}", r"\u00e4", r"\x80", "ä"] {
        assert!(foreign(bad).is_some(), "{bad}");
    }
}
