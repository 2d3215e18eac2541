//! The format in which a new private key is returned.

use poem::web::Accept;
use poem_openapi::Enum;

/// Format in which a new key is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum KeyFormat {
    /// A JSON object with the key pair and its id.
    Json,
    /// The private key alone, as a PEM file.
    Pem,
}

impl KeyFormat {
    /// Returns the format that a request names, which takes precedence over its `Accept` header.
    pub(super) fn of(format: Option<Self>, accept: &Accept) -> Self {
        format.unwrap_or_else(|| if names_json(accept) { Self::Json } else { Self::Pem })
    }
}

/// Returns whether an `Accept` header names JSON with a quality above 0. `*/*` does not count.
fn names_json(accept: &Accept) -> bool {
    accept.0.iter().any(|mime| {
        let refused = mime.get_param("q").is_some_and(|q| q.as_str().parse() == Ok(0.0_f32));
        mime.essence_str() == "application/json" && !refused
    })
}
