//! Who is calling? Exactly one credential, read from its header and nowhere else.

use std::sync::Arc;

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::error::refused;
use super::observe::origin;
use crate::crypto::secret;
use crate::engine::app::App;
use crate::engine::authenticate::{self, Credential};
use crate::engine::caller::Caller;
use crate::engine::error::Error;

/// The scheme of access tokens, as the document names it.
pub const BEARER: &str = "bearerAuth";
/// The scheme of API keys.
pub const API_KEY: &str = "apiKeyAuth";
/// The header of API keys.
pub const X_API_KEY: &str = "x-api-key";

/// The caller of an operation that no API key may call. As the first argument it refuses before anything else is looked at.
pub struct Auth(pub Caller);

/// The caller of an operation that API keys may call too, as far as their role goes.
pub struct AuthOrKey(pub Caller);

/// The same, of an operation that no limit on calls counts.
pub struct AuthUncounted(pub Caller);

macro_rules! security {
    ($name:ident, [$($scheme:expr),+], $register:expr, $limited:literal) => {
        impl<'a> ApiExtractor<'a> for $name {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                $register(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![$($scheme),+]
            }

            async fn from_request(
                request: &'a Request,
                _: &mut RequestBody,
                _: ExtractParamOptions<()>,
            ) -> poem::Result<Self> {
                caller(request, $limited).map(Self).map_err(refused)
            }
        }
    };
}

security!(Auth, [BEARER], register_bearer, true);
security!(AuthOrKey, [BEARER, API_KEY], register_both, true);
security!(AuthUncounted, [BEARER, API_KEY], register_both, false);

/// Puts both schemes into the document.
pub fn register_both(registry: &mut Registry) {
    register_bearer(registry);
    let description = "An API key, `oka_...`; the operations that list this scheme take one. A request takes one credential: leave the other empty.";
    registry.create_security_scheme(
        API_KEY,
        MetaSecurityScheme {
            ty: "apiKey",
            description: Some(description),
            name: Some(X_API_KEY),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        },
    );
}

fn register_bearer(registry: &mut Registry) {
    let description = "An access token, `okp_...`: the first start prints one, `orgkeys token create` makes more, and so does a login.";
    registry.create_security_scheme(
        BEARER,
        MetaSecurityScheme {
            ty: "http",
            description: Some(description),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("okp_"),
            flows: None,
            openid_connect_url: None,
        },
    );
}

/// Who calls, by the one credential of the request.
fn caller(request: &Request, limited: bool) -> Result<Caller, Error> {
    let app = request.data::<Arc<App>>().ok_or_else(|| Error::internal("no app beside the request"))?;
    // Right here: going to another thread and back costs more than the lookup.
    let caller = authenticate::authenticate(app, credential(request)?, origin(request))?;
    if limited {
        authenticate::admit(app, &caller)?;
    }
    Ok(caller)
}

/// The one credential of a request. An API key may come as a bearer token too.
fn credential(request: &Request) -> Result<Credential<'_>, Error> {
    let mut authorizations = request.headers().get_all(header::AUTHORIZATION).iter();
    let mut keys = request.headers().get_all(X_API_KEY).iter();
    match (authorizations.next(), authorizations.next(), keys.next(), keys.next()) {
        (_, Some(_), ..) => Err(two("two Authorization headers")),
        (.., Some(_)) => Err(two("two x-api-key headers")),
        (Some(_), _, Some(_), _) => Err(two("an Authorization header and an x-api-key header")),
        (None, None, None, None) => Err(Error::unauthenticated(
            "NO_CREDENTIAL",
            "No credential: send Authorization: Bearer and an access token, or x-api-key where an API key may call",
        )),
        (None, None, Some(key), None) => Ok(Credential::ApiKey(key.to_str().unwrap_or_default().trim())),
        (Some(value), None, None, None) => {
            let token = bearer(value.to_str().unwrap_or_default()).ok_or_else(|| {
                let message = "The Authorization header is malformed: it is `Bearer` and an access token";
                Error::unauthenticated("MALFORMED_TOKEN", message)
            })?;
            Ok(if is_api_key(token) { Credential::ApiKey(token) } else { Credential::Token(token) })
        }
    }
}

/// The token of a bearer Authorization.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether this looks like an API key.
pub fn is_api_key(token: &str) -> bool {
    token.starts_with(secret::SecretKind::ApiKey.prefix())
}

fn two(which: &str) -> Error {
    Error::unauthenticated("TWO_CREDENTIALS", format!("The request has {which}: send exactly one credential"))
}
