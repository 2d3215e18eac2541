//! The examples of the document are what a server answers: one story, told to one world, is what they are written from.

mod names;
mod story;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{env, fs};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::domain::delivery::Outcome;
use orgkeys::domain::role::Role;
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::EncodePublicKey;
use rusqlite::Connection;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use self::names::Names;
use self::story::{ADAS_TOKEN, BOBS_TOKEN, KEY, LESSER_KEY, ORG, Shows, Step};
use crate::harness::{Answer, Identity, Server, blocking, raw, sign, with_body};
use crate::openapi::operations;
use crate::outbox::carry;
use crate::stream::Reader;

/// The private half of the key that the examples sign with. It stands here for everybody to read, and opens nothing.
const TEST_ONLY_KEY: &str = include_str!("examples/test-only-key.pem");

/// A server with one organization, its owner, and a key whose private half everybody knows.
struct World {
    server: Server,
    names: Names,
    /// What is written into the document: what was asked and answered, by operation.
    examples: Map<String, Value>,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let system = Arc::clone(&server.system);
        let (org, [secret, bobs]) = blocking(move || {
            let org = admin::create_org(&system, "acme").expect("an organization").id.to_string();
            admin::create_user(&system, &org, "ada@example.org", Role::Owner, "Ada", "Lovelace").expect("a user");
            admin::create_user(&system, &org, "bob@example.org", Role::User, "Bob", "Kahn").expect("a user");
            let token = |email: &str| admin::create_token(&system, email, Ttl::Never).expect("a token").0;
            let secrets = ["ada@example.org", "bob@example.org"].map(token);
            (org, secrets.map(|secret| secret.expose_secret().to_owned()))
        })
        .await;
        let minted = server.request(Method::POST, &format!("/organization/{org}/key?format=json"));
        let minted = server.send(with_body(minted.header("authorization", format!("Bearer {secret}")), None)).await;
        let key = minted.json()["data"]["id"].as_str().expect("an id").to_owned();
        let database = server.database.clone();
        blocking(move || {
            let key = PrivateKey::from_pkcs1_pem(TEST_ONLY_KEY).expect("a key");
            let der = key.to_public_key().to_public_key_der().expect("its public half");
            let beside = Connection::open(database).expect("opened beside the server");
            assert_eq!(beside.execute("UPDATE org_key SET public_key = ?1", [der.as_bytes()]), Ok(1));
        })
        .await;
        let mut names = Names::default();
        let words = [org, secret, bobs, key].map(|word| names.pretty(&word));
        assert_eq!(words, [ORG, ADAS_TOKEN, BOBS_TOKEN, KEY]);
        Self { server, names, examples: Map::new() }
    }

    /// Asks as a step says, and gives what was answered.
    async fn ask(&self, step: &Step) -> Answer {
        let (method, path, operation) = operations()
            .into_iter()
            .find(|(_, _, operation)| operation["operationId"] == step.operation)
            .unwrap_or_else(|| panic!("there is no operation {}", step.operation));
        let (mut path, mut query, mut headers) = (path.to_owned(), Vec::new(), Vec::new());
        for (name, value) in step.parameters.as_object().into_iter().flatten() {
            let known = operation["parameters"].as_array().into_iter().flatten().find(|known| known["name"] == **name);
            let place = &known.unwrap_or_else(|| panic!("{} has no parameter {name}", step.operation))["in"];
            let text = self.names.real(value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str());
            match place.as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &text),
                Some("query") => query.push(format!("{name}={text}")),
                _ => headers.push((name.clone(), text)),
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let method = method.to_uppercase().parse::<Method>().expect("a method");
        let mut request = self.server.request(method, &path);
        let credential = self.names.real(step.credential);
        request = match step.credential.get(..4) {
            Some("oka_") => request.header("x-api-key", credential),
            Some(_) => request.header("authorization", format!("Bearer {credential}")),
            None => request,
        };
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = step.body.as_ref().map(|body| serde_json::from_str(&self.names.real(&body.to_string())));
        let body: Option<Value> = body.transpose().expect("JSON");
        self.server.send(with_body(request, body.as_ref())).await
    }

    /// Asks, and writes down what the step is an example of.
    async fn tell(&mut self, step: Step) {
        let answer = self.ask(&step).await;
        let is_so = step.shows == Shows::Nothing || answer.status.is_success() == (step.shows == Shows::Success);
        assert!(is_so, "{}: {answer:?}", step.operation);
        let media = answer.headers.get("content-type").map_or("", |of| of.to_str().expect("text"));
        let is_json = media.starts_with("application/json");
        let answered = if is_json { self.names.example(answer.json()) } else { Value::Null };
        if step.shows == Shows::Nothing {
            return;
        }
        let examples = self.examples.entry(step.operation.clone()).or_insert_with(|| json!({}));
        if step.shows == Shows::Success {
            if step.parameters != json!({}) {
                examples["parameters"] = step.parameters;
            }
            if let Some(body) = step.body {
                examples["request"] = body;
            }
        }
        if let Some(text) = shown(media, &answer) {
            examples["texts"][media.split(';').next().unwrap_or_default()] = text.into();
        }
        if is_json {
            let before = std::mem::replace(&mut examples["answers"][answer.status.as_str()], answered);
            assert!(before.is_null(), "{} is told {} twice", step.operation, answer.status);
        }
    }

    /// Shows what comes on a stream.
    async fn follow(&mut self) {
        let bearer = format!("Bearer {}", self.names.real(ADAS_TOKEN));
        let (org, credential) = (self.names.real(ORG), ("authorization", &*bearer));
        let mut reader = Reader::open(&self.server, credential, &org, "?context=10", Some("1")).await;
        let (id, event, data) = reader.event().await;
        let data = self.names.example(data).to_string();
        self.examples["streamEvents"]["texts"]["text/event-stream"] =
            json!({ "id": id.to_string(), "event": event, "data": data });
    }

    /// The operations for which a refusal is documented that the story has not told, each as it was asked there.
    fn untold(&self, status: &str) -> Vec<Step> {
        let ids = operations().into_iter().filter(|(_, _, operation)| operation["responses"].get(status).is_some());
        let ids = ids.filter_map(|(_, _, operation)| operation["operationId"].as_str());
        let untold = ids.filter(|id| self.examples[*id]["answers"].get(status).is_none());
        untold.map(|id| story::again(id, &self.examples[id])).collect()
    }

    /// Tells of every operation how it is refused to who may not, and where there is no such thing.
    async fn refuse(&mut self) {
        for step in story::lesser_key() {
            self.tell(step).await;
        }
        for step in self.untold("403") {
            // Those that every member may are refused to other organizations, and some to keys alone.
            let tries = [step.clone().by(BOBS_TOKEN), step.clone().of_nobody().by(BOBS_TOKEN), step.by(LESSER_KEY)];
            self.tell_first(tries, StatusCode::FORBIDDEN).await;
        }
        for step in self.untold("404") {
            self.tell_first([step.of_nothing()], StatusCode::NOT_FOUND).await;
        }
    }

    /// Tells the first of these that is answered so.
    async fn tell_first<const N: usize>(&mut self, tries: [Step; N], status: StatusCode) {
        let mut answers = Vec::new();
        for step in tries {
            let answer = self.ask(&step).await;
            if answer.status == status {
                return self.tell(step.refused()).await;
            }
            answers.push((step.operation, answer));
        }
        panic!("nothing was answered {status}: {answers:?}");
    }
}

/// What is shown of an answer that is not JSON: of metrics one that is the same each time.
fn shown(media: &str, answer: &Answer) -> Option<String> {
    if media == "application/x-pem-file" {
        return Some(names::PRIVATE_KEY.to_owned());
    }
    let text = std::str::from_utf8(&answer.body).ok().filter(|_| media.starts_with("text/plain"))?;
    Some(text.lines().filter(|line| line.contains("orgkeys_nodes ")).fold(String::new(), |all, line| all + line + "\n"))
}

/// What the story shows of every operation, and the refusals that all of them share.
async fn told() -> Value {
    let mut world = World::new().await;
    for chapter in story::chapters(|message| sign(TEST_ONLY_KEY, message)) {
        for step in chapter {
            world.tell(step).await;
        }
        // What is on its way arrives between the chapters, and a minute passes.
        carry(&world.server, &Outcome::Taken { status: 204 }).await;
        world.server.pass(60_000);
    }
    world.follow().await;
    world.refuse().await;
    let mut refusals = json!({});
    let mut refused = Vec::new();
    for (family, step) in story::refused() {
        refused.push((family, world.ask(&step).await));
    }
    for (family, path) in [("plain", "/user/verify-email"), ("wrapped", "/api/api-keys/verify")] {
        let request = world.server.request(Method::POST, path).header("content-type", "text/plain");
        let request = request.header("authorization", format!("Bearer {}", world.names.real(ADAS_TOKEN)));
        let request = request.body(Full::new(Bytes::from("name=x"))).expect("a request");
        refused.push((family, world.server.send(request).await));
    }
    refused.extend(pressed().await);
    let impatient = Server::with(|flags| flags.with("request_timeout", "300ms")).await;
    for (family, path) in [("plain", "/user/verify-email"), ("wrapped", "/api/api-keys/verify")] {
        let half = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{{");
        refused.push((family, raw(impatient.address, half).await));
    }
    let [plain, wrapped] = faults().await;
    for (family, fault) in [("plain", plain), ("wrapped", wrapped)] {
        assert_eq!(fault.status, StatusCode::INTERNAL_SERVER_ERROR, "{fault:?}");
        refused.push((family, fault));
    }
    for (family, answer) in refused {
        let status = answer.status.as_u16();
        let status = status.to_string();
        assert!(status.starts_with(['4', '5']) && refusals[family].get(&status).is_none(), "{family}: {answer:?}");
        refusals[family][status] = world.names.example(answer.json());
    }
    let mut examples = world.examples;
    for (id, answer) in refused_often().await {
        examples[id]["answers"]["429"] = world.names.example(answer.json());
    }
    examples.insert("refusals".to_owned(), refusals);
    examples.sort_keys();
    examples.into()
}

/// What is answered to who asks too often, and where there is no room: every call leaves an entry.
async fn pressed() -> Vec<(&'static str, Answer)> {
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

/// What nodes are answered whose network was refused too often.
async fn refused_often() -> [(&'static str, Answer); 2] {
    let server = Server::with(|flags| flags.with("refused_rate", "1").with("refused_burst", "1")).await;
    let body = json!({
        "ip": "1", "region": "1", "timestamp": 1, "status": "", "version": "", "signature": format!("{}==", "A".repeat(342)),
    });
    let ask = async |path| {
        let mut answer = server.call(Method::POST, path, Some(&body)).await;
        while answer.status != StatusCode::TOO_MANY_REQUESTS {
            answer = server.call(Method::POST, path, Some(&body)).await;
        }
        answer
    };
    [("registerNode", ask("/register").await), ("unregisterNode", ask("/unregister").await)]
}

/// What is answered where something is wrong with the server itself: a table is missing.
async fn faults() -> [Answer; 2] {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_what_a_server_answers() {
    let told = format!("{:#}\n", told().await);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/examples.json");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &told).expect("written");
    }
    let file = fs::read_to_string(&path).expect("the file");
    let differs = file.lines().zip(told.lines()).find(|(file, told)| file != told);
    assert!(
        file == told,
        "openapi/examples.json is not what a server answers: run this test with BLESS=1, then the one of the document: {differs:?}"
    );
}

#[test]
fn every_operation_has_been_told() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/examples.json");
    let examples: Value = serde_json::from_slice(&fs::read(file).expect("the file")).expect("JSON");
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        let own = examples.get(id).unwrap_or_else(|| panic!("{method} {path}: the story does not tell {id}"));
        assert_eq!(own.get("request").is_some(), operation.get("requestBody").is_some(), "{id}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            assert!(own["parameters"].get(name).is_some() || parameter["required"] != true, "{id} has no {name}");
        }
    }
}
