//! Requests and responses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, StatusCode};
use serde_json::Value;

use super::blocking;
use crate::contract;

/// A response of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status and the error code of a refusal.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["success"], false, "{self:?}");
        let code = body.get("errorCode").unwrap_or(&body["resultInfo"]);
        (self.status.as_u16(), code.as_str().unwrap_or_default().to_owned())
    }

    /// The result of a call under `/api/`.
    pub fn result(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()["result"].clone()
    }
}

/// A request with a JSON body, or without one.
pub fn with_body(request: hyper::http::request::Builder, body: Option<&Value>) -> Request<Full<Bytes>> {
    let request = match body {
        Some(_) => request.header("content-type", "application/json"),
        None => request,
    };
    let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    request.body(Full::new(bytes)).expect("a request")
}

/// Sends raw bytes, and reads one response until the server closes the connection.
pub async fn raw(address: SocketAddr, request: String) -> Answer {
    let mut words = request.split([' ', '?']).map(str::to_owned);
    let (method, path) = (words.next().expect("a method"), words.next().expect("a path"));
    let received = blocking(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        // A server that refuses early closes before it has read everything; its response is what counts.
        let _ = stream.write_all(request.as_bytes());
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        String::from_utf8(received).expect("text")
    });
    let received = received.await;
    let (head, body) = received.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {received}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| {
        (name.parse::<HeaderName>().expect("a name"), value.parse::<HeaderValue>().expect("a value"))
    });
    let (status, headers) = (status.parse().expect("a status"), headers.collect());
    let answer = Answer { status, headers, body: Bytes::from(body.to_owned()) };
    contract::checked(&method.parse().expect("a method"), &path, answer)
}
