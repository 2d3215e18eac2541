//! The audit log: what each operation leaves in it, in exactly which words.

use hyper::Method;
use orgkeys::actions::audit;
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Server, blocking, entries, registration, with_body};
use crate::openapi::operations;
use crate::sessions::{self, Person};

/// The operation, who calls it, the path, the body, the status, and the one entry that it leaves (none if empty):
/// action, context, context id, change, outcome, detail. Capitals stand for ids and for bodies with signatures or tokens.
const TABLE: &[(&str, &str, &str, &str, u16, &str)] = &[
    ("getProfile", "OWNER", "/user/profile", "", 200, "user.profile 3 OWNER - done -"),
    ("getProfile", "", "/user/profile", "", 401, ""),
    ("loginUser", "USER", "/user/login", "LOGIN", 200, r#"session.begin 3 USER 1 done {"tokenId":"SESSION"}"#),
    ("loginUser", "", "/user/login", r#"{"email":"ada@example.org","password":"wrong"}"#, 401, ""),
    (
        "refreshSession",
        "USER",
        "/user/refresh",
        "REFRESH",
        200,
        r#"session.refresh 3 USER - done {"tokenId":"SESSION"}"#,
    ),
    ("refreshSession", "", "/user/refresh", r#"{"refreshToken":"okr_1"}"#, 401, ""),
    ("listTokens", "USER", "/token", "", 200, r#"session.list 3 USER - done {"count":2}"#),
    (
        "logoutUser",
        "USER",
        "/user/logout",
        "REFRESH",
        200,
        r#"token.revoke 3 USER 1 done {"revokedTokenId":"SESSION"}"#,
    ),
    ("logoutUser", "", "/user/logout", "REFRESH", 200, ""),
    ("loginUser", "USER", "/user/login", "LOGIN", 200, r#"session.begin 3 USER 1 done {"tokenId":"SESSION"}"#),
    ("deleteToken", "USER", "/token/SESSION", "", 200, r#"token.revoke 3 USER 1 done {"revokedTokenId":"SESSION"}"#),
    ("deleteToken", "USER", "/token/SESSION", "", 404, ""),
    ("refreshSession", "", "/user/refresh", "REFRESH", 401, ""),
    ("loginUser", "USER", "/user/login", "LOGIN", 200, r#"session.begin 3 USER 1 done {"tokenId":"SESSION"}"#),
    (
        "refreshSession",
        "USER",
        "/user/refresh",
        "REFRESH",
        200,
        r#"session.refresh 3 USER - done {"tokenId":"SESSION"}"#,
    ),
    ("refreshSession", "USER", "/user/refresh", "SPENT", 401, r#"session.reuse 3 USER 1 done {"tokenId":"SESSION"}"#),
    ("listOrganizationKeys", "OWNER", "KEYS", "", 200, r#"org_key.list 10 ORG - done {"count":2}"#),
    ("listOrganizationKeys", "USER", "KEYS", "", 403, r#"access.denied 4 ORG - refused {"rule":"see keys"}"#),
    ("createOrganizationKey", "USER", "KEYS", "", 403, r#"access.denied 4 ORG - refused {"rule":"manage keys"}"#),
    ("createOrganizationKey", "OWNER", "KEYS", "", 200, "org_key.create 10 NEW 0 done -"),
    ("createOrganizationKey", "OWNER", "KEYS", "", 400, ""),
    ("deleteOrganizationKey", "OWNER", "KEYS/SPARE", "", 200, r#"org_key.delete 10 SPARE 2 done {"nodes":0}"#),
    ("deleteOrganizationKey", "OWNER", "KEYS/SPARE", "", 404, ""),
    ("registerNode", "", "/register", "SIGNED", 200, r#"node.register 9 NODE 1 done {"keyId":"KEY","message":"FORM"}"#),
    ("registerNode", "", "/register", "{}", 400, ""),
    ("listNodes", "USER", "/organization/ORG/nodes", "", 200, r#"node.list 9 ORG - done {"count":1}"#),
    ("findNodes", "USER", "/node", "", 200, r#"node.list 9 ORG - done {"count":1}"#),
    ("deleteNode", "OWNER", "THIS", "", 200, "node.delete 9 NODE 2 done -"),
    ("deleteNode", "OWNER", "THIS", "", 400, ""),
    ("activateNode", "USER", "THIS/activate", "", 403, r#"access.denied 4 ORG - refused {"rule":"manage nodes"}"#),
    ("activateNode", "OWNER", "THIS/activate", "", 200, "node.activate 9 NODE 1 done -"),
    (
        "unregisterNode",
        "",
        "/unregister",
        "SIGNED",
        200,
        r#"node.unregister 9 NODE 2 done {"keyId":"KEY","message":"FORM"}"#,
    ),
    ("listSystemEvents", "OWNER", "/systemevent", r#"{"context":4}"#, 200, r#"event.list 4 ORG - done {"count":1}"#),
    ("listSystemEvents", "OWNER", "/systemevent", r#"{"take":0}"#, 400, ""),
    (
        "markSystemEventsRead",
        "USER",
        "/systemevent/read",
        r#"{"id":1}"#,
        200,
        r#"event.mark 3 USER - done {"read":true,"count":0}"#,
    ),
    (
        "markSystemEventsUnread",
        "USER",
        "/systemevent/read",
        r#"{"id":1}"#,
        200,
        r#"event.mark 3 USER - done {"read":false,"count":0}"#,
    ),
    ("deleteOrganizationKeys", "OWNER", "KEYS", "", 200, r#"org_key.delete_all 10 ORG 2 done {"keys":["NEW","KEY"]}"#),
    ("getAccount", "USER", "/user/USER", "", 200, "user.read 3 USER - done -"),
    ("getAccount", "USER", "/user/OWNER", "", 403, r#"access.denied 4 ORG - refused {"rule":"see people"}"#),
    ("updateAccount", "USER", "/user/USER", r#"{"name":"Eve"}"#, 200, "user.update 3 USER 1 done -"),
    (
        "updateAccount",
        "USER",
        "/user/OWNER",
        r#"{"name":"Eve"}"#,
        403,
        r#"access.denied 4 ORG - refused {"rule":"manage own account"}"#,
    ),
    ("updateAccount", "USER", "/user/USER", PASSWORD, 200, r#"user.password 3 USER 1 done {"sessionsEnded":0}"#),
    ("updateAccount", "USER", "/user/USER", PASSWORD, 400, ""),
    (
        "createUser",
        "OWNER",
        "/organization/users",
        INVITED,
        201,
        r#"user.create 3 GUEST 0 done {"role":0,"invited":true}"#,
    ),
    ("createUser", "OWNER", "/organization/users", INVITED, 409, ""),
    (
        "createUser",
        "USER",
        "/organization/users",
        INVITED,
        403,
        r#"access.denied 4 ORG - refused {"rule":"add people"}"#,
    ),
    ("listUsers", "OWNER", "/organization/users", "", 200, r#"user.list 4 ORG - done {"count":3}"#),
    ("listUsers", "USER", "/organization/users", "", 403, r#"access.denied 4 ORG - refused {"rule":"see people"}"#),
    ("getUser", "OWNER", "/organization/users/GUEST", "", 200, "user.read 3 GUEST - done -"),
    ("getUser", "OWNER", "/organization/users/user-1", "", 404, ""),
    ("updateUser", "OWNER", "/organization/users/GUEST", r#"{"name":"Eve"}"#, 200, "user.update 3 GUEST 1 done -"),
    (
        "updateUser",
        "OWNER",
        "/organization/users/GUEST",
        r#"{"orgRole":1}"#,
        200,
        r#"user.role 3 GUEST 1 done {"previousRole":0,"newRole":1}"#,
    ),
    (
        "updateUser",
        "OWNER",
        "/organization/users/GUEST",
        r#"{"lastName":"Hall","orgRole":0}"#,
        200,
        r#"user.role 3 GUEST 1 done {"previousRole":1,"newRole":0}; user.update 3 GUEST 1 done -"#,
    ),
    (
        "updateUserRole",
        "OWNER",
        "/user/GUEST/role",
        r#"{"orgRole":2}"#,
        200,
        r#"user.role 3 GUEST 1 done {"previousRole":0,"newRole":2}"#,
    ),
    ("updateUserRole", "OWNER", "/user/OWNER/role", r#"{"orgRole":0}"#, 409, ""),
    (
        "resendInvitation",
        "OWNER",
        "/organization/users/GUEST/resend-invitation",
        "",
        200,
        "user.invite 3 GUEST 1 done -",
    ),
    ("verifyEmail", "GUEST", "/user/verify-email", TAKEN, 200, "user.verify 3 GUEST 1 done -"),
    ("verifyEmail", "GUEST", "/user/verify-email", TAKEN, 400, ""),
    ("deleteUser", "OWNER", "/organization/users/GUEST", "", 200, r#"user.delete 3 GUEST 2 done {"tokensEnded":0}"#),
    ("deleteUser", "OWNER", "/organization/users/OWNER", "", 400, ""),
    ("activateUser", "OWNER", "/organization/users/GUEST/activate", "", 200, "user.activate 3 GUEST 1 done -"),
    ("getOrganization", "USER", "/organization/ORG", "", 200, "org.read 4 ORG - done -"),
    (
        "updateOrganization",
        "USER",
        "/organization/ORG",
        r#"{"city":"Rome"}"#,
        403,
        r#"access.denied 4 ORG - refused {"rule":"manage organization"}"#,
    ),
    ("updateOrganization", "OWNER", "/organization/ORG", r#"{"city":"Rome"}"#, 200, "org.update 4 ORG 1 done -"),
    ("verifyApiKey", "USER", "/api/api-keys/verify", r#"{"apiKey":"oka_"}"#, 200, ""),
    ("verifyPresentedApiKey", "", "/api/api-keys/verify", "", 401, ""),
    ("getServer", "", "/", "", 200, ""),
    ("getHealth", "", "/health", "", 200, ""),
    ("getReadiness", "", "/ready", "", 200, ""),
    ("getMetrics", "", "/metrics", "", 200, ""),
    ("the document", "", "/openapi.json", "", 200, ""),
    ("Swagger UI", "", "/docs", "", 200, ""),
    ("Swagger UI", "", "/docs/init.js", "", 200, ""),
    ("nothing", "OWNER", "/nowhere", "", 404, ""),
];

const PASSWORD: &str = r#"{"password":"a cat on 3 roofs","currentPassword":"correct horse battery staple"}"#;
const INVITED: &str = r#"{"email":"eve@example.org","firstName":"Eve","lastName":"","sendInvite":true}"#;
const TAKEN: &str = r#"{"token":"INVITATION","password":"a cat on 3 roofs"}"#;

/// An entry in the words of the table.
fn said(entry: &Entry) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (context, change) = (number(entry.context), number(entry.change));
    let id = entry.context_id.as_deref().unwrap_or("-");
    let detail = entry.detail.as_deref().unwrap_or("-");
    format!("{} {context} {id} {change} {} {detail}", entry.action, entry.outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_leaves_exactly_the_entry_of_the_table() {
    for (_, _, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        let done = |status: u16| (200..300).contains(&status) || id == "verifyPresentedApiKey";
        assert!(TABLE.iter().any(|(name, _, _, _, status, _)| *name == id && done(*status)), "{id} has no row");
    }
    let server = Server::with(|flags| flags.with("max", "3")).await;
    let owner = server.owner_of("acme").await;
    let Person { identity: user, email } = sessions::person(&server, &owner.org, Role::User).await;
    let (key, pem) = server.mint(&owner).await;
    let (spare, _) = server.mint(&owner).await;
    let (org, ip) = (owner.org.as_str(), "203.0.113.7");
    let node = server.register(org, &pem, ip).await.json()["data"]["id"].as_str().expect("an id").to_owned();
    let (mut new, mut guest, mut invitation) = (String::new(), String::new(), String::new());
    // The last session, its refresh token, and the one before.
    let [mut session, mut refresh, mut spent] = [const { String::new() }; 3];
    for (number, (name, who, path, body, status, expected)) in TABLE.iter().copied().enumerate() {
        let filled = |text: &str, guest: &str| {
            let text = text.replace("GUEST", guest);
            let text =
                text.replace("KEYS", "/organization/ORG/key").replace("THIS", "/organization/ORG/node/203.0.113.7");
            let text = text.replace("ORG", org).replace("OWNER", &owner.user).replace("USER", &user.user);
            let text = text.replace("NODE", &node).replace("KEY", &key).replace("SPARE", &spare);
            text.replace("FORM", "ip|region|timestamp")
        };
        let before = entries(&server.database).await.len();
        let written = operations().into_iter().find(|(_, _, written)| written["operationId"] == name);
        let method = written.map_or(Method::GET, |(method, ..)| method.to_uppercase().parse().expect("a method"));
        server.pass(1_000);
        let body: Option<Value> = match body {
            "" => None,
            "SIGNED" => Some(registration(org, &pem, ip, server.now() / 1_000)),
            "LOGIN" => Some(json!({ "email": email, "password": sessions::PASSWORD })),
            "REFRESH" => Some(json!({ "refreshToken": refresh })),
            "SPENT" => Some(json!({ "refreshToken": spent })),
            body => Some(serde_json::from_str(&body.replace("INVITATION", &invitation)).expect("JSON")),
        };
        let id = format!("call-{number}");
        let mut request =
            server.request(method, &filled(path, &guest).replace("SESSION", &session)).header("x-request-id", &id);
        let caller =
            [("OWNER", &owner), ("USER", &user)].into_iter().find_map(|(name, is)| (name == who).then_some(is));
        if let Some(caller) = caller {
            request = request.header("authorization", format!("Bearer {}", caller.token));
        }
        let answer = server.send(with_body(request, body.as_ref())).await;
        let case = format!("row {number}, {name}");
        assert_eq!(answer.status.as_u16(), status, "{case}: {answer:?}");
        if let Some(made) = answer.headers.get("x-key-id") {
            made.to_str().expect("text").clone_into(&mut new);
        }
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(next) = told["refreshToken"].as_str() {
            spent = std::mem::replace(&mut refresh, next.to_owned());
        }
        if let Some(begun) = told["tokenId"].as_str() {
            begun.clone_into(&mut session);
        }
        if name == "createUser" && status == 201 {
            told["data"]["id"].as_str().expect("an id").clone_into(&mut guest);
        }
        if name == "resendInvitation" {
            told["invitationToken"].as_str().expect("a token").clone_into(&mut invitation);
        }
        let expected = filled(&expected.replace("NEW", &new), &guest).replace("SESSION", &session);
        let after = entries(&server.database).await.split_off(before);
        assert_eq!(after.iter().map(said).collect::<Vec<_>>().join("; "), expected, "{case}");
        for entry in after {
            let actor = match caller {
                Some(caller) => ("user", caller.user.as_str(), None),
                None if who == "GUEST" => ("user", guest.as_str(), None),
                None => ("node", node.as_str(), Some(ip)),
            };
            let named = (entry.actor_kind.as_str(), entry.actor_id.as_str(), entry.actor_name.as_deref());
            assert_eq!(named, actor, "{case}");
            assert_eq!((entry.org.as_str(), entry.at), (org, server.now()), "{case}");
            let origin = (entry.address.as_deref(), entry.request_id.as_deref());
            assert_eq!(origin, (Some("127.0.0.1"), Some(id.as_str())), "{case}");
        }
    }
    let (database, all) = (server.database.clone(), entries(&server.database).await.len() as u64);
    let whole = blocking(move || audit::verify(&database, &[]).expect("whole")).await;
    assert_eq!(whole.entries, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_without_a_request_is_the_systems_and_has_no_address() {
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
