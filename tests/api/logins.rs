//! Signing in: accepted input, indistinguishable failures, and the upgrade of weak hashes.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Server, entries};
use crate::sessions::{PASSWORD, actions, change, conn, count, log_in, person};

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_get_the_same_response_whatever_the_reason() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut people = Vec::new();
    for _ in 0..3 {
        people.push(person(&server, &owner.org, Role::User).await);
    }
    let [ada, deleted, new] = people.try_into().map_err(|_| ()).expect("three");
    let invited = person(&server, &owner.org, Role::User).await;
    change(&server, &format!("UPDATE person SET deleted_at = 0, deleted_by = 255 WHERE email = '{}'", deleted.email));
    change(&server, &format!("UPDATE person SET validated = 0 WHERE email = '{}'", new.email));
    change(&server, &format!("UPDATE person SET validated = 0, password = NULL WHERE email = '{}'", invited.email));
    let before = entries(&server.database).await.len();
    let wrong = [
        (ada.email.as_str(), "correct horse battery stapl"),
        ("nobody@example.org", PASSWORD),
        ("no address at all", PASSWORD),
        (&deleted.email, "another password"),
        (&new.email, "another password"),
        (&invited.email, PASSWORD),
    ];
    let mut told = Vec::new();
    for (email, password) in wrong {
        let mut answer = log_in(&server, "127.0.0.1", email, password).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        for header in ["x-request-id", "date"] {
            answer.headers.remove(header);
        }
        told.push(answer);
    }
    let expected = json!({
        "success": false, "message": "Wrong email address or password",
        "errorCode": "INVALID_CREDENTIALS", "error_code": "INVALID_CREDENTIALS",
    });
    assert_eq!((told[0].status, told[0].json()), (StatusCode::UNAUTHORIZED, expected));
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
    assert_eq!(count(&server, "SELECT count(*) FROM wrong_password"), 6, "each is recorded alike");
    for person in [deleted, new] {
        let answer = log_in(&server, "127.0.0.1", &person.email, PASSWORD).await;
        assert_eq!(answer.refusal(), (401, "USER_INACTIVE".to_owned()), "only for the right password");
        assert_eq!(answer.json()["error_code"], "USER_INACTIVE");
    }
    assert_eq!(actions(&server, before).await, Vec::<String>::new());
    assert_eq!(count(&server, "SELECT count(*) FROM token WHERE refresh_until IS NOT NULL"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_fields_are_validated_and_device_names_truncated() {
    let server = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.1")).await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let body = |email: &str, password: &str, device: Value| json!({ "email": email, "password": password, "deviceInfo": device });
    let (device, longest) = ("ö".repeat(200), format!("{}@example.org", "a".repeat(242)));
    let taken = [
        (body(&ada.email, PASSWORD, json!(device)), 200, ""),
        (body(&ada.email, PASSWORD, json!({ "os": "Linux" })), 200, ""),
        (body(&ada.email, PASSWORD, json!({ "userAgent": "Firefox" })), 200, ""),
        (body(&ada.email, PASSWORD, Value::Null), 200, ""),
        (json!({ "email": ada.email, "password": PASSWORD, "id": "user-1", "orgRole": 255 }), 200, ""),
        (body(&longest, PASSWORD, json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, &"a".repeat(1_024), json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, "a", json!("")), 401, "INVALID_CREDENTIALS"),
        (body(&ada.email, "\n", json!("")), 401, "INVALID_CREDENTIALS"),
        // The device name is truncated, not refused.
        (body(&ada.email, PASSWORD, json!(format!("{device}ö"))), 200, ""),
        (body(&ada.email, PASSWORD, json!("a\nb")), 200, ""),
        (body(&format!("{longest}a"), PASSWORD, json!("")), 400, "INVALID_FIELD"),
        (body("a\u{0}@example.org", PASSWORD, json!("")), 400, "INVALID_FIELD"),
        (body("", PASSWORD, json!("")), 400, "INVALID_FIELD"),
        (body(&ada.email, &format!("{}ö", "a".repeat(1_023)), json!("")), 400, "INVALID_FIELD"),
        (body(&ada.email, "", json!("")), 400, "INVALID_FIELD"),
        (json!({ "email": ada.email }), 400, "INVALID_FIELD"),
        (json!({ "email": ada.email, "password": 1 }), 400, "INVALID_FIELD"),
        (json!([ada.email, PASSWORD]), 400, "INVALID_FIELD"),
    ];
    for (body, status, code) in taken {
        let answer = server.call(Method::POST, "/user/login", Some(&body)).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        if status != 200 {
            assert_eq!((&answer.json()["errorCode"], &answer.json()["error_code"]), (&json!(code), &json!(code)));
        }
    }
    let devices = "SELECT group_concat(coalesce(device, '-'), '|') FROM (SELECT device FROM token WHERE refresh_until > 0 ORDER BY id)";
    let devices: String = conn(&server).query_row(devices, [], |row| row.get(0)).expect("text");
    assert_eq!(devices, format!("{device}|-|Firefox|-|-|{device}|ab"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_hash_is_replaced_at_the_next_successful_login() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ada = person(&server, &owner.org, Role::User).await;
    let mut hash = [0; 32];
    let params = Params::new(64, 1, 1, None).expect("parameters");
    let memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(PASSWORD.as_bytes(), &[1; 16], &mut hash, memory).expect("a hash");
    let [salt, hash] = [&[1; 16][..], &hash].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes));
    let weak = format!("$argon2id$v=19$m=64,t=1,p=1${salt}${hash}");
    change(&server, &format!("UPDATE person SET password = '{weak}' WHERE email = '{}'", ada.email));
    let stored = || -> String {
        let sql = "SELECT password FROM person WHERE email = ?1";
        conn(&server).query_row(sql, [&ada.email], |row| row.get(0)).expect("a hash")
    };
    assert_eq!(log_in(&server, "127.0.0.1", &ada.email, "another password").await.refusal().0, 401);
    assert_eq!(stored(), weak);
    ada.session(&server).await;
    let strong = stored();
    assert!(strong.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{strong}");
    ada.session(&server).await;
    assert_eq!(stored(), strong, "it is upgraded only once");
}
