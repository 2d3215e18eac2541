//! Calls a server with the caller's credential, and renews a session that has ended.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_rustls::rustls::ClientConfig;

use super::answer::Answer;
use super::compose::{Values, compose};
use super::document::Document;
use super::failure::{Exit, Failure, Outcome};
use super::http::{self, Exchange};
use super::input::first_line;
use super::profiles::Store;
use super::request::Request;
use super::rows::payload;
use super::target::{Credential, Target, checked, is_api_key};
use super::trust;

/// A caller of one server.
pub struct Client<'a> {
    /// The server and the credential.
    pub target: Target,
    /// The operations of the API.
    pub document: Document,
    store: &'a Store,
    tls: Option<Arc<ClientConfig>>,
}

/// A response whose body arrives piece by piece.
pub struct Streamed(Exchange);

/// The response to a request for a stream.
pub enum Opened {
    /// The stream.
    Stream(Streamed),
    /// A refusal, or something else that ends.
    Answer(Answer),
}

impl Streamed {
    /// Returns the next piece within `patience`; `None` at the end.
    pub async fn piece(&mut self, patience: Duration) -> Outcome<Option<Bytes>> {
        self.0.piece(patience).await
    }
}

impl<'a> Client<'a> {
    /// Creates a caller. Reads the certificates to trust.
    pub fn new(target: Target, document: Document, store: &'a Store) -> Outcome<Self> {
        let tls = target.server.is_https().then(|| trust::config(target.ca.as_deref())).transpose()?;
        Ok(Self { target, document, store, tls })
    }

    /// Sends a request and returns the response, whatever its status is.
    pub async fn send(&mut self, request: &Request) -> Outcome<Answer> {
        self.exchange(request).await?.answer(request).await
    }

    /// Sends a request and returns the response if it is a success.
    pub async fn call(&mut self, request: &Request) -> Outcome<Answer> {
        self.send(request).await?.accepted()
    }

    /// Sends a request whose response is a stream.
    pub async fn open(&mut self, request: &Request) -> Outcome<Opened> {
        let exchange = self.exchange(request).await?;
        Ok(if exchange.status() == 200 {
            Opened::Stream(Streamed(exchange))
        } else {
            Opened::Answer(exchange.answer(request).await?)
        })
    }

    /// Calls an operation with these values of its fields.
    pub async fn operate(&mut self, id: &str, values: &Values) -> Outcome<Answer> {
        let request = compose(&self.document.operation(id)?, values, None)?;
        self.call(&request).await
    }

    /// Returns the id of the caller's organization.
    pub async fn organization(&mut self) -> Outcome<String> {
        if let Some(known) = &self.target.organization {
            return Ok(known.clone());
        }
        if self.target.is_administrator() {
            let administrator = self.administrator().await?;
            let id = administrator["orgId"].as_str().ok_or_else(|| {
                Failure::usage(
                    "this server has several organizations: name one with --org, by the id that `orgkeys org list` shows",
                )
            })?;
            return Ok(self.target.organization.insert(id.to_owned()).clone());
        }
        let (_, identity) = self.identity().await?;
        let id = identity["orgId"].as_str().or_else(|| identity["organizationId"].as_str());
        let id = id.ok_or_else(|| Failure::no_answer("the server did not say which organization you belong to"))?;
        self.target.organization = Some(id.to_owned());
        Ok(id.to_owned())
    }

    /// Returns what the server knows of its administrator: the role, and the organization if there is only one or one was
    /// chosen.
    pub async fn administrator(&mut self) -> Outcome<Value> {
        self.call(&Self::administrator_request()).await?.json()
    }

    /// The request for [`Client::administrator`], which only the socket answers.
    #[must_use]
    pub fn administrator_request() -> Request {
        let (method, path) = ("GET".to_owned(), "/administrator".to_owned());
        Request { method, path, headers: Vec::new(), body: None, authenticated: true }
    }

    /// Returns whether the caller is an API key, and what the server knows of the caller.
    pub async fn identity(&mut self) -> Outcome<(bool, Value)> {
        let credential = self.credential()?;
        let (is_key, request) = self.identity_request(credential.as_ref())?;
        let answer = self.call(&request).await?.json()?;
        Ok((is_key, payload(&answer).clone()))
    }

    /// The request for the identity. An API key has no profile, but may verify itself.
    pub fn identity_request(&self, credential: Option<&SecretString>) -> Outcome<(bool, Request)> {
        let mut values = Values::default();
        let key = credential.map(ExposeSecret::expose_secret).filter(|secret| is_api_key(secret));
        if let Some(key) = key {
            values.set("apiKey", vec![key.to_owned()]);
        }
        let operation = self.document.operation(if key.is_some() { "verifyApiKey" } else { "getProfile" })?;
        Ok((key.is_some(), compose(&operation, &values, None)?))
    }

    async fn exchange(&mut self, request: &Request) -> Outcome<Exchange> {
        let exchange = self.attempt(request).await?;
        let is_session = matches!(self.target.credential, Credential::Session { .. });
        if exchange.status() != 401 || !request.authenticated || !is_session {
            return Ok(exchange);
        }
        // A request with an invalid credential has no effect, so it can be sent again.
        drop(exchange);
        self.renew().await?;
        self.attempt(request).await
    }

    async fn attempt(&mut self, request: &Request) -> Outcome<Exchange> {
        let credential = if request.authenticated { self.credential()? } else { None };
        let is_administrator = self.target.is_administrator();
        if request.authenticated && credential.is_none() && !is_administrator {
            let server = &self.target.server;
            return Err(Failure::new(
                Exit::NotSignedIn,
                format!("not signed in to {server}: run `orgkeys login --url {server}`, or set ORGKEYS_TOKEN"),
            ));
        }
        http::send(&self.target.server, self.tls.as_ref(), &self.target.addressed(request), credential.as_ref()).await
    }

    /// Returns the credential. A command that prints it runs at the first call.
    fn credential(&mut self) -> Outcome<Option<SecretString>> {
        if let Credential::Command(command) = &self.target.credential {
            self.target.credential = Credential::Fixed(printed(command)?);
        }
        Ok(match &self.target.credential {
            Credential::Fixed(secret) | Credential::Session { access: secret } => Some(secret.clone()),
            Credential::None | Credential::Command(_) => None,
        })
    }

    /// Replaces the access token of the session: by that of another process that renewed it, else by renewing it. Only one
    /// process at a time does so, because a refresh token works once.
    async fn renew(&mut self) -> Outcome<()> {
        let (Credential::Session { access }, Some(name)) = (&self.target.credential, &self.target.profile) else {
            return Ok(());
        };
        let ended = || {
            let message = format!("the session of the profile {name} has ended: run `orgkeys login --profile {name}`");
            Failure::new(Exit::NotSignedIn, message)
        };
        let lock = self.store.lock()?;
        let mut profiles = lock.load()?;
        let profile = profiles.profiles.get_mut(name).ok_or_else(ended)?;
        let stored = profile.access_token.clone().ok_or_else(ended)?;
        if stored.expose_secret() != access.expose_secret() {
            self.target.credential = Credential::Session { access: stored };
            return Ok(());
        }
        let refresh = profile.refresh_token.clone().ok_or_else(ended)?;
        // Made before the call: if it cannot be written, the refresh token must not be used up.
        let draft = lock.draft()?;
        let operation = self.document.operation("refreshSession")?;
        let body = json!({ "refreshToken": refresh.expose_secret() }).to_string().into_bytes();
        let request = compose(&operation, &Values::default(), Some(body))?;
        let exchange = http::send(&self.target.server, self.tls.as_ref(), &request, None).await?;
        let answer = exchange.answer(&request).await?;
        if answer.status == 401 {
            return Err(ended());
        }
        let answer = answer.accepted()?.json()?;
        let (access, refresh) = tokens(&answer)?;
        (profile.access_token, profile.refresh_token) = (Some(access.clone()), Some(refresh));
        draft.save(&profiles)?;
        self.target.credential = Credential::Session { access };
        Ok(())
    }
}

/// Returns the access token and the refresh token of an answer.
pub fn tokens(answer: &Value) -> Outcome<(SecretString, SecretString)> {
    let token = |name: &str| answer[name].as_str().and_then(checked);
    let both = token("accessToken").zip(token("refreshToken"));
    both.ok_or_else(|| Failure::no_answer("the answer contains no session: is there an orgkeys server at this URL?"))
}

/// Runs a shell command and returns the token in the first line that it prints.
fn printed(command: &str) -> Outcome<SecretString> {
    let fail =
        |why: &str| Failure::new(Exit::NotSignedIn, format!("the token_command of the profile {why}: {command}"));
    let output = Command::new("sh").args(["-c", command]).stderr(Stdio::inherit()).stdin(Stdio::inherit()).output();
    let output = output.map_err(|_| fail("cannot be run"))?;
    if !output.status.success() {
        return Err(fail("failed"));
    }
    first_line(&output.stdout).as_deref().and_then(checked).ok_or_else(|| fail("printed no token"))
}
