//! A server to test, with a clock that the test controls, and identities that call it.

mod http;
mod quick_seeds;
mod wait;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::actions::audit;
use orgkeys::config::{Flags, Texts, resolve};
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::{Clock, Time};
use orgkeys::engine::app::App;
use orgkeys::engine::environment::Environment;
use orgkeys::engine::system::System;
use orgkeys::server::courier::DeliveryNotifier;
use orgkeys::server::{Server as Running, StopReport, store_options};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::http::{Answer, raw, with_body};
pub use self::wait::{received, until, within};
use crate::contract;
use crate::key_pairs::{KeyPair, next_pair};
use crate::signing::sign;

/// When every test begins: 2024-01-15T10:30:00.000Z.
pub const BEGIN: i64 = 1_705_314_600_000;

/// A clock that moves only when a test says so. It keeps the server's folder alive for as long as anything uses the clock:
/// a server ends the process when its database disappears.
pub struct StillClock {
    millis: AtomicI64,
    _folder: Arc<TempDir>,
}

impl Clock for StillClock {
    fn now(&self) -> Time {
        Time::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

/// A running server and the folder of its database.
pub struct Server {
    pub address: SocketAddr,
    pub database: PathBuf,
    pub app: Arc<App>,
    pub system: Arc<System>,
    /// The token of the link that sets up the server.
    pub setup_link: Option<SecretString>,
    /// Wakes the courier, whose clock stands still.
    pub courier: DeliveryNotifier,
    /// Bytes that the database file may have; 0 = no limit.
    pub room: Arc<AtomicU64>,
    clock: Arc<StillClock>,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: CancellationToken,
    running: JoinHandle<StopReport>,
    flags: Flags,
    folder: Arc<TempDir>,
}

/// A member of an organization, with an access token.
#[derive(Clone)]
pub struct Identity {
    pub token: String,
    pub token_id: String,
    pub user: String,
    pub org: String,
}

impl Server {
    /// A fresh server without rate limits.
    pub async fn start() -> Self {
        Self::with(|flags| flags).await
    }

    /// A fresh server with these settings.
    pub async fn with(set: impl FnOnce(Flags) -> Flags) -> Self {
        let folder = Arc::new(TempDir::new().expect("a folder"));
        let database = folder.path().join("orgkeys.db").display().to_string();
        let flags = Flags::default()
            .with("database", database)
            .with("listen", "127.0.0.1:0")
            .with("signed_rate", "0")
            .with("refused_rate", "0")
            .with("caller_rate", "0")
            .with("org_rate", "0");
        let clock = StillClock { millis: AtomicI64::new(BEGIN), _folder: Arc::clone(&folder) };
        Self::run(folder, set(flags), Arc::new(clock)).await
    }

    async fn run(folder: Arc<TempDir>, flags: Flags, clock: Arc<StillClock>) -> Self {
        let settings = resolve(&flags, &Texts::new(), None).expect("settings").settings;
        let (database, options) = (settings.database.clone(), store_options(&settings));
        let opened = !settings.webhook_allow.is_empty();
        let room = Arc::clone(&options.room.limit);
        // A connection that the server may be closing is not used again. The client also keeps connections that it opened
        // and did not need: the server closes those after `header_timeout`, and a call on one of them just then fails.
        let reusable = settings.header_timeout.min(settings.idle_timeout) / 2;
        let env = Environment::new(Arc::clone(&clock) as Arc<dyn Clock>, quick_seeds::next);
        let starting = within("the server starts", Running::start_on(settings, options, env));
        let server = starting.await.expect("a server");
        // A test that permits no network for webhooks records the results of deliveries itself, or has none.
        let server = if opened { server } else { server.without_courier() };
        let (address, system, courier, stop) =
            (server.address(), server.system(), server.delivery_notifier(), CancellationToken::new());
        let (app, setup_link) = (Arc::clone(system.app()), server.setup_link().cloned());
        let running = tokio::spawn(server.run(stop.clone()));
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(reusable).build_http();
        Self { address, database, app, system, setup_link, courier, room, clock, client, stop, running, flags, folder }
    }

    /// Stops the server cleanly. Returns what a new one needs.
    pub async fn stop(self) -> Stopped {
        let Self { stop, running, flags, folder, clock, app, system, client, .. } = self;
        drop((app, system, client));
        stop.cancel();
        within("the server stops", running).await.expect("it runs");
        Stopped { folder, flags, clock }
    }

    /// Stops the server cleanly and starts it again on the same database.
    pub async fn restart(self) -> Self {
        self.stop().await.start().await
    }

    /// Lets time pass.
    pub fn pass(&self, millis: i64) {
        self.clock.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// The server's time, in milliseconds.
    pub fn now(&self) -> i64 {
        self.clock.millis.load(Ordering::SeqCst)
    }

    /// A new organization's owner.
    pub async fn owner_of(&self, name: &str) -> Identity {
        let (system, name) = (Arc::clone(&self.system), name.to_owned());
        let org = blocking(move || admin::create_org(&system, &name).expect("an organization")).await;
        self.member_of(&org.id.to_string(), Role::Owner).await
    }

    /// A new member of an organization, with this role.
    pub async fn member_of(&self, org: &str, role: Role) -> Identity {
        let (system, org) = (Arc::clone(&self.system), org.to_owned());
        blocking(move || {
            let email = format!("{}@example.org", system.app().request_id());
            let user = admin::create_user(&system, &org, &email, role, "Ada", "Lovelace").expect("a user");
            let (secret, token) = admin::create_token(&system, &email, Ttl::Never).expect("a token");
            let token_id = token.id.to_string();
            Identity { token: secret.expose_secret().to_owned(), token_id, user: user.id.to_string(), org }
        })
        .await
    }

    /// Revokes a token, as the command line does.
    pub async fn revoke(&self, identity: &Identity) {
        let (system, id) = (Arc::clone(&self.system), identity.token_id.clone());
        blocking(move || admin::revoke_token(&system, &id).expect("revoked")).await;
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let what = format!("an answer to {method} {path}");
        let response = within(&what, self.client.request(request)).await.expect(&what);
        let (status, headers) = (response.status(), response.headers().clone());
        // A stream has no end, so only its head is returned.
        let body = if headers.get("content-type").is_some_and(|of| of == "text/event-stream") {
            Bytes::new()
        } else {
            within(&what, response.into_body().collect()).await.expect("a whole body").to_bytes()
        };
        contract::checked(&method, &path, Answer { status, headers, body })
    }

    /// A request to add to.
    pub fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    /// Calls without a credential.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.request(method, path);
        self.send(with_body(request, body)).await
    }

    /// Calls with an identity's token.
    pub async fn call_as(&self, identity: &Identity, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.request(method, path).header("authorization", format!("Bearer {}", identity.token));
        self.send(with_body(request, body)).await
    }

    /// Calls with an API key.
    pub async fn call_with_key(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.send(with_body(self.request(method, path).header("x-api-key", key), body)).await
    }

    /// Creates a project in the identity's organization. Returns its id.
    pub async fn project(&self, identity: &Identity, name: &str) -> String {
        let path = format!("/api/organizations/{}/projects", identity.org);
        let made = self.call_as(identity, Method::POST, &path, Some(&json!({ "name": name }))).await.result();
        made["publicId"].as_str().expect("an id").to_owned()
    }

    /// Creates an API key that never expires. Returns its id and its secret.
    pub async fn api_key(&self, identity: &Identity, role: Role, projects: &[&str]) -> (i64, String) {
        let body = new_api_key("service", role.number().into(), projects);
        let path = format!("/api/organizations/{}/api-keys", identity.org);
        let made = self.call_as(identity, Method::POST, &path, Some(&body)).await.result();
        (made["id"].as_i64().expect("an id"), made["apiKey"].as_str().expect("a secret").to_owned())
    }

    /// A key pair that this server does not know.
    pub fn pair(&self) -> &'static KeyPair {
        next_pair(&self.database.display().to_string())
    }

    /// Imports a key into the identity's organization. Returns its id and its private key.
    pub async fn key(&self, identity: &Identity) -> (String, String) {
        let pair = self.pair();
        let path = format!("/organization/{}/keys/import", identity.org);
        let answer = self.call_as(identity, Method::POST, &path, Some(&json!({ "publicKey": pair.public }))).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        (answer.json()["data"]["id"].as_str().expect("an id").to_owned(), pair.private.clone())
    }

    /// Lets the server generate a key in the identity's organization. Returns its id and its private key.
    pub async fn mint(&self, identity: &Identity) -> (String, String) {
        let answer = self.call_as(identity, Method::POST, &format!("/organization/{}/key", identity.org), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let id = answer.headers["x-key-id"].to_str().expect("text").to_owned();
        (id, String::from_utf8(answer.body.to_vec()).expect("text"))
    }

    /// Registers a node, with a signature of the current time.
    pub async fn register(&self, org: &str, pem: &str, ip: &str) -> Answer {
        let body = registration(org, pem, ip, self.now() / 1_000);
        self.call(Method::POST, "/register", Some(&body)).await
    }

    /// All events that the identity can see.
    pub async fn events(&self, identity: &Identity) -> Vec<Value> {
        let answer = self.call_as(identity, Method::POST, "/systemevent", Some(&json!({ "take": 100 }))).await;
        answer.json()["events"].as_array().expect("events").clone()
    }
}

/// A server that was stopped.
pub struct Stopped {
    folder: Arc<TempDir>,
    flags: Flags,
    clock: Arc<StillClock>,
}

impl Stopped {
    /// Lets time pass, or sets the clock back.
    pub fn pass(&self, millis: i64) {
        self.clock.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// Starts it again on the same database.
    pub async fn start(self) -> Server {
        Server::run(self.folder, self.flags, self.clock).await
    }
}

/// The body of a registration, signed with `pem` over `ip|eu-1|timestamp`.
pub fn registration(org: &str, pem: &str, ip: &str, timestamp: i64) -> Value {
    let signature = sign(pem, &format!("{ip}|eu-1|{timestamp}"));
    json!({
        "ip": ip, "region": "eu-1", "timestamp": timestamp, "signature": signature, "id_org": org,
        "provider": "AWS", "status": "active", "version": "1.4.2", "nodeServices": 1,
    })
}

/// The body that creates an API key that never expires.
pub fn new_api_key(name: &str, role: i64, projects: &[&str]) -> Value {
    json!({
        "listProjectsId": projects, "roleId": role,
        "userApiKey": { "apiName": name, "hasExpireTime": false, "startDateTime": null, "expireDateTime": null },
    })
}

/// Every entry of the audit log, read from the database file.
pub async fn entries(database: &Path) -> Vec<Entry> {
    let database = database.to_owned();
    let exported = blocking(move || {
        let mut lines = Vec::new();
        audit::export(&database, &mut lines).expect("an export");
        lines
    });
    let lines = exported.await;
    serde_json::Deserializer::from_slice(&lines).into_iter().map(|entry| entry.expect("an entry")).collect()
}

/// Runs blocking work on a thread for it.
#[track_caller]
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    let work = tokio::task::spawn_blocking(work);
    async move { within(format!("the work at {caller} ends"), work).await.expect("it runs") }
}
