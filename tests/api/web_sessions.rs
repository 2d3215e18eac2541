//! Web sessions: both halves of the token are needed, only the server's own pages may use them, and they end.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::access::{Column, Credential, Scene, TABLE, filled};
use crate::harness::{Answer, Server, with_body};
use crate::openapi::operations;
use crate::sessions::{DAY, PASSWORD, Person, conn, person};

pub const SIGN_IN: &str = "/user/web-session";
const HOUR: i64 = 3_600_000;
const IDLE: i64 = 12 * HOUR;

/// What a browser has of a web session.
#[derive(Clone)]
pub struct Browser {
    /// The half of the page.
    pub bearer: String,
    /// The name and the value of the cookie.
    pub cookie: String,
}

impl Browser {
    /// Signs in, with further headers.
    pub async fn answer(server: &Server, email: &str, headers: &[(&str, &str)]) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD, "deviceInfo": "a browser" });
        let request = server.request(Method::POST, SIGN_IN);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        server.send(with_body(request, Some(&body))).await
    }

    pub async fn of(server: &Server, email: &str) -> Self {
        let answer = Self::answer(server, email, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let cookie = set_cookie(&answer).split(';').next().expect("a pair").to_owned();
        Self { bearer: answer.json()["accessToken"].as_str().expect("a half").to_owned(), cookie }
    }

    async fn call_with(
        &self,
        server: &Server,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let request = server.request(method, path).header("authorization", format!("Bearer {}", self.bearer));
        let request = if self.cookie.is_empty() { request } else { request.header("cookie", &self.cookie) };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        server.send(with_body(request, body)).await
    }

    pub async fn call(&self, server: &Server, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call_with(server, (method, path), &[], body).await
    }

    /// The result of a call: status and error code.
    pub async fn status(&self, server: &Server) -> (u16, String) {
        outcome(&self.call(server, Method::GET, "/user/profile", None).await)
    }

    pub async fn confirm(&self, server: &Server, password: &str) -> Answer {
        self.call(server, Method::POST, "/user/web-session/confirm", Some(&json!({ "password": password }))).await
    }
}

pub fn outcome(answer: &Answer) -> (u16, String) {
    if answer.status.is_success() { (answer.status.as_u16(), String::new()) } else { answer.refusal() }
}

pub fn ok() -> (u16, String) {
    (200, String::new())
}

pub fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn set_cookie(answer: &Answer) -> String {
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1, "{answer:?}");
    cookies[0].to_str().expect("text").to_owned()
}

pub async fn owner(server: &Server) -> Person {
    let acme = server.owner_of("acme").await;
    person(server, &acme.org, Role::Owner).await
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_half_is_worth_anything_without_the_other_one_of_the_same_session() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let answer = Browser::answer(&server, &ada.email, &[]).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.json();
    assert_eq!((&body["user"]["email"], body.get("refreshToken")), (&json!(ada.email), None));
    let (one, two) = (Browser::of(&server, &ada.email).await, Browser::of(&server, &ada.email).await);
    assert_eq!((one.status(&server).await, two.status(&server).await), (ok(), ok()));

    let (name, value) = one.cookie.split_once('=').expect("a pair");
    let alone = Browser { cookie: String::new(), ..one.clone() };
    assert_eq!(alone.status(&server).await, refused(401, "NO_SESSION_COOKIE"));
    let cookie = server.request(Method::GET, "/user/profile").header("cookie", &one.cookie);
    assert_eq!(server.send(with_body(cookie, None)).await.refusal(), refused(401, "NO_CREDENTIAL"));
    let mixed = Browser { cookie: two.cookie.clone(), ..one.clone() };
    assert_eq!(mixed.status(&server).await, refused(401, "INVALID_TOKEN"));
    for (cookie, code) in [
        (format!("orgkeys-00000000={value}"), "NO_SESSION_COOKIE"),
        (format!("{name}={}", &value[..39]), "MALFORMED_TOKEN"),
        (format!("{name}={}", one.bearer), "MALFORMED_TOKEN"),
        (format!("{name}="), "MALFORMED_TOKEN"),
        (format!("{}; {}", one.cookie, two.cookie), "TWO_CREDENTIALS"),
    ] {
        let browser = Browser { cookie: cookie.clone(), ..one.clone() };
        assert_eq!(browser.status(&server).await, refused(401, code), "{cookie}");
    }
    let swapped = Browser { bearer: value.to_owned(), cookie: format!("{name}={}", one.bearer) };
    assert_eq!(swapped.status(&server).await, refused(401, "MALFORMED_TOKEN"));
    // Other cookies of the host are not looked at.
    let among = Browser { cookie: format!("theme=dark; {}; orgkeys=x; =; a", one.cookie), ..one.clone() };
    assert_eq!(among.status(&server).await, ok());
    // Neither half, nor what they are together, is in the file.
    let digests: i64 = conn(&server)
        .query_row("SELECT count(*) FROM token JOIN web_session ON token = id", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(digests, 3);
    let file = std::fs::read(server.database.with_extension("db-wal")).expect("a log");
    for half in [value, &one.bearer] {
        assert!(!file.windows(half.len()).any(|bytes| bytes == half.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_host_can_neither_sign_in_nor_use_a_web_session() {
    let server = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.1")).await;
    let ada = owner(&server).await;
    let browser = Browser::of(&server, &ada.email).await;
    let own = format!("http://{}", server.address);
    let tls = format!("https://{}", server.address);
    let other_port = format!("http://127.0.0.1:{}", server.address.port() ^ 1);
    let cases: [(&[(&str, &str)], bool); 11] = [
        (&[], true),
        (&[("origin", &own)], true),
        (&[("origin", &tls)], true),
        (&[("origin", "https://keys.example.org"), ("x-forwarded-host", "keys.example.org")], true),
        // What the browser asked for is the first.
        (&[("origin", "https://keys.example.org"), ("x-forwarded-host", "keys.example.org, inner")], true),
        (&[("origin", "https://inner"), ("x-forwarded-host", "keys.example.org, inner")], false),
        (&[("origin", "https://evil.example"), ("x-forwarded-host", "keys.example.org")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", &other_port)], false),
        (&[("origin", "null")], false),
        (&[("origin", &own), ("origin", "https://evil.example")], false),
    ];
    for (headers, allowed) in cases {
        let expected = if allowed { ok() } else { refused(403, "FOREIGN_ORIGIN") };
        let signed_in = Browser::answer(&server, &ada.email, headers).await;
        assert_eq!(outcome(&signed_in), expected, "{headers:?}");
        assert_eq!(signed_in.headers.contains_key("set-cookie"), allowed, "{headers:?}");
        let used = browser.call_with(&server, (Method::GET, "/user/profile"), headers, None).await;
        assert_eq!(outcome(&used), expected, "{headers:?}");
    }
    let plain = Server::start().await;
    let ada = owner(&plain).await;
    let headers = [("origin", "https://keys.example.org"), ("x-forwarded-host", "keys.example.org")];
    let untrusted = Browser::answer(&plain, &ada.email, &headers).await;
    assert_eq!(outcome(&untrusted), refused(403, "FOREIGN_ORIGIN"), "nobody vouches for the header");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_secure_where_the_browsers_connection_is() {
    // On a listener for both versions, the address of an IPv4 proxy is shown as ::ffff:127.0.0.1.
    let listen = if std::net::TcpListener::bind("[::]:0").is_ok() { "[::]:0" } else { "127.0.0.1:0" };
    let mut proxied = Server::with(|flags| flags.with("listen", listen).with("trusted_proxy", "127.0.0.1")).await;
    proxied.address = ([127, 0, 0, 1], proxied.address.port()).into();
    let direct = Server::start().await;
    let mut names = Vec::new();
    for (server, trusted) in [(&proxied, true), (&direct, false)] {
        let ada = owner(server).await;
        for (proto, secure) in [
            (None, false),
            (Some("https"), trusted),
            (Some("HTTPS"), trusted),
            (Some("https, http"), trusted),
            (Some("http"), false),
            (Some("http, https"), false),
            (Some("httpss"), false),
        ] {
            let headers: Vec<_> = proto.iter().map(|proto| ("x-forwarded-proto", *proto)).collect();
            let cookie = set_cookie(&Browser::answer(server, &ada.email, &headers).await);
            let (pair, attributes) = cookie.split_once("; ").expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            assert!(value.starts_with("okc_") && value.len() == 40, "{cookie}");
            let expected = if secure { "; Secure" } else { "" };
            let expected = format!("Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict{expected}");
            assert_eq!(attributes, expected, "{proto:?}, trusted: {trusted}");
            names.push(name.to_owned());
        }
    }
    names.dedup();
    // Cookies ignore ports: two servers on one host must not overwrite each other's.
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        let mark = name.strip_prefix("orgkeys-").unwrap_or_else(|| panic!("{name}"));
        assert!(mark.len() == 8 && mark.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_session_ends_12_hours_after_its_last_use_and_30_days_after_it_began() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let over = refused(401, "TOKEN_EXPIRED");
    let browser = Browser::of(&server, &ada.email).await;
    let unused = Browser::of(&server, &ada.email).await;
    server.pass(IDLE - 1);
    assert_eq!(browser.status(&server).await, ok());
    server.pass(1);
    assert_eq!(unused.status(&server).await, over);
    server.pass(IDLE - 2);
    assert_eq!(browser.status(&server).await, ok());
    server.pass(IDLE);
    assert_eq!(browser.status(&server).await, over);

    // The list says when each ends, and a restart forgets nothing.
    let browser = Browser::of(&server, &ada.email).await;
    let (began, last) = (server.now(), server.now() + 30 * DAY);
    server.pass(5 * HOUR);
    let listed = browser.call(&server, Method::GET, "/token", None).await.json();
    let own: Vec<_> =
        listed["tokens"].as_array().expect("a list").iter().filter(|item| item["current"] == true).collect();
    assert_eq!((own.len(), &own[0]["type"], &own[0]["deviceInfo"]), (1, &json!("session"), &json!("a browser")));
    let server = server.restart().await;
    while server.now() + 11 * HOUR < last {
        server.pass(11 * HOUR);
        assert_eq!(browser.status(&server).await, ok(), "{} h", (server.now() - began) / HOUR);
    }
    server.pass(last - server.now() - 1);
    assert_eq!(browser.status(&server).await, ok());
    server.pass(1);
    assert_eq!(browser.status(&server).await, over);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_moves_the_end_that_the_list_shows_at_most_once_a_minute() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let browser = Browser::of(&server, &ada.email).await;
    let end = async || {
        let listed = browser.call(&server, Method::GET, "/token", None).await.json();
        let list = listed["tokens"].as_array().expect("a list").clone();
        list.into_iter().find(|item| item["current"] == true).expect("its own")["expiresAt"].clone()
    };
    assert_eq!(end().await, "2024-01-15T22:30:00.000Z");
    server.pass(59_999);
    end().await;
    assert_eq!(end().await, "2024-01-15T22:30:00.000Z");
    server.pass(1);
    end().await;
    assert_eq!(end().await, "2024-01-15T22:31:00.000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_a_new_password_and_the_list_end_a_web_session() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let over = refused(401, "TOKEN_REVOKED");
    let [one, two, three] = [(); 3].map(|()| Browser::of(&server, &ada.email));
    let (one, two, three) = (one.await, two.await, three.await);
    let left = one.call(&server, Method::DELETE, SIGN_IN, None).await;
    assert_eq!(left.status, StatusCode::OK, "{left:?}");
    let name = one.cookie.split('=').next().expect("a name");
    assert_eq!(set_cookie(&left), format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"));
    assert_eq!(one.status(&server).await, over);
    assert_eq!(one.call(&server, Method::DELETE, SIGN_IN, None).await.refusal(), over);

    let listed = two.call(&server, Method::GET, "/token", None).await.json();
    let ids: Vec<_> =
        listed["tokens"].as_array().expect("a list").iter().filter(|item| item["type"] == "session").collect();
    assert_eq!(ids.len(), 2, "{listed}");
    let other = ids.iter().find(|item| item["current"] == false).expect("the third")["id"].as_str().expect("an id");
    assert_eq!(two.call(&server, Method::DELETE, &format!("/token/{other}"), None).await.status, StatusCode::OK);
    assert_eq!((two.status(&server).await, three.status(&server).await), (ok(), over.clone()));

    let four = Browser::of(&server, &ada.email).await;
    let change = json!({ "password": "four teapots and a kite", "currentPassword": PASSWORD });
    let path = format!("/user/{}", ada.identity.user);
    assert_eq!(two.call(&server, Method::PUT, &path, Some(&change)).await.status, StatusCode::OK);
    assert_eq!((two.status(&server).await, four.status(&server).await), (ok(), over));
    // An access token is no web session.
    let answer = server.call_as(&ada.identity, Method::DELETE, SIGN_IN, None).await;
    assert_eq!(answer.refusal(), refused(403, "NOT_A_WEB_SESSION"));
    assert_eq!(server.call_as(&ada.identity, Method::GET, "/user/profile", None).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_for_proxies_and_signed_calls_look_at_no_cookie() {
    let server = Server::start().await;
    let ada = owner(&server).await;
    let browser = Browser::of(&server, &ada.email).await;
    let (_, key) = server.api_key(&ada.identity, Role::User, &[]).await;
    let door = format!("/api/api-keys/verify?organization={}", ada.identity.org);
    let foreign = [("origin", "https://evil.example"), ("cookie", browser.cookie.as_str())];
    let ask = async |headers: &[(&str, &str)], credential: Option<&str>| {
        let request = server.request(Method::GET, &door);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = credential.into_iter().fold(request, |request, key| request.header("x-api-key", key));
        server.send(with_body(request, None)).await.status.as_u16()
    };
    assert_eq!((ask(&foreign, Some(&key)).await, ask(&foreign, None).await), (200, 401));
    let used = browser.call(&server, Method::GET, &door, None).await;
    assert_eq!(used.status, StatusCode::UNAUTHORIZED, "a web session is no API key");
    let (_, pem) = server.mint(&ada.identity).await;
    let body = crate::harness::registration(&ada.identity.org, &pem, "203.0.113.7", server.now() / 1_000);
    let request = server.request(Method::POST, "/register");
    let request = foreign.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    assert_eq!(server.send(with_body(request, Some(&body))).await.status, StatusCode::OK);
}

/// The statuses of an owner's web session are those of an owner's access token.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_session_may_do_what_its_users_access_token_may() {
    let mut scene = Scene::new().await;
    let ada = person(&scene.server, &scene.owner.org, Role::Owner).await;
    let column = Column::new(Credential::Token(ada.identity.token.clone()), &ada.identity.user);
    let browser = Browser::of(&scene.server, &ada.email).await;
    let mut asked = 0;
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        let (ids, body) = scene.ready(name, &column).await;
        let expected = match name {
            "confirmPassword" => 200,
            // It would be the last call.
            "deleteWebSession" => continue,
            _ => TABLE.iter().find(|(row, ..)| *row == name).expect("a row").1[8],
        };
        let method = method.to_uppercase().parse().expect("a method");
        let answer = browser.call(&scene.server, method, &filled(path, &ids), body.as_ref()).await;
        assert_eq!(answer.status.as_u16(), expected, "{name}: {answer:?}");
        asked += 1;
    }
    assert!(asked > 60, "only {asked} were called");
    assert_eq!(browser.call(&scene.server, Method::DELETE, SIGN_IN, None).await.status, StatusCode::OK);
}
