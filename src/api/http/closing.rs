//! Closes the connection after operations whose request or response body has a password, a token of a user or the text
//! of a secret: its bytes may stay in the connection's buffers until the next request or response overwrites them, and
//! are wiped only when the connection ends.

use std::collections::HashSet;

use poem::Response;
use poem::http::{HeaderValue, header};
use poem_openapi::registry::{MetaOperation, MetaSchemaRef, Registry};
use poem_openapi::{OpenApi, OperationId};

use crate::api::Apis;

/// Names of fields that have a secret. `apiKey` is not one of them: services verify keys all the time, on connections
/// of their own whose every request has a key in its head as well.
const SECRETS: [&str; 7] =
    ["password", "currentPassword", "refreshToken", "refresh_token", "token", "invitationToken", "text"];

/// The operations that end their connection.
pub struct Closing(HashSet<&'static str>);

impl Closing {
    /// Finds the operations in the document.
    pub fn of_the_document() -> Self {
        Self(with_secrets())
    }

    /// Lets the response of such an operation end its connection.
    pub fn close(&self, response: &mut Response) {
        if response.data::<OperationId>().is_some_and(|operation| self.0.contains(operation.0)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Returns the operations whose request or response body has a secret.
fn with_secrets() -> HashSet<&'static str> {
    let mut registry = Registry::new();
    Apis::register(&mut registry);
    let operations = Apis::meta().into_iter().flat_map(|api| api.paths).flat_map(|path| path.operations);
    operations
        .filter(|operation| has_secret(operation, &registry))
        .filter_map(|operation| operation.operation_id)
        .collect()
}

fn has_secret(operation: &MetaOperation, registry: &Registry) -> bool {
    let received = operation.request.iter().flat_map(|request| &request.content);
    let sent = operation.responses.responses.iter().flat_map(|response| &response.content);
    received
        .chain(sent)
        .filter_map(|media| schema(&media.schema, registry))
        .any(|properties| properties.iter().any(|(name, _)| SECRETS.contains(name)))
}

/// Returns the fields of a body's schema.
fn schema<'a>(of: &'a MetaSchemaRef, registry: &'a Registry) -> Option<&'a [(&'static str, MetaSchemaRef)]> {
    match of {
        MetaSchemaRef::Inline(schema) => Some(&schema.properties),
        MetaSchemaRef::Reference(name) => registry.schemas.get(name).map(|schema| schema.properties.as_slice()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_that_receive_or_return_secrets_are_derived_from_the_document() {
        let expected = [
            "confirmPassword",
            "createToken",
            "createUser",
            "createWebSession",
            "loginUser",
            "logoutUser",
            "putSecret",
            "refreshSession",
            "resendInvitation",
            "updateAccount",
            "verifyEmail",
        ];
        assert_eq!(with_secrets(), expected.into());
    }
}
