//! What answers on the socket: commands on a path of their own, the API on all others. Who may not administer the server is
//! refused whatever the path is.

use std::sync::Arc;
use std::time::Duration;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Addr, Endpoint, IntoResponse, Request, Response};
use rustix::process::geteuid;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::wire::{self, ADMINISTRATOR, LONGEST_REQUEST, PATH, Reply};
use crate::actions::admin::command;
use crate::api::http::auth::administrates;
use crate::api::http::envelope::Family;
use crate::api::http::error::respond;
use crate::api::http::proxied::is_proxied;
use crate::domain::role::Role;
use crate::engine::caller::Origin;
use crate::engine::error::Error;
use crate::engine::system::System;
use crate::server::listener::Api;
use crate::server::panicked;

/// How long a client may take to send a command.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kind of address of a peer, whose address is its user.
const USER: &str = "user";

/// The endpoint of the socket.
pub(super) struct Administration {
    system: Arc<System>,
    api: Api,
}

/// Returns the address of a peer that runs as this user.
pub(super) fn peer_address(user: u32) -> Addr {
    Addr::custom(USER, user.to_string())
}

impl Administration {
    /// Creates the endpoint.
    pub(super) const fn new(system: Arc<System>, api: Api) -> Self {
        Self { system, api }
    }

    /// Returns the organization that the server's administrator acts in, as `getProfile` does for a user.
    fn administrator(&self, request: &Request) -> Result<Response, Error> {
        let (app, administrator) = (self.system.app(), self.system.local_administrator());
        let caller = administrates(app, administrator, request, Origin::default())?;
        let body = json!({
            "success": true,
            "id": "system",
            "orgRole": Role::Owner.number(),
            "orgId": caller.org().map(|org| org.to_string()),
        });
        Ok(Response::builder().content_type("application/json").body(body.to_string()))
    }

    async fn command(&self, request: Request, peer: &str) -> Response {
        let body = tokio::time::timeout(PATIENCE, request.into_body().into_bytes_limit(LONGEST_REQUEST)).await;
        let Ok(Ok(body)) = body else {
            let why = format!("a command has at most {LONGEST_REQUEST} bytes");
            return replied(StatusCode::BAD_REQUEST, &Reply::Error(why));
        };
        let command = match wire::command(&body) {
            Ok(command) => command,
            Err(why) => return replied(StatusCode::BAD_REQUEST, &Reply::Error(why)),
        };
        let (name, system) = (command.name(), Arc::clone(&self.system));
        match spawn_blocking(move || command::run(&system, command)).await {
            Ok(Ok(answer)) => {
                tracing::info!(command = name, peer, "executed a command of the server's administrator");
                replied(StatusCode::OK, &Reply::Answer(Box::new(answer)))
            }
            Ok(Err(error)) => {
                let code = error.code;
                tracing::info!(command = name, peer, code, "refused a command of the server's administrator");
                replied(StatusCode::BAD_REQUEST, &Reply::Error(error.to_string()))
            }
            Err(ended) => replied(StatusCode::INTERNAL_SERVER_ERROR, &Reply::Error(panicked(&ended).to_owned())),
        }
    }
}

impl Endpoint for Administration {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let path = request.uri().path().to_owned();
        let peer = match request.remote_addr().0.clone() {
            Addr::Custom(USER, user) => user.into_owned(),
            _ => String::new(),
        };
        if let Err(why) = may_administer(&request, &peer) {
            return Ok(last(if path == PATH {
                replied(StatusCode::FORBIDDEN, &Reply::Error(why))
            } else {
                respond(Family::of(&path), Error::denied(why))
            }));
        }
        Ok(match path.as_str() {
            PATH => last(self.command(request, &peer).await),
            ADMINISTRATOR if request.method() == Method::GET => {
                self.administrator(&request).unwrap_or_else(|error| respond(Family::of(&path), error))
            }
            _ => {
                request.set_data(self.system.local_administrator());
                self.api.call(request).await?.into_response()
            }
        })
    }
}

/// Checks that a request comes from root or the server's own user. The error says why it does not.
fn may_administer(request: &Request, peer: &str) -> Result<(), String> {
    let own = geteuid().as_raw();
    if ![0, own].iter().any(|user| user.to_string() == peer) {
        tracing::warn!(peer, "a user who may not administer the server connected to its socket");
        return Err(format!("you are user {peer}, but only root and user {own}, which runs the server, may do this"));
    }
    if is_proxied(request.headers()) {
        tracing::warn!(peer, "a proxy connected to the server's socket, on which nobody needs a credential");
        return Err("a proxy forwarded this request to the server's socket, on which nobody needs a credential: \
            let the proxy connect to the address in the setting `listen`"
            .to_owned());
    }
    Ok(())
}

fn replied(status: StatusCode, reply: &Reply) -> Response {
    Response::builder().status(status).body(serde_json::to_vec(reply).unwrap_or_default())
}

/// Ends the connection after a response, because the body of its request may not have been read.
fn last(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
