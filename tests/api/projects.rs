//! Projects: who sees and changes them, their members, and what a deletion removes.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, entries};

fn wrapped(status: u16, message: &str, result: &Value) -> Value {
    json!({
        "success": true, "errors": [], "messages": [message], "result": result, "resultInfo": "", "statusCode": status,
    })
}

fn refused(status: u16, code: &str, message: &str) -> Value {
    json!({
        "success": false, "errors": [message], "messages": [], "result": null, "resultInfo": code,
        "statusCode": status,
    })
}

fn status_and_body(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

/// Marks a user as deleted in the database.
pub fn delete_person(server: &Server, who: &Identity) {
    let conn = Connection::open(&server.database).expect("the file");
    let id = who.user["user-".len()..].replace('-', "").to_uppercase();
    let sql = "UPDATE person SET deleted_at = created_at, deleted_by = 255 WHERE hex(id) = ?1";
    assert_eq!(conn.execute(sql, [id]), Ok(1));
}

async fn put_member(server: &Server, who: &Identity, project: &str, user: &str, role: &str) -> Answer {
    let path = format!("/api/projects/{project}/members/{user}");
    server.call_as(who, Method::PUT, &path, Some(&json!({ "role": role }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_created_read_renamed_and_deleted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let projects = format!("/api/organizations/{}/projects", owner.org);
    let claims =
        json!({ "name": "Website", "publicId": "project-1", "organizationId": "org-1", "members": [], "createdAt": 0 });
    let made = server.call_as(&owner, Method::POST, &projects, Some(&claims)).await;
    let id = made.result()["publicId"].as_str().expect("an id").to_owned();
    let whole = |name: &str, members: Value| {
        json!({
            "publicId": id, "name": name, "organizationId": owner.org, "createdAt": "2024-01-15T10:30:00.000Z",
            "members": members,
        })
    };
    let maker = json!([{ "userId": owner.user, "role": "OWNER" }]);
    let expected = wrapped(201, "Project created successfully", &whole("Website", maker.clone()));
    assert_eq!(status_and_body(&made), (201, expected));
    let path = format!("/api/projects/{id}");
    let read = server.call_as(&owner, Method::GET, &path, None).await;
    let expected = wrapped(200, "Project retrieved successfully", &whole("Website", maker.clone()));
    assert_eq!(status_and_body(&read), (200, expected));
    let renamed = server.call_as(&owner, Method::PUT, &path, Some(&json!({ "name": "Shop", "publicId": "x" }))).await;
    assert_eq!(status_and_body(&renamed), (200, wrapped(200, "Project updated successfully", &whole("Shop", maker))));
    let second = server.project(&owner, "Second").await;
    let listed = server.call_as(&owner, Method::GET, &projects, None).await;
    let item = |id: &str, name: &str| json!({ "publicId": id, "name": name, "organizationId": owner.org, "createdAt": "2024-01-15T10:30:00.000Z" });
    let expected =
        wrapped(200, "Projects retrieved successfully", &json!([item(&second, "Second"), item(&id, "Shop")]));
    assert_eq!(status_and_body(&listed), (200, expected));
    let deleted = server.call_as(&owner, Method::DELETE, &path, None).await;
    assert_eq!(status_and_body(&deleted), (200, wrapped(200, "Project deleted successfully", &json!(true))));
    let missing = (404, refused(404, "PROJECT_NOT_FOUND", "Project not found"));
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(status_and_body(&server.call_as(&owner, method, &path, None).await), missing);
    }
    let listed = server.call_as(&owner, Method::GET, &projects, None).await.result();
    assert_eq!(listed, json!([item(&second, "Second")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_name_has_1_to_100_characters() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let id = server.project(&owner, "a").await;
    let (projects, one) = (format!("/api/organizations/{}/projects", owner.org), format!("/api/projects/{id}"));
    for (method, path) in [(Method::POST, &projects), (Method::PUT, &one)] {
        for good in ["é".to_owned(), "é".repeat(100)] {
            let answer = server.call_as(&owner, method.clone(), path, Some(&json!({ "name": good }))).await;
            assert_eq!(answer.result()["name"], json!(good));
        }
        for bad in [json!(""), json!("é".repeat(101)), json!("a\nb"), json!(1), Value::Null] {
            let answer = server.call_as(&owner, method.clone(), path, Some(&json!({ "name": bad }))).await;
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{bad}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_at_most_1000_projects() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let id = server.project(&owner, "a").await;
    let conn = Connection::open(&server.database).expect("the file");
    let sql = "INSERT INTO project WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 998)
        SELECT randomblob(16), (SELECT org FROM project), 'filler', 0 FROM many";
    assert_eq!(conn.execute(sql, []), Ok(998));
    let path = format!("/api/organizations/{}/projects", owner.org);
    let body = json!({ "name": "b" });
    assert_eq!(server.call_as(&owner, Method::POST, &path, Some(&body)).await.status, StatusCode::CREATED);
    let answer = server.call_as(&owner, Method::POST, &path, Some(&body)).await;
    let message =
        "Maximum number of projects (1000) has been reached. Please delete existing projects before creating new ones.";
    assert_eq!(status_and_body(&answer), (400, refused(400, "PROJECT_LIMIT_REACHED", message)));
    server.call_as(&owner, Method::DELETE, &format!("/api/projects/{id}"), None).await.result();
    assert_eq!(server.call_as(&owner, Method::POST, &path, Some(&body)).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_see_a_project_and_its_owners_and_administrators_change_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let maker = server.member_of(&owner.org, Role::Workspaces).await;
    let second = server.member_of(&owner.org, Role::User).await;
    let editor = server.member_of(&owner.org, Role::Workspaces).await;
    let stranger = server.member_of(&owner.org, Role::Workspaces).await;
    let admin = server.member_of(&owner.org, Role::Administrator).await;
    let id = server.project(&maker, "a").await;
    let put = put_member(&server, &maker, &id, &second.user, "owner").await;
    let expected = json!({ "userId": second.user, "role": "OWNER" });
    assert_eq!(status_and_body(&put), (200, wrapped(200, "Project member saved successfully", &expected)));
    put_member(&server, &second, &id, &editor.user, "EDITOR").await.result();
    let path = format!("/api/projects/{id}");
    // (caller, sees it, changes it)
    let table = [
        (&maker, true, true),
        (&second, true, true),
        (&editor, true, false),
        (&stranger, false, false),
        (&admin, true, true),
        (&owner, true, true),
    ];
    for (who, sees, changes) in table {
        let allowed = |may: bool| if may { 200 } else { 403 };
        let member = format!("{path}/members/{}", editor.user);
        let calls = [
            (Method::GET, path.clone(), None, sees),
            (Method::PUT, path.clone(), Some(json!({ "name": "a" })), changes),
            (Method::PUT, member.clone(), Some(json!({ "role": "EDITOR" })), changes),
        ];
        for (method, path, body, may) in calls {
            let answer = server.call_as(who, method.clone(), &path, body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), allowed(may), "{method} {path}: {answer:?}");
        }
        let list = server.call_as(who, Method::GET, &format!("/api/organizations/{}/projects", owner.org), None).await;
        assert_eq!(list.result().as_array().map(Vec::len), Some(usize::from(sees)), "the list shows the same");
        if !changes {
            for path in [&path, &member] {
                let answer = server.call_as(who, Method::DELETE, path, None).await;
                assert_eq!(answer.refusal(), (403, "ACCESS_DENIED".to_owned()));
            }
        }
    }
    let members = server.call_as(&editor, Method::GET, &path, None).await.result()["members"].clone();
    let mut expected = [(&maker, "OWNER"), (&second, "OWNER"), (&editor, "EDITOR")];
    expected.sort_by(|a, b| b.0.user.cmp(&a.0.user));
    let expected: Vec<_> = expected.iter().map(|(who, role)| json!({ "userId": who.user, "role": role })).collect();
    assert_eq!(members, json!(expected));
    for who in [&editor, &maker, &second] {
        let removed = server.call_as(&second, Method::DELETE, &format!("{path}/members/{}", who.user), None).await;
        assert_eq!(status_and_body(&removed), (200, wrapped(200, "Project member removed successfully", &json!(true))));
        assert_eq!(server.call_as(who, Method::GET, &path, None).await.refusal().0, 403);
    }
    assert_eq!(server.call_as(&admin, Method::GET, &path, None).await.result()["members"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_active_users_of_the_organization_can_be_members() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let deleted = server.member_of(&owner.org, Role::User).await;
    let id = server.project(&owner, "a").await;
    delete_person(&server, &deleted);
    let missing = owner.user.replace("user-0", "user-1");
    for user in [&other.user, &deleted.user, &missing, "user-1", "%7B%7D"] {
        let put = put_member(&server, &owner, &id, user, "OWNER").await;
        assert_eq!(status_and_body(&put), (404, refused(404, "USER_NOT_FOUND", "User not found")), "{user}");
        let path = format!("/api/projects/{id}/members/{user}");
        let removed = server.call_as(&owner, Method::DELETE, &path, None).await;
        let message = "The user is not a member of the project";
        assert_eq!(status_and_body(&removed), (404, refused(404, "MEMBER_NOT_FOUND", message)), "{user}");
    }
    for role in [json!("MEMBER"), json!(""), json!(255), Value::Null] {
        let path = format!("/api/projects/{id}/members/{}", owner.user);
        let answer = server.call_as(&owner, Method::PUT, &path, Some(&json!({ "role": role }))).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_manage_a_project_whose_only_owner_was_deleted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let maker = server.member_of(&owner.org, Role::Workspaces).await;
    let heir = server.member_of(&owner.org, Role::User).await;
    let id = server.project(&maker, "a").await;
    let (_, key) = server.api_key(&owner, Role::User, &[&id]).await;
    delete_person(&server, &maker);
    let path = format!("/api/projects/{id}");
    assert_eq!(server.call_as(&maker, Method::GET, &path, None).await.refusal().0, 401);
    assert_eq!(server.call_as(&owner, Method::GET, &path, None).await.result()["members"], json!([]));
    let key = server.call_with_key(&key, Method::GET, &path, None).await;
    assert_eq!(key.result()["members"], json!([]), "its API keys stay valid");
    put_member(&server, &owner, &id, &heir.user, "OWNER").await.result();
    server.call_as(&heir, Method::PUT, &path, Some(&json!({ "name": "b" }))).await.result();
    let member = format!("{path}/members/{}", maker.user);
    server.call_as(&heir, Method::DELETE, &member, None).await.result();
    assert_eq!(server.call_as(&heir, Method::DELETE, &member, None).await.refusal().0, 404, "it was removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_another_organization_looks_missing() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let theirs = server.project(&other, "a").await;
    let (_, whole_key) = server.api_key(&owner, Role::Administrator, &[]).await;
    let before = entries(&server.database).await.len();
    let calls = [
        (Method::GET, "", None),
        (Method::PUT, "", Some(json!({ "name": "b" }))),
        (Method::DELETE, "", None),
        (Method::PUT, "/members/USER", Some(json!({ "role": "OWNER" }))),
        (Method::DELETE, "/members/USER", None),
        (Method::GET, "/api-keys", None),
        (
            Method::PUT,
            "/api-keys",
            Some(
                json!({ "id": 1, "name": "b", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0 }),
            ),
        ),
    ];
    let missing = theirs.replace("project-0", "project-1");
    for (method, path, body) in calls {
        for project in [&theirs, &missing, "project-1", "%7B%7D"] {
            for user in [&owner.user, &other.user] {
                let path = format!("/api/projects/{project}{}", path.replace("USER", user));
                let answer = server.call_as(&owner, method.clone(), &path, body.as_ref()).await;
                let expected = (404, refused(404, "PROJECT_NOT_FOUND", "Project not found"));
                assert_eq!(status_and_body(&answer), expected, "{method} {path}");
            }
        }
    }
    assert_eq!(entries(&server.database).await.len(), before, "a missing project leaves no entry");
    for project in [&theirs, &missing] {
        let answer = server.call_with_key(&whole_key, Method::GET, &format!("/api/projects/{project}"), None).await;
        assert_eq!(answer.refusal(), (403, "API_KEY_NOT_ALLOWED".to_owned()));
    }
    let untouched = server.call_as(&other, Method::GET, &format!("/api/projects/{theirs}"), None).await.result();
    assert_eq!((&untouched["name"], untouched["members"].as_array().map(Vec::len)), (&json!("a"), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_of_projects_reads_only_those() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let (first, second) = (server.project(&owner, "a").await, server.project(&owner, "b").await);
    let (third, theirs) = (server.project(&owner, "c").await, server.project(&other, "d").await);
    let (_, key) = server.api_key(&owner, Role::Administrator, &[&first, &second]).await;
    for (project, status) in [(&first, 200), (&second, 200), (&third, 403), (&theirs, 403)] {
        let answer = server.call_with_key(&key, Method::GET, &format!("/api/projects/{project}"), None).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    }
    for method in [Method::PUT, Method::DELETE] {
        let body = (method == Method::PUT).then(|| json!({ "name": "e" }));
        let answer = server.call_with_key(&key, method, &format!("/api/projects/{first}"), body.as_ref()).await;
        assert_eq!(answer.refusal(), (403, "API_KEY_NOT_ALLOWED".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_project_deletes_the_keys_that_belong_only_to_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (first, second) = (server.project(&owner, "a").await, server.project(&owner, "b").await);
    let (alone, alone_secret) = server.api_key(&owner, Role::Administrator, &[&first]).await;
    let (_, shared_secret) = server.api_key(&owner, Role::Administrator, &[&first, &second]).await;
    let (_, whole_secret) = server.api_key(&owner, Role::Administrator, &[]).await;
    server.call_as(&owner, Method::DELETE, &format!("/api/projects/{first}"), None).await.result();
    let deleted = entries(&server.database).await.pop().expect("an entry");
    let detail = json!({ "apiKeys": [alone.to_string()] }).to_string();
    assert_eq!((deleted.action.as_str(), deleted.detail), ("project.delete", Some(detail)));
    let mut server = server;
    for round in ["at once", "after a restart"] {
        let answer = server.call_with_key(&alone_secret, Method::GET, "/node", None).await;
        assert_eq!(answer.refusal(), (401, "API_KEY_NOT_FOUND".to_owned()), "{round}");
        let path = format!("/api/projects/{second}");
        server.call_with_key(&shared_secret, Method::GET, &path, None).await.result();
        let answer = server.call_with_key(&shared_secret, Method::GET, "/node", None).await;
        assert_eq!(answer.refusal(), (403, "API_KEY_NOT_ALLOWED".to_owned()), "{round}");
        let asked = json!({ "apiKey": shared_secret });
        let verified = server.call_as(&owner, Method::POST, "/api/api-keys/verify", Some(&asked)).await.result();
        assert_eq!(verified["projects"], json!([second]), "{round}");
        let whole = server.call_with_key(&whole_secret, Method::GET, "/node", None).await;
        assert_eq!(whole.status, StatusCode::OK, "{round}");
        server = server.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_filtered_by_project() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (first, second) = (server.project(&owner, "a").await, server.project(&owner, "b").await);
    put_member(&server, &owner, &first, &owner.user, "OWNER").await.result();
    let (key, _) = server.api_key(&owner, Role::User, &[&first]).await;
    server.api_key(&owner, Role::User, &[&first, &second]).await;
    let path = format!("/api/organizations/{}/api-keys/{key}", owner.org);
    let rotate = json!({ "overlapSeconds": 60 });
    server.call_as(&owner, Method::POST, &format!("{path}/rotate"), Some(&rotate)).await.result();
    server.call_as(&owner, Method::DELETE, &path, None).await.result();
    server.call_as(&owner, Method::DELETE, &format!("/api/projects/{first}"), None).await.result();
    let wanted = json!({ "workspaceId": first, "take": 100 });
    let page = server.call_as(&owner, Method::POST, "/systemevent", Some(&wanted)).await.json();
    let events = page["events"].as_array().expect("events").iter();
    assert!(events.clone().all(|event| event["workspaceId"] == json!(first)));
    let word = |event: &Value, field: &str| event[field].as_str().expect("a word").to_owned();
    let shown: Vec<_> = events.map(|event| format!("{} {}", word(event, "context"), word(event, "event"))).collect();
    let expected = [
        "workspace deleted",
        "apikey deleted",
        "apikey created",
        "apikey updated",
        "apikey created",
        "workspaceuser updated",
        "workspace created",
    ];
    assert_eq!(shown, expected);
}
