//! The audit log: the exact entry that each operation records.

mod table;

use std::collections::BTreeMap;

use hyper::Method;
use orgkeys::actions::{audit, delivery};
use orgkeys::domain::audit::Entry;
use orgkeys::domain::delivery::{Outcome, Tried};
use orgkeys::domain::id::DeliveryId;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use self::table::rows;
use crate::examples::public_pem;
use crate::harness::{Answer, Identity, Server, blocking, entries, registration, with_body};
use crate::openapi::operations;
use crate::sessions::{self, Person};

const IP: &str = "203.0.113.7";
const DAY: i64 = 24 * 3_600 * 1_000;

/// An entry in the notation of the table.
fn line(entry: &Entry) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (context, change) = (number(entry.context), number(entry.change));
    let id = entry.context_id.as_deref().unwrap_or("-");
    let detail = entry.detail.as_deref().unwrap_or("-");
    let project = entry.project.as_ref().map_or_else(String::new, |project| format!(" {project}"));
    format!("{} {context} {id} {change} {} {detail}{project}", entry.action, entry.outcome)
}

/// A server, and the values of the table's placeholders that are known so far.
struct Scene {
    server: Server,
    owner: Identity,
    user: Identity,
    email: String,
    pem: String,
    words: BTreeMap<&'static str, String>,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::with(|flags| flags.with("max", "3")).await;
        let owner = server.owner_of("acme").await;
        let Person { identity: user, email } = sessions::person(&server, &owner.org, Role::User).await;
        let (key, pem) = server.key(&owner).await;
        let (spare, _) = server.key(&owner).await;
        let org = &owner.org;
        let node = server.register(org, &pem, IP).await.json()["data"]["id"].as_str().expect("an id").to_owned();
        let plan = server.project(&owner, "a").await;
        let (code, _) = server.api_key(&owner, Role::User, &[&plan]).await;
        let words = BTreeMap::from([
            ("KEYS", format!("/organization/{org}/key")),
            ("IMPACT", format!("/organization/{org}/keys/impact")),
            ("IMPORT", format!("/organization/{org}/keys/import")),
            ("PEM", public_pem().replace('\n', "\\n")),
            ("THIS", format!("/organization/{org}/node/{IP}")),
            ("SECRETS", format!("/organization/{org}/secrets")),
            ("HOOKS", format!("/organization/{org}/webhooks")),
            ("GROUP", format!("/api/organizations/{org}")),
            ("FORM", "ip|region|timestamp".to_owned()),
            ("OWNER", owner.user.clone()),
            ("USER", user.user.clone()),
            ("NODE", node),
            ("KEY", key),
            ("ORG", org.clone()),
            ("SPARE", spare),
            ("PLAN", plan),
            ("CODE", code.to_string()),
        ]);
        Self { server, owner, user, email, pem, words }
    }

    /// The text with its placeholders filled in, longer ones first, since a shorter one may be part of them.
    fn filled(&self, text: &str) -> String {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        words.into_iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }

    fn body(&self, text: &str) -> Option<Value> {
        match text {
            "" => None,
            "SIGNED" => Some(registration(&self.owner.org, &self.pem, IP, self.server.now() / 1_000)),
            "LOGIN" => Some(json!({ "email": self.email, "password": sessions::PASSWORD })),
            "REFRESH" => Some(json!({ "refreshToken": self.words["REFRESH"] })),
            "SPENT" => Some(json!({ "refreshToken": self.words["SPENT"] })),
            "LONG SPENT" => {
                self.server.pass(sessions::GRACE);
                self.body("SPENT")
            }
            text => Some(serde_json::from_str(&self.filled(text)).expect("JSON")),
        }
    }

    /// Learns the ids and tokens of a response.
    fn learn(&mut self, name: &str, answer: &Answer) {
        self.words.insert("NOW", Time::from_millis(self.server.now()).to_string());
        self.words.insert("TOMORROW", Time::from_millis(self.server.now() + DAY).to_string());
        if let Some(made) = answer.headers.get("x-key-id") {
            let before = self.words.insert("NEW", made.to_str().expect("text").to_owned());
            self.words.extend(before.map(|before| ("OLD", before)));
        }
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(next) = text(&told["refreshToken"]) {
            let spent = self.words.insert("REFRESH", next);
            self.words.extend(spent.map(|spent| ("SPENT", spent)));
        }
        if name == "createWebSession" {
            self.words.extend(text(&told["accessToken"]).map(|half| ("WEB", half)));
            let cookie = answer.headers["set-cookie"].to_str().expect("text").split(';').next();
            self.words.extend(cookie.map(|half| ("COOKIE", half.to_owned())));
        }
        let word = match name {
            "createToken" => "TOKEN",
            "createWebSession" => "BROWSER",
            _ => "SESSION",
        };
        self.words.extend(text(&told["tokenId"]).map(|begun| (word, begun)));
        self.words.extend(text(&told["expiresAt"]).map(|ends| ("ENDS", ends)));
        if name == "importOrganizationKey" {
            self.words.extend(text(&told["data"]["id"]).map(|key| ("BROUGHT", key)));
        }
        if name == "createWebhook" {
            self.words.extend(text(&told["data"]["id"]).map(|hook| ("HOOK", hook)));
        }
        if name == "putSecret" {
            self.words.extend(text(&told["data"]["id"]).map(|id| ("PARCEL", id)));
        }
        if name == "testWebhook"
            && let Some(sent) = text(&told["data"]["deliveryId"])
        {
            // It is recorded as delivered, so that it can be replayed.
            let id = DeliveryId::parse(&sent).expect("an id");
            let tried = Tried { id, url: String::new(), attempts: 0, outcome: Outcome::Taken { status: 204 } };
            delivery::record_results(&self.server.system, vec![tried]).expect("settled");
            self.words.insert("SENT", sent);
        }
        if name == "createUser" {
            self.words.extend(text(&told["data"]["id"]).map(|guest| ("GUEST", guest)));
        }
        if name == "resendInvitation" {
            self.words.extend(text(&told["invitationToken"]).map(|token| ("INVITATION", token)));
        }
        if answer.status == 201 && told.get("result").is_some() {
            let result = &told["result"];
            let id = result.get("publicId").unwrap_or(&result["id"]).to_string().replace('"', "");
            self.words.insert("NEW", id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_records_exactly_the_entry_in_the_table() {
    for (_, _, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        let done = |status: u16| (200..300).contains(&status) || id == "verifyPresentedApiKey";
        assert!(rows().any(|(name, _, _, _, status, _)| name == id && done(status)), "{id} has no row");
    }
    let mut scene = Scene::new().await;
    for (number, (name, who, path, body, status, expected)) in rows().enumerate() {
        let before = entries(&scene.server.database).await.len();
        let written = operations().into_iter().find(|(_, _, written)| written["operationId"] == name);
        let method = written.map_or(Method::GET, |(method, ..)| method.to_uppercase().parse().expect("a method"));
        scene.server.pass(1_000);
        let body = scene.body(body);
        let id = format!("call-{number}");
        let mut request = scene.server.request(method, &scene.filled(path)).header("x-request-id", &id);
        let browser = scene.words.get("WEB").cloned().unwrap_or_default();
        let browser = Identity { token: browser, ..scene.user.clone() };
        let callers = [("OWNER", scene.owner.clone()), ("USER", scene.user.clone()), ("WEB", browser)];
        let caller = callers.into_iter().find_map(|(name, is)| (name == who).then_some(is));
        if let Some(caller) = &caller {
            request = request.header("authorization", format!("Bearer {}", caller.token));
        }
        if who == "WEB" {
            request = request.header("cookie", &scene.words["COOKIE"]);
        }
        let answer = scene.server.send(with_body(request, body.as_ref())).await;
        let case = format!("row {number}, {name}");
        assert_eq!(answer.status.as_u16(), status, "{case}: {answer:?}");
        scene.learn(name, &answer);
        let after = entries(&scene.server.database).await.split_off(before);
        assert_eq!(after.iter().map(line).collect::<Vec<_>>().join("; "), scene.filled(expected), "{case}");
        for entry in after {
            let actor = match &caller {
                Some(caller) => ("user", caller.user.as_str(), None),
                None if who == "GUEST" => ("user", scene.words["GUEST"].as_str(), None),
                None => ("node", scene.words["NODE"].as_str(), Some(IP)),
            };
            let named = (entry.actor_kind.as_str(), entry.actor_id.as_str(), entry.actor_name.as_deref());
            assert_eq!(named, actor, "{case}");
            assert_eq!((&entry.org, entry.at), (&scene.owner.org, scene.server.now()), "{case}");
            let origin = (entry.address.as_deref(), entry.request_id.as_deref());
            assert_eq!(origin, (Some("127.0.0.1"), Some(id.as_str())), "{case}");
        }
    }
    let (database, all) = (scene.server.database.clone(), entries(&scene.server.database).await.len() as u64);
    let whole = blocking(move || audit::verify(&database, &[]).expect("whole")).await;
    assert_eq!(whole.entries, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_without_a_request_are_recorded_as_the_system_without_an_address() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let recorded = entries(&server.database).await;
    let own: Vec<_> = recorded.iter().filter(|entry| entry.org == owner.org).collect();
    let actions: Vec<&str> = own.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["org.create", "user.create", "token.create"]);
    for entry in own {
        let actor = (entry.actor_kind.as_str(), entry.actor_id.as_str(), entry.actor_name.as_deref());
        assert_eq!(actor, ("system", "system", Some("orgkeys")));
        assert_eq!((&entry.address, &entry.request_id), (&None, &None));
    }
}
