//! The read marks of each user.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use super::{ids, page};
use crate::harness::{Answer, Identity, Server, entries, with_body};

async fn mark(server: &Server, who: &Identity, method: Method, query: &str, body: Option<&Value>) -> Answer {
    server.call_as(who, method, &format!("/systemevent/read{query}"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn read_marks_belong_to_each_user_and_apply_to_filter_and_response() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let admin = server.member_of(&owner.org, Role::Administrator).await;
    let all = ids(&server, &owner, &json!({})).await;
    let unread = json!({ "showUnread": true });
    let done = mark(&server, &owner, Method::POST, "", Some(&json!({ "id": all[0] }))).await;
    assert_eq!((done.status, done.json()), (StatusCode::OK, json!({ "success": true })));
    assert_eq!(ids(&server, &owner, &unread).await, all[1..]);
    assert_eq!(ids(&server, &admin, &unread).await, all, "another user's marks do not count");
    let (shown, _) = page(&server, &owner, &json!({}), "showUnread").await;
    assert_eq!(shown.iter().filter(|unread| **unread == json!(false)).count(), 1);
    assert_eq!(shown[0], json!(false));
    let some = json!({ "ids": [all[1], all[2]], "id": all[0] });
    for _ in 0..2 {
        assert_eq!(
            mark(&server, &owner, Method::POST, "", Some(&some)).await.status,
            StatusCode::OK,
            "marking is idempotent"
        );
        assert_eq!(ids(&server, &owner, &unread).await, all[3..]);
    }
    let query = format!("?ids={},%20{}", all[0], all[1]);
    for _ in 0..2 {
        assert_eq!(mark(&server, &owner, Method::DELETE, &query, None).await.json(), json!({ "success": true }));
        let left: Vec<i64> = all[..2].iter().chain(&all[3..]).copied().collect();
        assert_eq!(ids(&server, &owner, &unread).await, left);
    }
    assert_eq!(mark(&server, &owner, Method::DELETE, "", Some(&json!({ "id": all[2] }))).await.status, StatusCode::OK);
    assert_eq!(mark(&server, &owner, Method::POST, &format!("?ids={}", all[4]), None).await.status, StatusCode::OK);
    let left: Vec<i64> = all.iter().copied().filter(|id| *id != all[4]).collect();
    assert_eq!(ids(&server, &owner, &unread).await, left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_marks_1_to_1000_ids() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let many = |count: i64| json!({ "ids": (1..=count).collect::<Vec<_>>() });
    let listed = |count: i64| format!("?ids={}", (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(","));
    for method in [Method::POST, Method::DELETE] {
        let cases = [
            (String::new(), Some(many(1_000)), 200),
            (String::new(), Some(many(1_001)), 400),
            (listed(1_000), None, 200),
            (listed(1_001), None, 400),
            ("?ids=1".to_owned(), Some(many(999)), 200),
            ("?ids=1".to_owned(), Some(many(1_000)), 400),
            (String::new(), None, 400),
            (String::new(), Some(json!({})), 400),
            (String::new(), Some(json!({ "ids": [] })), 400),
            (String::new(), Some(json!({ "id": 0, "ids": [-1] })), 400),
            (String::new(), Some(json!({ "id": 1, "ids": [0] })), 400),
            (String::new(), Some(json!({ "id": "1" })), 400),
            ("?ids=".to_owned(), None, 400),
            ("?ids=1,x".to_owned(), None, 400),
            (String::new(), Some(json!({ "id": i64::MAX })), 200),
        ];
        for (query, body, status) in cases {
            let answer = mark(&server, &owner, method.clone(), &query, body.as_ref()).await;
            let case =
                format!("{method} {} {:?}", &query[..query.len().min(20)], body.map(|body| body.to_string().len()));
            assert_eq!(answer.status.as_u16(), status, "{case}: {answer:?}");
            if status == 400 {
                assert_eq!(answer.refusal().1, "INVALID_FIELD", "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marking_ignores_events_of_other_organizations() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let (own, others) = (ids(&server, &owner, &json!({})).await, ids(&server, &other, &json!({})).await);
    // Nor are entries marked that are no events, such as that of the list.
    let unseen = entries(&server.database).await.into_iter().rfind(|entry| entry.org == owner.org);
    let unseen = unseen.filter(|entry| entry.change.is_none()).expect("the list is recorded").id;
    let both = json!({ "ids": own.iter().chain(&others).chain([&unseen]).collect::<Vec<_>>() });
    let unread = json!({ "showUnread": true });
    assert_eq!(mark(&server, &owner, Method::POST, "", Some(&both)).await.json(), json!({ "success": true }));
    let recorded = entries(&server.database).await.pop().expect("an entry").detail.expect("a detail");
    assert_eq!(recorded, json!({ "read": true, "count": own.len() }).to_string(), "foreign events were not marked");
    assert_eq!(ids(&server, &owner, &unread).await, Vec::<i64>::new());
    assert_eq!(ids(&server, &other, &unread).await, others);
    assert_eq!(mark(&server, &other, Method::DELETE, "", Some(&both)).await.status, StatusCode::OK);
    assert_eq!(ids(&server, &owner, &unread).await, Vec::<i64>::new(), "nor can another organization unmark them");
    let request =
        server.request(Method::POST, "/systemevent/read").header("authorization", format!("Bearer {}", owner.token));
    assert_eq!(
        server.send(with_body(request, Some(&json!({ "ids": others })))).await.status,
        StatusCode::OK,
        "foreign ids are ignored silently"
    );
}
