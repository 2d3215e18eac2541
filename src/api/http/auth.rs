//! Authenticates the caller by exactly one credential, which is read from its header and nowhere else. A web session has
//! another half of its own in a cookie.

use std::sync::Arc;

use poem::http::header;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::error::refused;
use super::observe::origin;
use super::web_cookie;
use crate::crypto::secret;
use crate::engine::access::no_account;
use crate::engine::app::App;
use crate::engine::authenticate::{self, Credential};
use crate::engine::caller::{Caller, LocalAdministrator, Origin};
use crate::engine::error::{Error, ErrorKind};

/// Name of the security scheme for access tokens in the document.
pub const BEARER: &str = "bearerAuth";
/// Name of the security scheme for API keys.
pub const API_KEY: &str = "apiKeyAuth";
/// Header that has an API key.
pub const X_API_KEY: &str = "x-api-key";

/// Header that names the organization in which the server's administrator acts. Only requests over the server's unix socket
/// have it.
const ORGANIZATION: &str = "x-orgkeys-organization";

/// The origin of a request of somebody who begins, renews or ends a session with a credential in its body. The server's
/// administrator, who calls over the unix socket, has no session.
pub struct SignsIn(pub Origin);

impl<'a> FromRequest<'a> for SignsIn {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        if request.data::<LocalAdministrator>().is_some() {
            return Err(refused(no_account()));
        }
        Ok(Self(origin(request).clone()))
    }
}

/// The caller of an operation that API keys cannot call. As the first argument of an operation, it refuses a request
/// before anything else is read.
pub struct Auth(pub Caller);

/// The caller of an operation that API keys can call too, as far as their role goes.
pub struct AuthOrKey(pub Caller);

/// The same for an operation without a rate limit.
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

/// Registers both security schemes in the document.
pub fn register_both(registry: &mut Registry) {
    register_bearer(registry);
    let description = "An API key, `oka_...`, for the operations that list this scheme. A request must have only one credential, so leave the other one empty.";
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
    let description = "An access token, `okp_...`. The server prints one at its first start; `orgkeys token create` and `loginUser` create more.";
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

/// Returns the caller that the request's credential belongs to, or the server's administrator if there is none.
fn caller(request: &Request, limited: bool) -> Result<Caller, Error> {
    let app = request.data::<Arc<App>>().ok_or_else(|| Error::internal("no app beside the request"))?;
    // On this thread: moving to another and back costs more than the lookup.
    let origin = origin(request).clone();
    let caller = match (credential(request)?, request.data::<LocalAdministrator>()) {
        (Some(credential), _) => authenticate::authenticate(app, credential, origin)?,
        (None, Some(administrator)) => administrates(app, *administrator, request, origin)?,
        (None, None) => {
            return Err(Error::unauthenticated(
                "NO_CREDENTIAL",
                "No credential: send `Authorization: Bearer <access token>`, or an API key in x-api-key where API keys are allowed",
            ));
        }
    };
    if limited {
        authenticate::admit(app, &caller)?;
    }
    Ok(caller)
}

/// Returns the server's administrator as the caller of a request over the unix socket, in the organization that a header
/// names, or in the only one.
pub fn administrates(
    app: &App,
    administrator: LocalAdministrator,
    request: &Request,
    origin: Origin,
) -> Result<Caller, Error> {
    let mut named = request.headers().get_all(ORGANIZATION).iter();
    let organization = named.next().map(|name| name.to_str().unwrap_or_default());
    if named.next().is_some() {
        let message = "The request has two X-Orgkeys-Organization headers: send one";
        return Err(Error::new(ErrorKind::Invalid, "TWO_ORGANIZATIONS", message));
    }
    authenticate::administrator(app, administrator, organization, origin)
}

/// Returns the request's credential, if it has one. An API key may be sent as a bearer token too.
pub fn credential(request: &Request) -> Result<Option<Credential<'_>>, Error> {
    let mut authorizations = request.headers().get_all(header::AUTHORIZATION).iter();
    let mut keys = request.headers().get_all(X_API_KEY).iter();
    match (authorizations.next(), authorizations.next(), keys.next(), keys.next()) {
        (_, Some(_), ..) => Err(two("two Authorization headers")),
        (.., Some(_)) => Err(two("two x-api-key headers")),
        (Some(_), _, Some(_), _) => Err(two("an Authorization header and an x-api-key header")),
        (None, None, None, None) => Ok(None),
        (None, None, Some(key), None) => Ok(Some(Credential::ApiKey(key.to_str().unwrap_or_default().trim()))),
        (Some(value), None, None, None) => {
            let token = bearer(value.to_str().unwrap_or_default()).ok_or_else(|| {
                let message = "The Authorization header is malformed: send `Authorization: Bearer <access token>`";
                Error::unauthenticated("MALFORMED_TOKEN", message)
            })?;
            Ok(Some(match token {
                token if is_api_key(token) => Credential::ApiKey(token),
                bearer if bearer.starts_with(secret::SecretKind::WebSession.prefix()) => {
                    web_cookie::check_origin(request)?;
                    Credential::WebSession { cookie: web_cookie::half(request)?, bearer }
                }
                token => Credential::Token(token),
            }))
        }
    }
}

/// Returns the token of a bearer `Authorization` value.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns whether a token has the prefix of API keys.
pub fn is_api_key(token: &str) -> bool {
    token.starts_with(secret::SecretKind::ApiKey.prefix())
}

fn two(which: &str) -> Error {
    Error::unauthenticated("TWO_CREDENTIALS", format!("The request has {which}: send exactly one credential"))
}
