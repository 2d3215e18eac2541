//! A request to the server, before it has a credential.

use std::fmt::Write;

use serde_json::Value;

use super::document::SECRET_FIELDS;
use super::server::Server;

/// A request, complete but for the server and the credential.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path and query, which start with `/`.
    pub path: String,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// The JSON body.
    pub body: Option<Vec<u8>>,
    /// Whether the operation takes a credential.
    pub authenticated: bool,
}

impl Request {
    /// Sets a header, replacing one of the same name.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Whether it only reads, so that it may be sent again.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.method == "GET"
    }

    /// Writes the request as text, with secrets masked. `server` is the address, if it is known.
    #[must_use]
    pub fn shown(&self, server: &Server, credential: &str) -> String {
        let mut text = format!("{} {}\n", self.method, server.address(&self.path));
        if self.authenticated && !credential.is_empty() {
            let _ = writeln!(text, "{credential}");
        }
        for (name, value) in &self.headers {
            let _ = writeln!(text, "{name}: {value}");
        }
        if let Some(body) = &self.body {
            let _ = match serde_json::from_slice::<Value>(body) {
                Ok(body) => write!(text, "Content-Type: application/json\n\n{:#}\n", masked(body)),
                Err(_) => write!(text, "Content-Type: application/json\n\n({} bytes that are not JSON)\n", body.len()),
            };
        }
        text
    }
}

/// Masks the fields that hold secrets.
fn masked(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| {
                let is_secret = SECRET_FIELDS.contains(&name.as_str());
                (name, if is_secret { "********".into() } else { masked(field) })
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::base_url::BaseUrl;
    use super::*;

    #[test]
    fn secrets_are_masked_at_any_depth_and_raw_bytes_are_not_shown() {
        let server = Server::Url(BaseUrl::parse("http://127.0.0.1:3000/keys").expect("a URL"));
        let body = br#"{"email":"a@b","password":"s3cret","list":[{"refresh_token":"s3cret","token":"s3cret"}]}"#;
        let mut request = Request {
            method: "POST".to_owned(),
            path: "/user/login".to_owned(),
            headers: Vec::new(),
            body: Some(body.to_vec()),
            authenticated: false,
        };
        let shown = request.shown(&server, "Authorization: Bearer ********");
        assert!(shown.starts_with("POST http://127.0.0.1:3000/keys/user/login\nContent-Type"), "{shown}");
        assert_eq!((shown.contains("s3cret"), shown.contains("a@b"), shown.contains("Bearer")), (false, true, false));
        request.body = Some(b"password=s3cret".to_vec());
        assert!(!request.shown(&server, "").contains("s3cret"));
    }
}
