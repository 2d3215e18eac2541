//! Sends one request on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

use super::answer::Answer;
use super::connect::connect;
use super::failure::{Failure, Outcome};
use super::request::Request;
use super::server::Server;
use super::target::is_api_key;

/// The timeout of a response.
const PATIENCE: Duration = Duration::from_mins(1);

/// The most that is read of a body.
const MOST: usize = 64 * 1024 * 1024;

/// A response whose body is still arriving.
pub(super) struct Exchange {
    response: Response<Incoming>,
    /// Ends the connection when it is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

/// Sends a request with a credential.
pub(super) async fn send(
    server: &Server,
    tls: Option<&Arc<ClientConfig>>,
    request: &Request,
    credential: Option<&SecretString>,
) -> Outcome<Exchange> {
    let http = written(server, request, credential)?;
    let stream = connect(server, tls).await?;
    let mut connection = JoinSet::new();
    let asking = async {
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        connection.spawn(driver);
        sender.send_request(http).await
    };
    match timeout(PATIENCE, asking).await {
        Ok(Ok(response)) => Ok(Exchange { response, _connection: connection }),
        Ok(Err(error)) if error.is_parse() => Err(Failure::no_answer(format!(
            "the answer of {server} is not HTTP: if the server uses TLS, write https:// in its URL"
        ))),
        Ok(Err(_)) => Err(unanswered(request, &format!("{server} closed the connection without an answer"))),
        Err(_) => Err(unanswered(request, &format!("{server} did not answer within 60 s"))),
    }
}

impl Exchange {
    /// The status code.
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Reads the body to its end.
    pub(super) async fn answer(self, request: &Request) -> Outcome<Answer> {
        let (head, body) = self.response.into_parts();
        let body = match timeout(PATIENCE, Limited::new(body, MOST).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Err(unanswered(request, "the answer was cut off, or is longer than 64 MiB")),
            Err(_) => return Err(unanswered(request, "the answer did not arrive within 60 s")),
        };
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Returns the next piece of the body within `patience`; `None` at its end.
    pub(super) async fn piece(&mut self, patience: Duration) -> Outcome<Option<Bytes>> {
        loop {
            match timeout(patience, self.response.body_mut().frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(_))) => return Err(Failure::no_answer("the connection was lost")),
                Err(_) => return Err(Failure::no_answer("the server was silent for too long")),
            }
        }
    }
}

/// The failure of a call that may have reached the server.
fn unanswered(request: &Request, why: &str) -> Failure {
    let doubt =
        if request.is_read() { "" } else { ". It is not known whether the change was made: look before you try again" };
    Failure::no_answer(format!("{why}{doubt}"))
}

fn written(server: &Server, request: &Request, credential: Option<&SecretString>) -> Outcome<HttpRequest<Full<Bytes>>> {
    let mut http = HttpRequest::builder()
        .method(request.method.as_str())
        .uri(server.path(&request.path))
        .header(HOST, server.authority())
        .header(USER_AGENT, concat!("orgkeys/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    for (name, value) in &request.headers {
        http = http.header(name, value);
    }
    if let Some(secret) = credential {
        let (name, value) = header(secret.expose_secret());
        http = http.header(name, value);
    }
    if request.body.is_some() {
        http = http.header(CONTENT_TYPE, "application/json");
    }
    let body = request.body.clone().unwrap_or_default();
    http.body(Full::new(Bytes::from(body))).map_err(|_| Failure::usage("the request cannot be written as HTTP"))
}

/// Returns the header for a credential. API keys have one of their own.
fn header(secret: &str) -> (&'static str, String) {
    if is_api_key(secret) { ("X-Api-Key", secret.to_owned()) } else { ("Authorization", format!("Bearer {secret}")) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::super::base_url::BaseUrl;
    use super::super::failure::Exit;
    use super::*;

    /// Asks a server that answers with this head and so many more bytes, and then is silent.
    async fn asked(head: &'static str, length: usize) -> (Request, Exchange) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        thread::spawn(move || {
            let mut stream = listener.accept().expect("a connection").0;
            let (mut request, piece) = ([0; 4_096], vec![b' '; 64 * 1_024]);
            let _ = stream.read(&mut request);
            let _ = stream.write_all(head.as_bytes());
            for from in (0..length).step_by(piece.len()) {
                if stream.write_all(&piece[..piece.len().min(length - from)]).is_err() {
                    return;
                }
            }
            // Until the client closes its side.
            let _ = stream.read(&mut request);
        });
        let (method, path) = ("GET".to_owned(), "/".to_owned());
        let request = Request { method, path, headers: Vec::new(), body: None, authenticated: false };
        let server = Server::Url(BaseUrl::parse(&url).expect("a URL"));
        let exchange = send(&server, None, &request, None).await.expect("a response");
        (request, exchange)
    }

    #[tokio::test]
    async fn a_stream_that_falls_silent_is_lost() {
        let (_, mut exchange) = asked("HTTP/1.1 200 OK\r\n\r\n", 7).await;
        let piece = exchange.piece(PATIENCE).await.expect("a piece").expect("not the end");
        assert_eq!(piece.len(), 7);
        let lost = exchange.piece(Duration::from_millis(20)).await.expect_err("silence");
        assert_eq!((lost.exit, lost.message.as_str()), (Exit::NoAnswer, "the server was silent for too long"));
    }

    #[tokio::test]
    async fn an_answer_of_more_than_64_mebibytes_is_refused() {
        let (request, exchange) = asked("HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n", MOST + 1).await;
        let refused = exchange.answer(&request).await.expect_err("too long");
        assert_eq!((refused.exit, refused.message.contains("is longer than 64 MiB")), (Exit::NoAnswer, true));
        let (request, exchange) = asked("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", 1_000_000).await;
        assert_eq!(exchange.answer(&request).await.expect("an answer").body.len(), 1_000_000);
    }
}
