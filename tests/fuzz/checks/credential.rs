//! Credentials. Each line of an input is a header, `name: value`, or the query of a reverse proxy, which begins with `?`.

use std::fmt::Write;

use orgkeys::actions::verification::{Asked, Requirement};
use orgkeys::api::http::auth::{bearer, credential, is_api_key};
use orgkeys::api::http::web_cookie::CookieName;
use orgkeys::api::verification::door::{presented, question};
use orgkeys::crypto::secret::{SecretKind, is_secret, mask, web_session_digest};
use orgkeys::domain::id::OrgId;
use orgkeys::engine::authenticate::Credential;
use orgkeys::engine::error::ErrorKind;
use poem::Request;
use poem::http::HeaderValue;
use secrecy::SecretString;

use super::assert_discreet;

const KINDS: [SecretKind; 6] = [
    SecretKind::AccessToken,
    SecretKind::RefreshToken,
    SecretKind::ApiKey,
    SecretKind::Invitation,
    SecretKind::WebSession,
    SecretKind::WebCookie,
];

pub fn check(input: &[u8]) {
    let mut request = Request::default();
    request.set_data(CookieName::of("0a1b2c3d"));
    for line in input.split(|byte| *byte == b'\n') {
        if let [b'?', query @ ..] = line {
            str::from_utf8(query).into_iter().for_each(assert_question);
        } else if let Some((name, value)) = header(line) {
            str::from_utf8(value.as_bytes()).into_iter().for_each(assert_secret);
            request.headers_mut().append(name, value);
        }
    }
    assert_credential(&request);
}

/// Reads a header that has to do with credentials.
fn header(line: &[u8]) -> Option<(&'static str, HeaderValue)> {
    const NAMES: [&str; 6] = ["authorization", "x-api-key", "cookie", "origin", "host", "x-forwarded-host"];
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = NAMES.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(&line[..colon]))?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

fn assert_credential(request: &Request) {
    let headers = request.headers();
    let all = |name: &str| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    let sent = [all("authorization"), all("x-api-key")].concat();
    let is_part = |text: &str| text.is_empty() || sent[0].to_str().is_ok_and(|sent| sent.contains(text));
    match credential(request) {
        Ok(None) => assert_eq!(sent.len(), 0),
        Ok(Some(Credential::Token(token))) => {
            assert!(sent.len() == 1 && is_part(token) && !is_api_key(token) && !token.starts_with("okw_"));
            assert_eq!(presented(headers).unwrap_or_default(), token);
        }
        Ok(Some(Credential::ApiKey(key))) => {
            assert!(sent.len() == 1 && is_part(key));
            assert_eq!(presented(headers).unwrap_or_default(), key, "a proxy's question is about another key");
        }
        Ok(Some(Credential::WebSession { cookie, bearer })) => {
            assert!(sent.len() == 1 && is_part(bearer) && bearer.starts_with("okw_"));
            assert_own_page(request);
            let digest = web_session_digest(cookie.unwrap_or_default(), bearer);
            let formed = cookie.is_some_and(|cookie| SecretKind::WebCookie.digest(cookie).is_some())
                && SecretKind::WebSession.digest(bearer).is_some();
            assert_eq!(digest.is_some(), formed);
        }
        Err(error) => {
            assert!(matches!(error.kind, ErrorKind::Unauthenticated | ErrorKind::Denied), "{:?}", error.kind);
            assert_discreet(&error.message);
            assert_eq!(error.cause, None);
        }
    }
    assert!(sent.len() < 2 || credential(request).is_err_and(|error| error.code == "TWO_CREDENTIALS"));
}

/// Checks that the page of a web session that is let in is of the host that was asked.
fn assert_own_page(request: &Request) {
    let origins: Vec<_> = request.headers().get_all("origin").iter().collect();
    let [origin] = origins[..] else { return assert!(origins.is_empty(), "two origins") };
    let origin = origin.to_str().expect("an origin that is compared is text");
    let (scheme, page) = origin.split_once("://").expect("an origin has a scheme");
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let default = if scheme == "https" { ":443" } else { ":80" };
    assert!(["http", "https"].contains(&scheme), "{origin}");
    let is_own = [host, host.strip_suffix(default).unwrap_or(host)].iter().any(|host| page.eq_ignore_ascii_case(host));
    assert!(is_own, "{origin} is let in by {host}");
}

/// Checks a value, and the token in it, as a secret.
fn assert_secret(value: &str) {
    let text = bearer(value).unwrap_or(value);
    let kinds: Vec<SecretKind> = KINDS.into_iter().filter(|kind| kind.digest(text).is_some()).collect();
    assert_eq!(is_secret(text), !kinds.is_empty());
    let [kind] = kinds[..] else { return assert!(kinds.is_empty(), "a secret of two kinds") };
    assert!(text.len() == 40 && text.starts_with(kind.prefix()));
    assert_eq!(is_api_key(text), kind == SecretKind::ApiKey);
    let shown = mask(&SecretString::from(text));
    assert_eq!(shown, format!("{}…{}", &text[..8], &text[36..]));
    for at in 4..text.len() {
        let mut other = text.as_bytes().to_vec();
        other[at] = if other[at] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(other).expect("ASCII");
        assert!(!is_secret(&other), "the checksum is also that of {other}");
    }
}

fn assert_question(query: &str) {
    match question(query) {
        Ok((org, asked)) => {
            let again = question(&printed(org, asked)).expect("what is printed is accepted");
            assert_eq!(format!("{again:?}"), format!("{:?}", (org, asked)));
        }
        Err(hint) => assert_discreet(hint),
    }
}

fn printed(org: OrgId, asked: Asked) -> String {
    let mut query = format!("organization={org}");
    match asked.project {
        Requirement::Is(project) => write!(query, "&project={project}").expect("memory"),
        Requirement::Unsatisfiable => query.push_str("&project=none"),
        Requirement::None => {}
    }
    match asked.role {
        Requirement::Is(role) => write!(query, "&role={}", role.number()).expect("memory"),
        Requirement::Unsatisfiable => panic!("a role that does not exist is an error"),
        Requirement::None => {}
    }
    query
}
