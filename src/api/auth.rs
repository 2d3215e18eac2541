//! Who is calling? Exactly one credential, read from its header and nowhere else.

use std::sync::Arc;

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::error::refused;
use super::observe::origin;
use crate::actions::app::App;
use crate::actions::caller::Caller;
use crate::actions::error::Error;
use crate::actions::session;

const SCHEME: &str = "bearerAuth";

/// The caller, proven by an access token. As the first argument it refuses before anything else is looked at.
pub struct Auth(pub Caller);

impl<'a> ApiExtractor<'a> for Auth {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(
                    "An access token, `okp_...`: the first start prints one, `orgkeys token create` makes more.",
                ),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("okp_"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        let token = bearer(request).map_err(refused)?;
        let app = request.data::<Arc<App>>().ok_or_else(|| refused(Error::internal("no app beside the request")))?;
        // Right here: going to another thread and back costs more than the lookup.
        session::authenticate(app, token, origin(request)).map(Self).map_err(refused)
    }
}

/// The one bearer token of a request.
fn bearer(request: &Request) -> Result<&str, Error> {
    let mut authorizations = request.headers().get_all(header::AUTHORIZATION).iter();
    let first = authorizations.next();
    if authorizations.next().is_some() {
        return Err(two("two Authorization headers"));
    }
    match (first, request.headers().contains_key("x-api-key")) {
        (Some(_), true) => Err(two("an Authorization header and an x-api-key header")),
        (None, true) => Err(Error::unauthenticated(
            "MALFORMED_TOKEN",
            "This server takes no x-api-key: send Authorization: Bearer okp_...",
        )),
        (None, false) => Err(Error::unauthenticated(
            "NO_CREDENTIAL",
            "No credential: send Authorization: Bearer and an access token",
        )),
        (Some(value), false) => {
            let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
            let token =
                parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
            token.ok_or_else(|| {
                let message = "The Authorization header is malformed: it is `Bearer` and an access token";
                Error::unauthenticated("MALFORMED_TOKEN", message)
            })
        }
    }
}

fn two(which: &str) -> Error {
    Error::unauthenticated("TWO_CREDENTIALS", format!("The request has {which}: send exactly one credential"))
}
