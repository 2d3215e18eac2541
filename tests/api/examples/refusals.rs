//! The refusals that need a server of their own: with other limits, with a full disk, or with a broken database.

use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, with_body};

/// The responses to a caller beyond its rate limit, and on a full disk: every call records an entry.
pub async fn pressed() -> Vec<(&'static str, Answer)> {
    let hurried = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let full = Server::start().await;
    let mut answers = Vec::new();
    for (server, status) in [(hurried, StatusCode::TOO_MANY_REQUESTS), (full, StatusCode::SERVICE_UNAVAILABLE)] {
        let owner = server.owner_of("acme").await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            server.room.store(4_096, Ordering::Relaxed);
        }
        let paths = [("plain", format!("/organization/{}", owner.org)), ("wrapped", projects(&owner))];
        for (family, path) in paths {
            let mut answer = server.call_as(&owner, Method::GET, &path, None).await;
            for _ in 0..1_000 {
                if answer.status == status {
                    break;
                }
                answer = server.call_as(&owner, Method::GET, &path, None).await;
            }
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            answers.push((family, answer));
        }
    }
    answers
}

/// The responses to signed calls from a network that was refused too often.
pub async fn refused_often() -> [(&'static str, Answer); 3] {
    let server = Server::with(|flags| flags.with("refused_rate", "1").with("refused_burst", "1")).await;
    let body = json!({
        "ip": "1", "region": "1", "timestamp": 1, "status": "", "version": "", "signature": format!("{}==", "A".repeat(342)),
    });
    let ask = async |path| {
        for _ in 0..50 {
            let answer = server.call(Method::POST, path, Some(&body)).await;
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                return answer;
            }
        }
        panic!("50 refused calls to {path} were not too many");
    };
    [
        ("registerNode", ask("/register").await),
        ("unregisterNode", ask("/unregister").await),
        ("fetchSecrets", ask("/secrets").await),
    ]
}

/// The response to a page of another host that signs in.
pub async fn foreign_page(server: &Server) -> Answer {
    let request = server.request(Method::POST, "/user/web-session").header("origin", "https://example.net");
    let answer = server.send(with_body(request, Some(&json!({ "email": "a@b", "password": "a" })))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    answer
}

/// The responses about organization keys where few are permitted, and long after a deletion.
pub async fn worn_out() -> [(&'static str, &'static str, Answer); 3] {
    let server = Server::with(|flags| flags.with("org_keys_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let keys = format!("/organization/{}/key", owner.org);
    let (first, _) = server.key(&owner).await;
    let end = |time: &str| json!({ "retireAt": format!("2024-01-{time}.000Z") });
    let put =
        async |key: &str, body: Value| server.call_as(&owner, Method::PUT, &format!("{keys}/{key}"), Some(&body)).await;
    let restore = async |key: &str| server.call_as(&owner, Method::POST, &format!("{keys}/{key}/restore"), None).await;
    put(&first, end("31T10:30:00")).await;
    let (second, _) = server.key(&owner).await;
    let full = put(&second, end("30T10:30:00")).await;
    server.call_as(&owner, Method::DELETE, &format!("{keys}/{first}"), None).await;
    put(&second, end("30T10:30:00")).await;
    let taken = restore(&first).await;
    server.pass(24 * 3_600 * 1_000);
    let gone = restore(&first).await;
    [
        ("updateOrganizationKey", "409", full),
        ("restoreOrganizationKey", "409", taken),
        ("restoreOrganizationKey", "410", gone),
    ]
}

/// The responses to an internal error: a table is missing.
pub async fn faults() -> [Answer; 2] {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let database = server.database.clone();
    blocking(move || {
        let beside = Connection::open(database).expect("opened beside the server");
        beside.execute_batch("ALTER TABLE org RENAME TO lost; ALTER TABLE project RENAME TO gone;").expect("broken");
    })
    .await;
    let plain = server.call_as(&owner, Method::GET, &format!("/organization/{}", owner.org), None).await;
    let wrapped = server.call_as(&owner, Method::GET, &projects(&owner), None).await;
    [plain, wrapped]
}

fn projects(owner: &Identity) -> String {
    format!("/api/organizations/{}/projects", owner.org)
}
