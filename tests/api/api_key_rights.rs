//! Who sees and changes which API keys: administrators all of them, project owners those of their projects, others none.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::api_keys::keys_of;
use crate::harness::{Answer, Identity, Server, entries, new_api_key};

/// An organization with two projects, the people around them, and a key for every mix of projects.
struct Scene {
    server: Server,
    owner: Identity,
    /// Owns the first project only.
    lead: Identity,
    /// Owns both projects.
    head: Identity,
    /// Is an editor of both projects.
    editor: Identity,
    first: String,
    second: String,
    /// Keys of the first project, of the second, of both, and of the whole organization.
    keys: [i64; 4],
}

impl Scene {
    async fn new() -> Self {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let lead = server.member_of(&owner.org, Role::User).await;
        let head = server.member_of(&owner.org, Role::Workspaces).await;
        let editor = server.member_of(&owner.org, Role::Workspaces).await;
        let (first, second) = (server.project(&head, "a").await, server.project(&head, "b").await);
        for (project, who, role) in
            [(&first, &lead, "OWNER"), (&first, &editor, "EDITOR"), (&second, &editor, "EDITOR")]
        {
            let path = format!("/api/projects/{project}/members/{}", who.user);
            server.call_as(&owner, Method::PUT, &path, Some(&json!({ "role": role }))).await.result();
        }
        let mut keys = [0; 4];
        for (key, projects) in keys.iter_mut().zip([vec![&*first], vec![&*second], vec![&*first, &*second], vec![]]) {
            *key = server.api_key(&owner, Role::User, &projects).await.0;
        }
        Self { server, owner, lead, head, editor, first, second, keys }
    }

    async fn listed(&self, who: &Identity, path: &str) -> Vec<i64> {
        let answer = self.server.call_as(who, Method::GET, path, None).await;
        let result = answer.result();
        let ids: Vec<_> = result.as_array().expect("keys").iter().filter_map(|key| key["apiKeyId"].as_i64()).collect();
        assert_eq!(answer.headers["x-total-count"], ids.len().to_string());
        ids.into_iter().rev().collect()
    }

    /// Sends an update that leaves a key almost unchanged.
    async fn change(&self, who: &Identity, path: &str, id: i64, more: &Value) -> Answer {
        let mut body =
            json!({ "id": id, "name": "b", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0 });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.server.call_as(who, Method::PUT, path, Some(&body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_sees_and_changes_the_keys_in_the_table() {
    let scene = Scene::new().await;
    let admin = scene.server.member_of(&scene.owner.org, Role::Administrator).await;
    let stranger = scene.server.member_of(&scene.owner.org, Role::Workspaces).await;
    let [first, second, both, whole] = scene.keys;
    // (caller, keys seen in the organization, in the first project, in the second; `None` is denied)
    let table = [
        (&scene.owner, vec![first, second, both, whole], Some(vec![first, both]), Some(vec![second, both])),
        (&admin, vec![first, second, both, whole], Some(vec![first, both]), Some(vec![second, both])),
        (&scene.head, vec![first, second, both], Some(vec![first, both]), Some(vec![second, both])),
        (&scene.lead, vec![first], Some(vec![first]), None),
        (&scene.editor, vec![], Some(vec![]), Some(vec![])),
        (&stranger, vec![], None, None),
    ];
    let org = keys_of(&scene.owner);
    for (number, (who, in_org, in_first, in_second)) in table.into_iter().enumerate() {
        assert_eq!(scene.listed(who, &org).await, in_org, "row {number}");
        for (project, expected) in [(&scene.first, in_first), (&scene.second, in_second)] {
            let path = format!("/api/projects/{project}/api-keys");
            if let Some(expected) = expected {
                assert_eq!(scene.listed(who, &path).await, expected, "row {number}");
            } else {
                let answer = scene.server.call_as(who, Method::GET, &path, None).await;
                assert_eq!(answer.refusal(), (403, "ACCESS_DENIED".to_owned()), "row {number}");
            }
        }
        for key in scene.keys {
            let changed = scene.change(who, &org, key, &json!({})).await;
            if in_org.contains(&key) {
                assert_eq!(changed.status, StatusCode::OK, "row {number}, key {key}: {changed:?}");
                continue;
            }
            let missing = scene.change(who, &org, 77, &json!({})).await;
            assert_eq!(changed.refusal(), (404, "API_KEY_NOT_FOUND".to_owned()), "row {number}, key {key}");
            assert_eq!(changed.body, missing.body, "a hidden key looks like a missing one");
            for (method, path) in
                [(Method::DELETE, format!("{org}/{key}")), (Method::POST, format!("{org}/{key}/rotate"))]
            {
                let body = (method == Method::POST).then(|| json!({ "overlapSeconds": 0 }));
                let answer = scene.server.call_as(who, method, &path, body.as_ref()).await;
                assert_eq!(answer.refusal(), (404, "API_KEY_NOT_FOUND".to_owned()), "row {number}, {path}");
            }
        }
        let created = scene.server.call_as(who, Method::POST, &org, Some(&new_api_key("c", 0, &[&scene.first]))).await;
        if number < 2 {
            let id = created.result()["id"].as_i64().expect("an id");
            scene.server.call_as(who, Method::DELETE, &format!("{org}/{id}"), None).await.result();
        } else {
            assert_eq!(created.refusal(), (403, "ACCESS_DENIED".to_owned()), "row {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn project_owners_cannot_change_roles_or_assign_projects_they_do_not_own() {
    let scene = Scene::new().await;
    let [first, second, both, whole] = scene.keys;
    let org = keys_of(&scene.owner);
    let of_first = format!("/api/projects/{}/api-keys", scene.first);
    let of_second = format!("/api/projects/{}/api-keys", scene.second);
    let before = entries(&scene.server.database).await.len();
    let refused = [
        (&scene.lead, json!({ "roleId": 1 }), 403),
        (&scene.head, json!({ "roleId": 1 }), 403),
        (&scene.lead, json!({ "listProjectsId": [] }), 403),
        (&scene.lead, json!({ "listProjectsId": [scene.second] }), 403),
        (&scene.lead, json!({ "listProjectsId": [scene.first, scene.second] }), 403),
        (&scene.lead, json!({ "listProjectsId": [scene.first, "project-1"] }), 400),
    ];
    for (who, more, status) in &refused {
        for path in [&org, &of_first] {
            let answer = scene.change(who, path, first, more).await;
            assert_eq!(answer.status.as_u16(), *status, "{more}: {answer:?}");
        }
    }
    let recorded = entries(&scene.server.database).await.split_off(before);
    let actions: Vec<_> = recorded.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["access.denied"; 10], "every denial is recorded, and nothing was changed");
    let taken = [
        (&scene.lead, &of_first, first, json!({ "listProjectsId": [scene.first], "disabled": true, "note": "x" })),
        (&scene.head, &of_first, first, json!({ "listProjectsId": [scene.first, scene.second] })),
        (&scene.head, &of_second, both, json!({ "listProjectsId": [scene.second] })),
        (&scene.owner, &of_second, second, json!({ "roleId": 254 })),
    ];
    for (who, path, key, more) in taken {
        let answer = scene.change(who, path, key, &more).await;
        assert_eq!(answer.status, StatusCode::OK, "{more}: {answer:?}");
    }
    assert_eq!(
        scene.listed(&scene.lead, &of_first).await,
        Vec::<i64>::new(),
        "the key is in a project that the lead does not own"
    );
    for (path, key, status) in [(&of_first, both, 404), (&of_first, whole, 404), (&of_second, first, 403)] {
        let answer = scene.change(&scene.lead, path, key, &json!({})).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {key}: {answer:?}");
    }
    let answer = scene.change(&scene.owner, &of_first, whole, &json!({})).await;
    assert_eq!(
        answer.refusal(),
        (404, "API_KEY_NOT_FOUND".to_owned()),
        "a key of the whole organization belongs to no project"
    );
    let answer = scene.change(&scene.editor, &of_first, first, &json!({})).await;
    assert_eq!(answer.refusal(), (403, "ACCESS_DENIED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_change_rotate_or_delete_a_key_above_their_role() {
    let scene = Scene::new().await;
    let (server, org) = (&scene.server, keys_of(&scene.owner));
    let (above, secret) = server.api_key(&scene.owner, Role::Workspaces, &[&scene.first]).await;
    let rotate = json!({ "overlapSeconds": 0 });
    let calls = async |who: &Identity| {
        let path = format!("{org}/{above}");
        [
            scene.change(who, &org, above, &json!({ "roleId": 2 })).await.status.as_u16(),
            scene.change(who, &org, above, &json!({ "roleId": 0 })).await.status.as_u16(),
            server.call_as(who, Method::POST, &format!("{path}/rotate"), Some(&rotate)).await.status.as_u16(),
            server.call_as(who, Method::DELETE, &path, None).await.status.as_u16(),
        ]
    };
    assert_eq!(calls(&scene.lead).await, [403; 4], "a USER is below WORKSPACES, even as owner of the project");
    let path = format!("/api/projects/{}", scene.first);
    server.call_with_key(&secret, Method::GET, &path, None).await.result();
    assert_eq!(calls(&scene.head).await, [200, 403, 201, 200], "at the same role everything except changing the role");
    let deleted = server.call_as(&scene.lead, Method::DELETE, &path, None).await;
    assert_eq!(
        deleted.refusal(),
        (403, "ACCESS_DENIED".to_owned()),
        "nor by deleting the project while the successor exists"
    );
    let (own, _) = server.api_key(&scene.owner, Role::User, &[&scene.first]).await;
    let raised = scene.change(&scene.lead, &org, own, &json!({ "roleId": 254 })).await;
    assert_eq!(raised.refusal(), (403, "ACCESS_DENIED".to_owned()));
    let admin = server.member_of(&scene.owner.org, Role::Administrator).await;
    for who in [&admin, &scene.owner] {
        let made = server.call_as(who, Method::POST, &org, Some(&new_api_key("a", 254, &[]))).await;
        assert_eq!(made.status, StatusCode::CREATED);
        let owner_key = server.call_as(who, Method::POST, &org, Some(&new_api_key("a", 255, &[]))).await;
        assert_eq!(owner_key.refusal(), (400, "INVALID_FIELD".to_owned()), "never OWNER");
    }
    let successor = format!("{org}/{}", above + 1);
    server.call_as(&scene.owner, Method::DELETE, &successor, None).await.result();
    let mut ending = new_api_key("a", 254, &[&scene.first]);
    ending["userApiKey"]["hasExpireTime"] = json!(true);
    ending["userApiKey"]["expireDateTime"] = json!(Time::from_millis(server.now() + 1_000).to_string());
    server.call_as(&scene.owner, Method::POST, &org, Some(&ending)).await.result();
    server.pass(999);
    assert_eq!(server.call_as(&scene.lead, Method::DELETE, &path, None).await.status, StatusCode::FORBIDDEN);
    // A key that has expired does not stand in the way.
    server.pass(1);
    server.call_as(&scene.lead, Method::DELETE, &path, None).await.result();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_projects_of_another_organization_cannot_be_used() {
    let scene = Scene::new().await;
    let (server, org) = (&scene.server, keys_of(&scene.owner));
    let other = server.owner_of("other").await;
    let theirs = server.project(&other, "a").await;
    let [first, ..] = scene.keys;
    let own = keys_of(&other);
    for key in [first, 77] {
        let answer = scene.change(&other, &own, key, &json!({})).await;
        assert_eq!(answer.refusal(), (404, "API_KEY_NOT_FOUND".to_owned()));
        let answer = scene.change(&other, &format!("/api/projects/{theirs}/api-keys"), key, &json!({})).await;
        assert_eq!(answer.refusal(), (404, "API_KEY_NOT_FOUND".to_owned()));
        let rotate = json!({ "overlapSeconds": 0 });
        let path = format!("{own}/{key}");
        let rotated = server.call_as(&other, Method::POST, &format!("{path}/rotate"), Some(&rotate)).await;
        let deleted = server.call_as(&other, Method::DELETE, &path, None).await;
        assert_eq!((rotated.status.as_u16(), rotated.body), (404, deleted.body));
        let denied = scene.change(&other, &org, key, &json!({})).await;
        assert_eq!(denied.refusal(), (403, "ACCESS_DENIED".to_owned()));
    }
    let taken = scene.change(&scene.owner, &org, first, &json!({ "listProjectsId": [theirs] })).await;
    let unknown = scene.change(&scene.owner, &org, first, &json!({ "listProjectsId": ["project-1"] })).await;
    assert_eq!((taken.refusal(), taken.body), ((400, "INVALID_FIELD".to_owned()), unknown.body));
    assert_eq!(scene.listed(&scene.owner, &org).await, scene.keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_to_a_key_apply_from_the_next_request_on() {
    let scene = Scene::new().await;
    let (server, org) = (&scene.server, keys_of(&scene.owner));
    let (id, secret) = server.api_key(&scene.owner, Role::Administrator, &[]).await;
    let node = format!("/organization/{}/node/203.0.113.7", scene.owner.org);
    let nodes = async || server.call_with_key(&secret, Method::GET, "/node", None).await.status.as_u16();
    let delete = async || server.call_with_key(&secret, Method::DELETE, &node, None).await.status.as_u16();
    assert_eq!((nodes().await, delete().await), (200, 404));
    let steps = [
        (json!({ "roleId": 0 }), (200, 403)),
        (json!({ "roleId": 254 }), (200, 404)),
        (json!({ "disabled": true }), (401, 401)),
        (json!({ "roleId": 254, "disabled": false }), (200, 404)),
        (json!({ "roleId": 254, "listProjectsId": [scene.first] }), (403, 403)),
        (json!({ "roleId": 254, "listProjectsId": [] }), (200, 404)),
        (json!({ "startDate": "2024-01-15T10:30:00.001Z" }), (401, 401)),
        (json!({ "roleId": 0, "expireDate": "2024-01-15T10:30:00.001Z", "hasExpireTime": true }), (200, 403)),
        (json!({ "roleId": 254 }), (200, 404)),
    ];
    for (more, statuses) in steps {
        scene.change(&scene.owner, &org, id, &more).await.result();
        assert_eq!((nodes().await, delete().await), statuses, "{more}");
    }
    let soon = json!({ "roleId": 254, "expireDate": "2024-01-15T10:30:00.001Z", "hasExpireTime": true });
    scene.change(&scene.owner, &org, id, &soon).await.result();
    server.pass(1);
    assert_eq!((nodes().await, delete().await), (401, 401));
    scene.change(&scene.owner, &org, id, &json!({ "roleId": 254 })).await.result();
    assert_eq!((nodes().await, delete().await), (200, 404));
    server.call_as(&scene.owner, Method::DELETE, &format!("{org}/{id}"), None).await.result();
    assert_eq!((nodes().await, delete().await), (401, 401));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_the_api_key_that_acted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (id, secret) = server.api_key(&owner, Role::Administrator, &[]).await;
    let (_, pem) = server.key(&owner).await;
    server.register(&owner.org, &pem, "203.0.113.7").await;
    let node = format!("/organization/{}/node/203.0.113.7", owner.org);
    assert_eq!(server.call_with_key(&secret, Method::DELETE, &node, None).await.status, StatusCode::OK);
    let event = server.events(&owner).await.remove(0);
    let who = [&event["userId"], &event["userName"], &event["userEmail"]];
    assert_eq!(who, [&json!(id.to_string()), &json!("service"), &json!("")]);
    let own = server.call_with_key(&secret, Method::POST, "/systemevent", Some(&json!({}))).await;
    assert!(own.json()["total"].as_i64() > Some(1), "an ADMINISTRATOR key sees all events");
    let stored: i64 = Connection::open(&server.database)
        .and_then(|conn| {
            conn.query_row("SELECT count(*) FROM audit WHERE actor_kind = 'api_key'", [], |row| row.get(0))
        })
        .expect("a count");
    assert_eq!(stored, 2);
}
