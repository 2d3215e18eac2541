//! The audit log: what each operation leaves in it, in exactly which words.

use hyper::Method;
use orgkeys::actions::audit;
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::Value;

use crate::harness::{Server, blocking, entries, registration, with_body};
use crate::openapi::operations;

/// The operation, who calls it, the path, the body, the status, and the one entry that it leaves (none if empty):
/// action, context, context id, change, outcome, detail, and the project if it has one. Capitals stand for ids and signed bodies.
const TABLE: &[(&str, &str, &str, &str, u16, &str)] = &[
    ("getProfile", "OWNER", "/user/profile", "", 200, "user.profile 3 OWNER - done -"),
    ("getProfile", "", "/user/profile", "", 401, ""),
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
    ("listProjects", "OWNER", "GROUP/projects", "", 200, r#"project.list 4 ORG - done {"count":1}"#),
    ("getProject", "OWNER", "/api/projects/PLAN", "", 200, "project.read 0 PLAN - done - PLAN"),
    ("getProject", "USER", "/api/projects/PLAN", "", 403, r#"access.denied 4 ORG - refused {"rule":"see project"}"#),
    ("getProject", "OWNER", "/api/projects/none", "", 404, ""),
    ("updateProject", "OWNER", "/api/projects/PLAN", r#"{"name":"b"}"#, 200, "project.update 0 PLAN 1 done - PLAN"),
    (
        "putProjectMember",
        "OWNER",
        "/api/projects/PLAN/members/USER",
        r#"{"role":"EDITOR"}"#,
        200,
        r#"member.put 5 USER 0 done {"role":"EDITOR"} PLAN"#,
    ),
    (
        "putProjectMember",
        "OWNER",
        "/api/projects/PLAN/members/USER",
        r#"{"role":"editor"}"#,
        200,
        r#"member.put 5 USER 1 done {"role":"EDITOR"} PLAN"#,
    ),
    ("removeProjectMember", "OWNER", "/api/projects/PLAN/members/USER", "", 200, "member.remove 5 USER 2 done - PLAN"),
    ("listApiKeys", "USER", "GROUP/api-keys", "", 200, r#"api_key.list 6 ORG - done {"count":0}"#),
    (
        "listProjectApiKeys",
        "OWNER",
        "/api/projects/PLAN/api-keys",
        "",
        200,
        r#"api_key.list 6 ORG - done {"count":1} PLAN"#,
    ),
    (
        "createApiKey",
        "USER",
        "GROUP/api-keys",
        r#"{"listProjectsId":[],"roleId":0,"userApiKey":{"apiName":"b","hasExpireTime":false}}"#,
        403,
        r#"access.denied 4 ORG - refused {"rule":"manage API keys"}"#,
    ),
    (
        "createApiKey",
        "OWNER",
        "GROUP/api-keys",
        r#"{"listProjectsId":["PLAN"],"roleId":255,"userApiKey":{"apiName":"b","hasExpireTime":false}}"#,
        400,
        "",
    ),
    (
        "createApiKey",
        "OWNER",
        "GROUP/api-keys",
        r#"{"listProjectsId":["PLAN"],"roleId":2,"userApiKey":{"apiName":"b","hasExpireTime":false}}"#,
        201,
        r#"api_key.create 6 NEW 0 done {"role":2,"projects":["PLAN"]} PLAN"#,
    ),
    (
        "updateApiKey",
        "OWNER",
        "GROUP/api-keys",
        r#"{"id":CODE,"name":"b","startDate":"2024-01-15T10:30:00Z","hasExpireTime":false,"roleId":1}"#,
        200,
        r#"api_key.update 6 CODE 1 done {"role":1,"projects":["PLAN"]} PLAN"#,
    ),
    (
        "updateProjectApiKey",
        "OWNER",
        "/api/projects/PLAN/api-keys",
        r#"{"id":CODE,"name":"b","startDate":"2024-01-15T10:30:00Z","hasExpireTime":false,"roleId":1,"listProjectsId":[]}"#,
        200,
        r#"api_key.update 6 CODE 1 done {"role":1,"projects":[]}"#,
    ),
    ("deleteApiKey", "USER", "GROUP/api-keys/CODE", "", 404, ""),
    (
        "rotateApiKey",
        "OWNER",
        "GROUP/api-keys/CODE/rotate",
        r#"{"overlapSeconds":0}"#,
        201,
        r#"api_key.rotate 6 CODE 1 done {"successor":"NEW","ends":"NOW"}; api_key.create 6 NEW 0 done {"role":1,"projects":[]}"#,
    ),
    ("deleteApiKey", "OWNER", "GROUP/api-keys/CODE", "", 200, "api_key.delete 6 CODE 2 done -"),
    ("deleteProject", "OWNER", "/api/projects/PLAN", "", 200, r#"project.delete 0 PLAN 2 done {"apiKeys":["2"]} PLAN"#),
    (
        "createProject",
        "USER",
        "GROUP/projects",
        r#"{"name":"a"}"#,
        403,
        r#"access.denied 4 ORG - refused {"rule":"add projects"}"#,
    ),
    ("createProject", "OWNER", "GROUP/projects", r#"{"name":"a"}"#, 201, "project.create 0 NEW 0 done - NEW"),
    ("getServer", "", "/", "", 200, ""),
    ("getHealth", "", "/health", "", 200, ""),
    ("getReadiness", "", "/ready", "", 200, ""),
    ("getMetrics", "", "/metrics", "", 200, ""),
    ("the document", "", "/openapi.json", "", 200, ""),
    ("Swagger UI", "", "/docs", "", 200, ""),
    ("Swagger UI", "", "/docs/init.js", "", 200, ""),
    ("nothing", "OWNER", "/nowhere", "", 404, ""),
];

/// An entry in the words of the table.
fn said(entry: &Entry) -> String {
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (context, change) = (number(entry.context), number(entry.change));
    let id = entry.context_id.as_deref().unwrap_or("-");
    let detail = entry.detail.as_deref().unwrap_or("-");
    let project = entry.project.as_ref().map_or_else(String::new, |project| format!(" {project}"));
    format!("{} {context} {id} {change} {} {detail}{project}", entry.action, entry.outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_leaves_exactly_the_entry_of_the_table() {
    for (_, _, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(
            TABLE.iter().any(|(name, _, _, _, status, _)| *name == id && (200..300).contains(status)),
            "{id} has no row"
        );
    }
    let server = Server::with(|flags| flags.with("max", "3")).await;
    let owner = server.owner_of("acme").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let (key, pem) = server.mint(&owner).await;
    let (spare, _) = server.mint(&owner).await;
    let (org, ip) = (owner.org.as_str(), "203.0.113.7");
    let node = server.register(org, &pem, ip).await.json()["data"]["id"].as_str().expect("an id").to_owned();
    let plan = server.project(&owner, "a").await;
    let (code, _) = server.api_key(&owner, Role::User, &[&plan]).await;
    let mut new = String::new();
    for (number, (name, who, path, body, status, expected)) in TABLE.iter().copied().enumerate() {
        let filled = |text: &str| {
            let text =
                text.replace("KEYS", "/organization/ORG/key").replace("THIS", "/organization/ORG/node/203.0.113.7");
            let text = text.replace("ORG", org).replace("OWNER", &owner.user).replace("USER", &user.user);
            let text = text.replace("GROUP", &format!("/api/organizations/{org}"));
            let text = text.replace("PLAN", &plan).replace("CODE", &code.to_string());
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
            body => {
                let body = body.replace("PLAN", &plan).replace("CODE", &code.to_string());
                Some(serde_json::from_str(&body).expect("JSON"))
            }
        };
        let id = format!("call-{number}");
        let mut request = server.request(method, &filled(path)).header("x-request-id", &id);
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
        if status == 201 {
            let result = answer.result();
            new = result.get("publicId").unwrap_or(&result["id"]).to_string().replace('"', "");
        }
        let now = Time::from_millis(server.now()).to_string();
        let expected = filled(&expected.replace("NEW", &new).replace("NOW", &now));
        let after = entries(&server.database).await.split_off(before);
        assert_eq!(after.iter().map(said).collect::<Vec<_>>().join("; "), expected, "{case}");
        for entry in after {
            let actor = caller.map_or(("node", node.as_str(), Some(ip)), |caller| ("user", &caller.user, None));
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
