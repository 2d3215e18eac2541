//! Every kind of breaking change is detected, and compatible changes pass.

use serde_json::{Value, json};

use super::compare::breaks;

/// A change at a place of the document: its new value, or `None` to remove it.
type Change<'a> = (&'a str, Option<Value>);

const GET: &str = "/paths/~1things/get";
const ID: &str = "/paths/~1things/get/parameters/0";
const BODY: &str = "/paths/~1things/post/requestBody";
const IN: &str = "/components/schemas/NewThing";
const OUT: &str = "/components/schemas/Thing";

fn small() -> Value {
    let answer = |schema: &str| {
        let content = json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
        let header = json!({ "required": true, "schema": { "type": "string" } });
        json!({ "description": "It.", "headers": { "X-Total": header }, "content": content })
    };
    let parameter = json!({ "name": "id", "in": "query", "schema": { "type": "string", "maxLength": 9 } });
    let body = json!({ "content": { "application/json": { "schema": { "$ref": "#/components/schemas/NewThing" } } } });
    json!({
        "security": [{ "bearer": [] }],
        "paths": { "/things": {
            "get": {
                "operationId": "listThings", "tags": ["Things"], "security": [{ "bearer": [] }, { "key": [] }], "parameters": [parameter],
                "responses": { "200": answer("Thing"), "400": answer("Failure") },
            },
            "post": {
                "operationId": "createThing", "security": [], "requestBody": body,
                "responses": { "201": answer("Thing"), "400": answer("Failure") },
            },
            "delete": { "operationId": "deleteThings", "responses": { "200": { "description": "Gone." } } },
        } },
        "components": { "schemas": {
            "Failure": { "type": "object", "properties": { "code": { "type": "string" } } },
            "NewThing": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "x-alias": "thing_name" },
                "count": { "type": "integer", "format": "int32", "minimum": 0, "maximum": 9, "nullable": true },
                "kind": { "$ref": "#/components/schemas/Kind" },
                "tags": { "type": "array", "maxItems": 9, "items": { "type": "string", "maxLength": 9 } },
            } },
            "Thing": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string", "format": "date-time" },
                "state": { "type": "string", "enum": ["ON", "OFF"] },
                "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } },
            } },
            "Kind": { "type": "string", "enum": ["A", "B"] },
        } },
    })
}

/// The small document after a change.
fn changed((pointer, value): &Change<'_>) -> Value {
    let mut document = small();
    let (holder, key) = pointer.rsplit_once('/').expect("a pointer");
    let key = key.replace("~1", "/");
    match (document.pointer_mut(holder).unwrap_or_else(|| panic!("{holder} is not there")), value) {
        (Value::Object(map), Some(value)) => {
            map.insert(key, value.clone());
        }
        (Value::Object(map), None) => {
            map.remove(&key).unwrap_or_else(|| panic!("{pointer} is not there"));
        }
        (Value::Array(list), Some(value)) if key == "-" => list.push(value.clone()),
        (Value::Array(list), None) => {
            list.remove(key.parse().expect("a place"));
        }
        (other, _) => panic!("{pointer} leads into {other}"),
    }
    document
}

/// Checks that each change is reported as breaking, at the expected place and for the expected reason.
fn caught(changes: Vec<(String, Option<Value>, &str)>) {
    for (pointer, value, wanted) in changes {
        let change = (&*pointer, value);
        let found = breaks(&small(), &changed(&change));
        assert!(!found.is_empty() && found.iter().all(|of| of.what.contains(wanted)), "{change:?}: {found:?}");
    }
}

#[test]
fn a_document_is_compatible_with_itself() {
    assert_eq!(breaks(&small(), &small()).len(), 0);
}

#[test]
fn removing_an_operation_or_requiring_more_is_breaking() {
    let required = json!({ "name": "more", "in": "query", "required": true, "schema": { "type": "string" } });
    let bearer = Some(json!([{ "bearer": [] }]));
    caught(vec![
        ("/paths/~1things".to_owned(), None, "is gone"),
        (GET.to_owned(), None, "GET /things is gone"),
        (format!("{GET}/operationId"), Some(json!("getThings")), "has another operationId"),
        (format!("{GET}/tags/0"), None, "has another tag"),
        (format!("{GET}/security"), bearer.clone(), "asks for another credential"),
        (format!("{GET}/security/1/bearer"), Some(json!([])), "asks for another credential"),
        ("/paths/~1things/post/security".to_owned(), bearer, "asks for another credential"),
        ("/security".to_owned(), Some(json!([{ "other": [] }])), "DELETE /things asks for another credential"),
        (ID.to_owned(), None, "the parameter \"id\" is gone"),
        (format!("{ID}/name"), Some(json!("key")), "the parameter \"id\" is gone"),
        (format!("{ID}/in"), Some(json!("header")), "the parameter \"id\" is gone"),
        (format!("{ID}/required"), Some(json!(true)), "became required"),
        (format!("{ID}/schema/maxLength"), Some(json!(8)), "has a smaller maxLength"),
        (format!("{GET}/parameters/-"), Some(required), "is new and required"),
        (format!("{GET}/requestBody"), Some(json!({ "required": true, "content": {} })), "became required"),
    ]);
}

#[test]
fn accepting_fewer_requests_is_breaking() {
    caught(vec![
        (BODY.to_owned(), None, "the body is gone"),
        (format!("{BODY}/required"), Some(json!(true)), "the body became required"),
        (format!("{BODY}/content/application~1json"), None, "application/json is gone"),
        (format!("{IN}/required/-"), Some(json!("count")), ".count became required"),
        (format!("{IN}/properties/count"), None, ".count is gone"),
        (format!("{IN}/properties/count/nullable"), None, ".count may no longer be null"),
        (format!("{IN}/properties/count/minimum"), Some(json!(1)), "has a larger minimum"),
        (format!("{IN}/properties/count/maximum"), Some(json!(8)), "has a smaller maximum"),
        (format!("{IN}/properties/count/exclusiveMaximum"), Some(json!(true)), "has another exclusiveMaximum"),
        (format!("{IN}/properties/count/format"), Some(json!("int64")), "has another format"),
        (format!("{IN}/properties/name/type"), Some(json!("integer")), "has another type"),
        (format!("{IN}/properties/name/x-alias"), None, ".name lost an alias"),
        (format!("{IN}/properties/name/minLength"), Some(json!(2)), "has a larger minLength"),
        (format!("{IN}/properties/name/pattern"), Some(json!("^b")), "has another pattern"),
        (format!("{IN}/properties/name/enum"), Some(json!(["a"])), "has another enum"),
        (format!("{IN}/properties/tags/maxItems"), Some(json!(8)), "has a smaller maxItems"),
        (format!("{IN}/properties/tags/minItems"), Some(json!(1)), "has a larger minItems"),
        (format!("{IN}/properties/tags/items/maxLength"), Some(json!(8)), "has a smaller maxLength"),
        (format!("{IN}/additionalProperties"), Some(json!(false)), "no longer accepts other fields"),
        ("/components/schemas/Kind/enum/0".to_owned(), None, ".kind lost a value of its enum"),
        ("/components/schemas/Kind/enum".to_owned(), None, ".kind has another enum"),
    ]);
}

#[test]
fn removing_or_changing_parts_of_a_response_is_breaking() {
    caught(vec![
        (format!("{GET}/responses/200"), None, "200 is gone"),
        (format!("{GET}/responses/200/content/application~1json"), None, "application/json is gone"),
        (format!("{GET}/responses/200/headers/X-Total"), None, "X-Total"),
        (format!("{GET}/responses/200/headers/X-Total/required"), None, "X-Total may be left out"),
        (format!("{GET}/responses/200/content/application~1json/schema"), None, "may be anything now"),
        (format!("{OUT}/properties/name"), None, ".name is gone"),
        (format!("{OUT}/properties/name/nullable"), Some(json!(true)), ".name may be null now"),
        (format!("{OUT}/properties/name/format"), None, ".name has another format"),
        (format!("{OUT}/properties/parts/type"), Some(json!("object")), ".parts has another type"),
        (format!("{OUT}/properties/parts/items"), Some(json!({ "type": "string" })), "[]"),
        (format!("{OUT}/properties/state/enum/1"), None, ".state lost a value of its enum"),
        (format!("{OUT}/properties/state/enum/-"), Some(json!("BOTH")), ".state has a new value in its enum"),
        (format!("{OUT}/required/0"), None, ".name may be left out"),
        ("/components/schemas/Failure/properties/code".to_owned(), None, ".code is gone"),
    ]);
}

#[test]
fn additions_and_descriptions_are_compatible() {
    let operation = json!({ "operationId": "getMore", "responses": {} });
    let optional = json!({ "name": "more", "in": "query", "schema": { "type": "string" } });
    let changes: Vec<Change<'_>> = vec![
        ("/paths/~1more", Some(json!({ "get": operation.clone() }))),
        ("/paths/~1things/put", Some(operation)),
        ("/paths/~1things/get/description", Some(json!("All of them."))),
        ("/paths/~1things/get/parameters/-", Some(optional)),
        ("/paths/~1things/get/parameters/0/schema/maxLength", Some(json!(10))),
        ("/paths/~1things/get/parameters/0/schema/maxLength", None),
        ("/paths/~1things/get/security", Some(json!([]))),
        ("/paths/~1things/get/security/-", Some(json!({ "other": [] }))),
        ("/paths/~1things/get/responses/400", None),
        ("/paths/~1things/get/responses/404", Some(json!({ "description": "None." }))),
        ("/paths/~1things/get/responses/200/content/text~1csv", Some(json!({ "schema": { "type": "string" } }))),
        ("/paths/~1things/get/responses/200/content/application~1json/example", Some(json!({ "name": "a" }))),
        ("/components/schemas/NewThing/properties/more", Some(json!({ "type": "string" }))),
        ("/components/schemas/NewThing/properties/name/pattern", None),
        ("/components/schemas/NewThing/properties/name/minLength", Some(json!(0))),
        ("/components/schemas/NewThing/properties/count/maximum", Some(json!(10))),
        ("/components/schemas/NewThing/properties/count/x-alias", Some(json!("number"))),
        ("/components/schemas/NewThing/properties/kind", Some(json!({ "type": "string", "enum": ["A", "B", "C"] }))),
        ("/components/schemas/NewThing/required/0", None),
        ("/components/schemas/Kind/enum/-", Some(json!("C"))),
        ("/components/schemas/Thing/properties/more", Some(json!({ "type": "string" }))),
        ("/components/schemas/Thing/required/-", Some(json!("state"))),
        ("/components/schemas/Thing/properties/name/maxLength", Some(json!(9))),
    ];
    for change in changes {
        let found = breaks(&small(), &changed(&change));
        assert!(found.is_empty(), "{change:?}: {found:?}");
    }
}
