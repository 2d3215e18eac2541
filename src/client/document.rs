//! The operations of the API, as the OpenAPI document describes them.

use std::sync::LazyLock;

use serde_json::Value;

use super::failure::{Failure, Outcome};

/// What the document in the repository says about requests. A test compares that document with the endpoints: deriving it
/// from them takes much longer.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/requests.json"))).expect("the build wrote JSON")
});

/// Fields of request bodies that hold secrets. Their values are read from a file, since other users of the machine can see
/// a command line.
pub const SECRET_FIELDS: [&str; 7] =
    ["password", "currentPassword", "token", "refreshToken", "refresh_token", "apiKey", TEXT];

/// The one of them that is a whole file. The others are a line.
const TEXT: &str = "text";

/// Flags of every call, so a field with one of these names gets another flag.
const TAKEN: [&str; 13] = [
    "url", "profile", "ca", "org", "output", "dry-run", "body", "out", "include", "config", "json", "database", "help",
];

/// The names of the path parameters for the organization.
const ORGANIZATION: [&str; 3] = ["orgId", "idOrg", "organizationId"];

/// The OpenAPI document.
#[derive(Clone, Copy)]
pub struct Document(&'static Value);

/// One operation.
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// The HTTP method, in capitals.
    pub method: String,
    /// The path, with parameters in braces.
    pub path: String,
    /// What it does, in a few words.
    pub summary: String,
    /// What else there is to know.
    pub description: String,
    /// Its parameters, and the fields of its body.
    pub fields: Vec<Field>,
    /// Whether it has a body, and whether that may be left out.
    pub body: Body,
    /// Whether it takes a credential.
    pub authenticated: bool,
    /// Whether its response is a stream without end.
    pub is_stream: bool,
}

/// Whether an operation has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It has none.
    None,
    /// It may be left out.
    Optional,
    /// It must be sent.
    Required,
}

/// A parameter, or a field of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The flag that sets it, without dashes.
    pub flag: String,
    /// Its name; more than one for a field of an object in the body.
    pub name: Vec<String>,
    /// Where it is sent.
    pub place: Place,
    /// Whether it must be given.
    pub required: bool,
    /// What it takes.
    pub kind: Kind,
    /// What it means.
    pub description: String,
    /// The largest number, if it is a number.
    pub maximum: Option<u64>,
}

/// Where a field is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// As a header.
    Header,
    /// In the JSON body.
    Body,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these texts.
    Choice(Vec<String>),
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Any number of values.
    List(Box<Self>),
    /// A line that nobody may see.
    Secret,
    /// A text of any number of lines that nobody may see.
    SecretText,
}

impl Field {
    /// Whether it names the organization, which the caller's profile knows.
    #[must_use]
    pub fn is_organization(&self) -> bool {
        self.place == Place::Path && self.name.iter().all(|name| ORGANIZATION.contains(&name.as_str()))
    }
}

impl Operation {
    /// Returns the field with this flag.
    #[must_use]
    pub fn field(&self, flag: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.flag == flag)
    }

    /// Returns the path parameter that names the organization.
    #[must_use]
    pub fn organization(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.is_organization())
    }
}

impl Document {
    /// Returns the document of this program.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self(&DOCUMENT)
    }

    /// Returns every operation, in the document's order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.each().map(|(method, path, operation)| self.read(method, path, operation)).collect()
    }

    /// Returns the operation with this `operationId`.
    pub fn operation(&self, id: &str) -> Outcome<Operation> {
        self.each()
            .find(|(_, _, operation)| operation["operationId"] == id)
            .map(|(method, path, operation)| self.read(method, path, operation))
            .ok_or_else(|| Failure::usage(format!("there is no operation {id}: see `orgkeys api --help`")))
    }

    fn each(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, operations)| {
            let operations = operations.as_object().into_iter().flatten();
            operations.map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        })
    }

    fn read(self, method: &str, path: &str, operation: &Value) -> Operation {
        let text = |name: &str| operation[name].as_str().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            self.add_parameter(&mut fields, parameter);
        }
        let body = match &operation["requestBody"] {
            Value::Null => Body::None,
            body if body["required"] == true => Body::Required,
            _ => Body::Optional,
        };
        if body != Body::None {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            self.add_body(&mut fields, schema, &[], body == Body::Required);
        }
        Operation {
            id: text("operationId"),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text("summary"),
            description: text("description"),
            fields,
            body,
            authenticated: operation["security"].as_array().is_none_or(|schemes| !schemes.is_empty()),
            is_stream: operation["responses"]["200"]["content"]["text/event-stream"].is_object(),
        }
    }

    fn add_parameter(self, fields: &mut Vec<Field>, parameter: &Value) {
        let place = match parameter["in"].as_str() {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            _ => Place::Header,
        };
        let schema = self.resolved(&parameter["schema"]);
        let name = vec![parameter["name"].as_str().unwrap_or_default().to_owned()];
        let field = Field {
            flag: flag(fields, &name, place),
            name,
            place,
            required: parameter["required"] == true,
            kind: self.kind(schema),
            description: described(parameter, schema),
            maximum: schema["maximum"].as_u64(),
        };
        fields.push(Field { required: field.required && !field.is_organization(), ..field });
    }

    /// Adds the fields of an object of the body, below the names `above`.
    fn add_body(self, fields: &mut Vec<Field>, schema: &Value, above: &[String], required: bool) {
        let schema = self.resolved(schema);
        let needed = schema["required"].as_array();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let own = self.resolved(property);
            let required = required && needed.is_some_and(|needed| needed.iter().any(|needed| needed == name));
            let path = [above, std::slice::from_ref(name)].concat();
            if own["properties"].is_object() {
                self.add_body(fields, own, &path, required);
                continue;
            }
            fields.push(Field {
                flag: flag(fields, &path, Place::Body),
                name: path,
                place: Place::Body,
                required,
                kind: match name.as_str() {
                    TEXT => Kind::SecretText,
                    name if SECRET_FIELDS.contains(&name) => Kind::Secret,
                    _ => self.kind(own),
                },
                description: described(property, own),
                maximum: own["maximum"].as_u64(),
            });
        }
    }

    fn kind(self, schema: &Value) -> Kind {
        if let Some(choices) = schema["enum"].as_array() {
            return Kind::Choice(choices.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        }
        match schema["type"].as_str() {
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("array") => Kind::List(Box::new(self.kind(self.resolved(&schema["items"])))),
            _ => Kind::Text,
        }
    }

    /// Follows a reference to a schema.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/"));
        name.map_or(schema, |name| &self.0["components"]["schemas"][name])
    }
}

/// Returns a flag that no earlier field and no call in general has. The later of two gets its place in front.
fn flag(fields: &[Field], name: &[String], place: Place) -> String {
    let name = name.join(".");
    let is_taken = TAKEN.contains(&name.as_str()) || fields.iter().any(|field| field.flag == name);
    let place = match place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
        Place::Body => "body",
    };
    if is_taken { format!("{place}-{name}") } else { name }
}

/// Returns what is said of a field, else of its schema.
fn described(field: &Value, schema: &Value) -> String {
    let text = field["description"].as_str().or_else(|| schema["description"].as_str());
    text.unwrap_or_default().replace('\n', " ")
}

#[cfg(test)]
/// Tests, and the document for those of other files.
pub mod tests {
    use super::*;

    /// The document of this program.
    pub fn document() -> Document {
        Document::of_this_program()
    }

    fn shown(operation: &str, flag: &str) -> (Place, bool, Kind) {
        let operation = document().operation(operation).expect("an operation");
        let field = operation.field(flag).unwrap_or_else(|| panic!("{flag}"));
        (field.place, field.required, field.kind.clone())
    }

    #[test]
    fn fields_have_a_place_a_kind_and_a_flag_of_their_own() {
        assert_eq!(shown("listNodes", "orgId"), (Place::Path, false, Kind::Text), "filled in");
        assert_eq!(shown("deleteNode", "nodeId"), (Place::Path, true, Kind::Text));
        assert_eq!(shown("listNodes", "take"), (Place::Query, false, Kind::Integer));
        assert_eq!(shown("streamEvents", "Last-Event-ID"), (Place::Header, false, Kind::Text));
        assert_eq!(shown("loginUser", "password"), (Place::Body, true, Kind::Secret));
        assert_eq!(shown("putSecret", "text"), (Place::Body, true, Kind::SecretText));
        assert_eq!(shown("createApiKey", "userApiKey.hasExpireTime"), (Place::Body, true, Kind::Boolean));
        assert_eq!(shown("createApiKey", "listProjectsId"), (Place::Body, true, Kind::List(Box::new(Kind::Text))));
        assert_eq!(shown("createWebhook", "body-url"), (Place::Body, true, Kind::Text), "--url names the server");
        assert_eq!(shown("markSystemEventsRead", "ids").0, Place::Query);
        assert_eq!(shown("markSystemEventsRead", "body-ids").0, Place::Body);
        assert!(
            matches!(shown("createOrganizationKey", "format").2, Kind::Choice(choices) if choices == ["json", "pem"])
        );
    }

    #[test]
    fn every_operation_is_read_and_no_two_fields_share_a_flag() {
        let operations = document().operations();
        assert!(operations.len() > 60, "{}", operations.len());
        for operation in &operations {
            assert!(
                !operation.summary.is_empty() && !operation.id.is_empty(),
                "{} {}",
                operation.method,
                operation.path
            );
            for (n, field) in operation.fields.iter().enumerate() {
                assert!(
                    operation.fields[..n].iter().all(|other| other.flag != field.flag),
                    "{} {}",
                    operation.id,
                    field.flag
                );
            }
            assert_eq!(
                operation.path.matches('{').count(),
                operation.fields.iter().filter(|f| f.place == Place::Path).count()
            );
        }
        assert!(!document().operation("loginUser").expect("it").authenticated);
        assert!(document().operation("getProfile").expect("it").authenticated);
        assert_eq!(document().operation("rotateWebhookSecret").expect("it").body, Body::Optional);
        assert!(document().operation("nothing").is_err());
    }
}
