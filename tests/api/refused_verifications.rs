//! API keys that are refused at a reverse proxy: a periodic job logs how many.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use hyper::Method;
use orgkeys::actions::jobs::Jobs;
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Server, blocking};

/// A writer that keeps what is written to it.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the jobs that are due at a tick of 30 s log about refused API keys: code, network and count.
async fn logged(server: &Server, tick: u32) -> Vec<Value> {
    let (jobs, captured) = (Jobs::new(Arc::clone(&server.system), 0), Captured::default());
    let writer = captured.clone();
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    blocking(move || tracing::subscriber::with_default(log, || assert!(jobs.run_due(tick).is_empty()))).await;
    let bytes = captured.0.lock().expect("not poisoned").clone();
    let lines = String::from_utf8(bytes).expect("text");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let refused = lines.filter(|line| line["message"] == "API keys were refused at a reverse proxy");
    refused.map(|line| json!([line["errorCode"], line["network"], line["count"]])).collect()
}

#[tokio::test]
async fn refused_api_keys_are_summed_up_in_the_log_every_minute() {
    let server = Server::start().await;
    let owner = server.owner_of("Acme").await;
    let path = format!("/api/api-keys/verify?organization={}", owner.org);
    for _ in 0..3 {
        assert_eq!(server.call(Method::GET, &path, None).await.status, 401);
    }
    assert!(logged(&server, 1).await.is_empty(), "half a minute after the start");
    assert_eq!(logged(&server, 2).await, [json!(["NOT_FOUND", "127.0.0.1", 3])]);
    assert!(logged(&server, 4).await.is_empty(), "no line if nothing was refused since");
    assert_eq!(server.call(Method::GET, &path, None).await.status, 401);
    assert_eq!(logged(&server, 6).await, [json!(["NOT_FOUND", "127.0.0.1", 1])]);
    let (_, key) = server.api_key(&owner, Role::User, &[]).await;
    for (role, status) in [("254", 403), ("0", 200)] {
        let asked = format!("{path}&role={role}");
        assert_eq!(server.call_with_key(&key, Method::GET, &asked, None).await.status, status, "{role}");
    }
    assert_eq!(logged(&server, 8).await, [json!(["INSUFFICIENT_ROLE", "127.0.0.1", 1])], "only what was refused");
}
