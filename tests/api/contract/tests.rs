//! Each kind of fault is detected, and correct responses pass.

use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::{Answer, judge, misfit, operation};
use crate::openapi::operations;

const KEYS: &str = "/api/organizations/org-1/api-keys";

/// A response with these headers.
fn answer(status: u16, headers: &[(&'static str, &str)], body: &Value) -> Answer {
    let headers = headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: headers.collect::<HeaderMap>(), body: body.into() }
}

fn json_answer(status: u16, body: &Value) -> Answer {
    answer(status, &[("content-type", "application/json; charset=utf-8")], body)
}

/// A response of this schema: the document's example.
fn example(schema: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    let answers = operations().into_iter().filter_map(|(_, _, operation)| operation["responses"].as_object());
    let mut media = answers.flat_map(|answers| answers.values()).map(|answer| &answer["content"]["application/json"]);
    media.find(|media| media["schema"]["$ref"] == *reference).expect("an answer")["example"].clone()
}

fn fault(method: &Method, path: &str, answer: &Answer) -> String {
    judge(method, path, answer).expect_err("a fault")
}

#[test]
fn documented_responses_pass() {
    let secret = example("ApiKeyAnswer");
    let headers = [("content-type", "application/json"), ("cache-control", "no-store"), ("x-request-id", "1")];
    for (method, path, answer) in [
        (Method::GET, "/user/profile", json_answer(200, &example("ProfileAnswer"))),
        (Method::HEAD, "/user/profile", json_answer(200, &Value::Null)),
        (Method::GET, "/user/profile", json_answer(503, &example("Failure"))),
        (Method::POST, KEYS, answer(201, &headers, &secret)),
        (Method::GET, "/", answer(302, &[("location", "console/")], &Value::Null)),
        (Method::GET, "/docs/", answer(200, &[], &Value::Null)),
        (Method::GET, "/console", answer(302, &[("location", "console/")], &Value::Null)),
        (Method::GET, "/nothing", json_answer(404, &json!({ "success": false, "errorCode": "NO_SUCH_PATH" }))),
        (Method::GET, "/nothing", answer(431, &[], &Value::Null)),
        (Method::GET, "/token", json_answer(413, &json!({ "success": false, "errorCode": "BODY_TOO_LARGE" }))),
    ] {
        assert_eq!(judge(&method, path, &answer), Ok(()), "{method} {path}");
    }
}

#[test]
fn undocumented_parts_of_a_response_are_faults() {
    let (get, post) = (Method::GET, Method::POST);
    let profile = example("ProfileAnswer");
    assert_eq!(fault(&get, "/user/profile", &json_answer(201, &profile)), "the status 201");
    assert_eq!(fault(&get, "/user/profile", &json_answer(404, &example("Failure"))), "the status 404");
    let nowhere = "neither an operation nor known beside them";
    assert_eq!(fault(&get, "/nothing", &json_answer(200, &profile)), nowhere);
    assert_eq!(fault(&Method::PATCH, "/user/profile", &json_answer(200, &profile)), nowhere);
    let refused = json!({ "success": false, "errorCode": "METHOD_NOT_ALLOWED" });
    assert_eq!(fault(&Method::PATCH, "/user/profile", &json_answer(405, &refused)), nowhere, "without Allow");
    let refused = json!({ "success": false, "errorCode": "NO_SUCH_PATH" });
    assert_eq!(fault(&get, "/user/profile", &json_answer(404, &refused)), "the status 404", "the path exists");
    let html = answer(200, &[("content-type", "text/html")], &profile);
    assert_eq!(fault(&get, "/user/profile", &html), "the media type \"text/html\"");
    assert_eq!(fault(&get, "/user/profile", &answer(200, &[], &profile)), "the media type \"\"");
    let more = answer(200, &[("content-type", "application/json"), ("x-more", "1")], &profile);
    assert_eq!(fault(&get, "/user/profile", &more), "the header x-more");
    let secret = json_answer(201, &example("ApiKeyAnswer"));
    assert_eq!(fault(&post, KEYS, &secret), "the header cache-control is missing");
    let list = [("content-type", "application/json"), ("x-total-count", "many")];
    assert!(
        fault(&get, KEYS, &answer(200, &list, &example("ApiKeyListAnswer"))).starts_with("the header x-total-count")
    );
    assert_eq!(fault(&get, "/", &answer(302, &[("location", "console/")], &json!("more"))), "a body");
    assert!(
        fault(&get, KEYS, &json_answer(403, &example("Failure"))).contains("/errors is missing"),
        "the format of the other family"
    );
    let mut wrong = profile;
    wrong["data"]["orgRole"] = json!("USER");
    assert!(fault(&get, "/user/profile", &json_answer(200, &wrong)).starts_with("/data/orgRole is \"USER\""));
}

#[test]
fn a_literal_path_segment_comes_before_a_variable() {
    let id = |method: Method, path| operation(&method, path).map(|operation| operation.document["operationId"].clone());
    assert_eq!(id(Method::GET, "/organization/users"), Some(json!("listUsers")));
    assert_eq!(id(Method::GET, "/organization/org-1"), Some(json!("getOrganization")));
    assert_eq!(id(Method::PUT, "/organization/users"), None, "the router prefers the literal");
    assert_eq!(id(Method::GET, "/organization/users/key"), Some(json!("getUser")));
    assert_eq!(id(Method::GET, "/organization/org-1/key"), Some(json!("listOrganizationKeys")));
    assert_eq!(id(Method::GET, "/organization/org-1/nodes"), Some(json!("listNodes")));
    assert_eq!(id(Method::GET, "/organization//nodes"), None);
    assert_eq!(id(Method::HEAD, "/token"), Some(json!("listTokens")));
}

#[test]
fn every_schema_keyword_is_checked() {
    let text = |more: &Value| {
        let mut schema = json!({ "type": "string" });
        schema.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        schema
    };
    let number = |more: Value| json!({ "type": "integer", "format": more[0], "minimum": more[1], "maximum": more[2] });
    let thing = json!({
        "type": "object", "required": ["id"],
        "properties": { "id": { "type": "integer" }, "errorCode": { "type": "string", "x-alias": "error_code" } },
    });
    for (schema, right, wrong) in [
        (json!({ "type": "string" }), json!("a"), json!(1)),
        (json!({ "type": "boolean" }), json!(true), json!("true")),
        (json!({ "type": "integer" }), json!(1), json!(1.5)),
        (json!({ "type": "integer" }), json!(-1), json!("1")),
        (json!({ "type": "integer" }), json!(1), Value::Null),
        (json!({ "type": "object" }), json!({}), json!([])),
        (text(&json!({ "nullable": true })), Value::Null, json!(1)),
        (text(&json!({ "enum": ["a", "b"] })), json!("b"), json!("c")),
        (text(&json!({ "pattern": "^a+$" })), json!("aa"), json!("ab")),
        (text(&json!({ "minLength": 2 })), json!("äö"), json!("ä")),
        (text(&json!({ "maxLength": 2 })), json!("äö"), json!("abc")),
        (text(&json!({ "format": "date-time" })), json!("2024-01-15T10:30:00.000Z"), json!("2024-01-15T10:30:00Z")),
        (text(&json!({ "format": "date-time" })), json!("9999-12-31T23:59:59.999Z"), json!("2024-13-15T10:30:00Z")),
        (number(json!(["int64", 1, 3])), json!(3), json!(4)),
        (number(json!(["int64", 1, 3])), json!(1), json!(0)),
        (number(json!(["int32", null, null])), json!(2_147_483_647), json!(2_147_483_648_i64)),
        (number(json!(["uint8", null, null])), json!(255), json!(256)),
        (number(json!(["uint16", null, null])), json!(65_535), json!(65_536)),
        (number(json!(["uint32", null, null])), json!(4_294_967_295_i64), json!(-1)),
        (json!({ "type": "array", "items": { "type": "integer" } }), json!([1, 2]), json!([1, "2"])),
        (json!({ "type": "array", "maxItems": 1, "items": { "type": "integer" } }), json!([1]), json!([1, 2])),
        (thing.clone(), json!({ "id": 1 }), json!({})),
        (thing.clone(), json!({ "id": 1, "errorCode": "A" }), json!({ "id": 1, "error": "A" })),
        (thing, json!({ "id": 1, "error_code": "A" }), json!({ "id": 1, "error_code": 1 })),
    ] {
        let schema: &'static Value = Box::leak(Box::new(schema));
        assert_eq!(misfit("", &right, schema), None, "{schema}");
        assert!(misfit("", &wrong, schema).is_some(), "{schema}: {wrong}");
    }
    let nested = Box::leak(Box::new(json!({ "$ref": "#/components/schemas/ProfileAnswer" })));
    let mut profile = example("ProfileAnswer");
    profile["data"]["orgRoles"][1] = Value::Null;
    assert!(misfit("", &profile, nested).expect("a fault").starts_with("/data/orgRoles/1 is null"));
}

#[test]
#[should_panic(expected = "unsupported keywords")]
fn an_unsupported_schema_keyword_panics() {
    let schema = Box::leak(Box::new(json!({ "type": "integer", "multipleOf": 2 })));
    misfit("", &json!(1), schema);
}
