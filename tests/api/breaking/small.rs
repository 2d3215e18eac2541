//! What breaks a client and what does not, shown on a small document.

use serde_json::{Value, json};

use super::breaks;

/// A document with one of everything that is compared.
fn small() -> Value {
    json!({
        "paths": {
            "/keys/{id}": {
                "put": {
                    "operationId": "putKey", "summary": "Put", "security": [{ "token": [] }, { "key": [] }],
                    "parameters": [
                        { "name": "id", "in": "path", "required": true, "schema": { "type": "string", "maxLength": 10 } },
                        { "name": "take", "in": "query", "required": false, "schema": { "type": "integer", "maximum": 9 } },
                    ],
                    "requestBody": { "required": true, "content": {
                        "application/json": { "schema": { "$ref": "#/components/schemas/Put" } },
                        "text/plain": { "schema": { "type": "string" } },
                    } },
                    "responses": {
                        "200": { "headers": { "X-Count": { "schema": { "type": "string" } } }, "content": {
                            "application/json": { "schema": { "$ref": "#/components/schemas/Key" } },
                            "text/plain": { "schema": { "type": "string" } },
                        } },
                        "404": { "content": {} },
                    },
                },
                "get": { "operationId": "getKey", "security": [], "responses": { "204": {} } },
            },
        },
        "components": { "schemas": {
            "Put": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 9 },
                "role": { "type": "string", "enum": ["A", "B"], "nullable": true },
                "tags": { "type": "array", "items": { "type": "string" } },
            } },
            "Key": { "type": "object", "required": ["id", "at"], "properties": {
                "id": { "type": "string" },
                "at": { "type": "string", "format": "date-time" },
                "role": { "type": "string", "enum": ["A", "B"] },
                "nodes": { "type": "array", "items": { "type": "object", "required": ["ip"], "properties": { "ip": { "type": "string" } } } },
            } },
        } },
    })
}

/// The small document with one thing set, or removed where it is null.
fn changed(pointer: &str, value: Value) -> Value {
    let mut document = small();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} is not there")) {
        Value::Object(map) if value.is_null() => {
            let name = name.replace("~1", "/");
            assert!(map.remove(&name).is_some(), "{pointer} is not there");
        }
        Value::Object(map) => drop(map.insert(name.replace("~1", "/"), value)),
        Value::Array(items) if value.is_null() => drop(items.remove(name.parse().expect("a number"))),
        Value::Array(items) => items.push(value),
        _ => panic!("{parent} holds nothing"),
    }
    assert_ne!(document, small(), "{pointer} changes nothing");
    document
}

#[test]
fn what_breaks_a_client_is_found_and_named() {
    let put = "/paths/~1keys~1{id}/put";
    let (body, answer) = ("/components/schemas/Put", "/components/schemas/Key");
    let wanted = json!({ "name": "x", "in": "query", "required": true, "schema": { "type": "string" } });
    let changes = [
        ("/paths/~1keys~1{id}".to_owned(), Value::Null, "put /keys/{id} is gone"),
        (put.to_owned(), Value::Null, "put /keys/{id} is gone"),
        (format!("{put}/operationId"), json!("setKey"), "is now called \"setKey\""),
        (format!("{put}/security/1"), Value::Null, "the credential {\"key\":[]} is refused"),
        (format!("{put}/parameters/2"), wanted, "wants the parameter \"x\""),
        (format!("{put}/parameters/1/required"), json!(true), "wants the parameter \"take\""),
        (format!("{put}/parameters/1"), Value::Null, "the parameter \"take\" is gone"),
        (format!("{put}/parameters/1/in"), json!("header"), "the parameter \"take\" is gone"),
        (format!("{put}/parameters/1/schema/maximum"), json!(8), "\"take\": maximum is 8"),
        (
            format!("{put}/parameters/1/schema/type"),
            json!("string"),
            "\"take\": type was \"integer\" and is \"string\"",
        ),
        (format!("{put}/parameters/0/schema/pattern"), json!("^a$"), "\"id\" must look like \"^a$\""),
        (format!("{put}/requestBody/content/text~1plain"), Value::Null, "takes no text/plain"),
        (format!("{put}/responses/200"), Value::Null, "the status 200 is gone"),
        (format!("{put}/responses/200/content/text~1plain"), Value::Null, "200: gives no text/plain"),
        (format!("{put}/responses/200/headers/X-Count"), Value::Null, "200: the header X-Count is gone"),
        (format!("{body}/required/1"), json!("tags"), "body/tags is wanted"),
        (format!("{body}/properties/tags"), Value::Null, "body/tags is gone"),
        (format!("{body}/properties/name/maxLength"), json!(8), "body/name: maxLength is 8"),
        (format!("{body}/properties/name/minLength"), json!(2), "body/name: minLength is 2"),
        (format!("{body}/properties/role/nullable"), json!(false), "body/role must not be null"),
        (format!("{body}/properties/role/enum/0"), Value::Null, "body/role: \"A\" is no value any more"),
        (format!("{body}/properties/name/enum"), json!(["x"]), "body/name must be one of [\"x\"]"),
        (format!("{body}/properties/tags/items/maxLength"), json!(5), "body/tags/*: maxLength is 5"),
        (format!("{body}/properties/tags/maxItems"), json!(5), "body/tags: maxItems is 5"),
        (format!("{answer}/required/0"), Value::Null, "200/id may be missing"),
        (format!("{answer}/properties/role"), Value::Null, "200/role is gone"),
        (format!("{answer}/properties/id/nullable"), json!(true), "200/id may be null"),
        (format!("{answer}/properties/id/type"), json!("integer"), "200/id: type was \"string\" and is \"integer\""),
        (format!("{answer}/properties/at/format"), Value::Null, "200/at: format was \"date-time\" and is null"),
        (format!("{answer}/properties/role/enum/1"), Value::Null, "200/role: \"B\" is no value any more"),
        (format!("{answer}/properties/nodes/items/properties/ip"), Value::Null, "200/nodes/*/ip is gone"),
    ];
    for (pointer, value, what) in changes {
        let found = breaks(&small(), &changed(&pointer, value));
        assert!(found.contains(&("putKey".to_owned(), what.to_owned())), "{pointer}: {found:?}");
    }
    let closed = changed("/paths/~1keys~1{id}/get/security/0", json!({ "token": [] }));
    assert_eq!(breaks(&small(), &closed), [("getKey".to_owned(), "wants a credential".to_owned())]);
}

#[test]
fn what_breaks_no_client_passes() {
    let put = "/paths/~1keys~1{id}/put";
    let (body, answer) = ("/components/schemas/Put", "/components/schemas/Key");
    let text = json!({ "type": "string" });
    for (pointer, value) in [
        ("/paths/~1nodes".to_owned(), json!({ "get": { "operationId": "getNodes", "responses": {} } })),
        ("/paths/~1keys~1{id}/delete".to_owned(), json!({ "operationId": "deleteKey", "responses": {} })),
        (format!("{put}/summary"), json!("Puts a key")),
        (format!("{put}/security/2"), json!({ "certificate": [] })),
        (format!("{put}/parameters/2"), json!({ "name": "x", "in": "query", "required": false, "schema": text })),
        (format!("{put}/parameters/1/schema/maximum"), json!(10)),
        (format!("{put}/parameters/0/schema/maxLength"), Value::Null),
        (format!("{put}/responses/404"), Value::Null),
        (format!("{put}/responses/409"), json!({ "content": {} })),
        (format!("{put}/responses/201"), json!({ "content": {} })),
        (format!("{body}/required/0"), Value::Null),
        (format!("{body}/properties/note"), text.clone()),
        (format!("{body}/properties/note"), json!({ "type": "string", "maxLength": 5 })),
        (format!("{body}/properties/role/enum/2"), json!("C")),
        (format!("{body}/properties/name/nullable"), json!(true)),
        (format!("{body}/properties/tags/minItems"), json!(0)),
        (format!("{answer}/properties/note"), text),
        (format!("{answer}/required/2"), json!("role")),
        (format!("{answer}/properties/id/example"), json!("key-1")),
    ] {
        assert_eq!(breaks(&small(), &changed(&pointer, value)), [], "{pointer}");
    }
}
