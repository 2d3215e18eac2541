//! Audited reads over HTTP, and the framework's minimal response on the same kind of listener.

use std::convert::Infallible;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use orgkeys::api::http::metrics::Metrics;
use orgkeys::config::{Flags, Texts, resolve};
use orgkeys::server::listener::Listener;
use poem::{EndpointExt, IntoEndpoint};
use poem_openapi::payload::PlainText;
use poem_openapi::{OpenApi, OpenApiService};
use tokio_util::sync::CancellationToken;

use crate::Scale;
use crate::http::Client;
use crate::load::{self, CONNECTIONS};
use crate::machine::median;
use crate::program::{Program, Site};
use crate::registrations::{Signer, Signers};
use crate::report::{self, Row, over_parts};
use crate::writes;

/// The argument that makes this program serve the hello route.
pub const HELLO: &str = "--hello";

/// The argument that makes this program serve the same with hyper alone.
pub const HYPER: &str = "--hyper";

const KEYS: usize = 5;
const NODES: usize = 25;

/// Nodes of an organization that is as large as the design provides for.
const MANY_NODES: u32 = 5_000;

/// Listing five keys with five nodes each, and the hello route.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let org = server.org.clone();
    let pems: Vec<String> = (0..KEYS).map(|_| server.mint(&org)).collect();
    let mut nodes = Signers::new(&org, &pems).requests(0..1).into_iter().take(NODES);
    load::run(&server, move || nodes.next());
    let hello = hello();
    // Measured in turn, and the middle run of each counts: other load on the machine slows all alike.
    let (mut lists, mut hellos, mut alones) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.turns {
        let path = format!("/organization/{org}/key");
        lists.push(load::repeat(&server, &server.request("GET", &path), scale.time / scale.turns));
        hellos.push(load::repeat(&hello, &hello.request("GET", "/hello"), scale.time / scale.turns));
        alones.push(writes::writer_alone(CONNECTIONS, scale.time / scale.turns));
    }
    let (list, least) = (load::middle(lists), load::middle(hellos));
    let parts = [("the writer", writes::middle(alones).cpu), ("an empty route", least.cpu)];
    vec![
        Row::new(
            "list keys: `GET /organization/{idOrg}/key`, 64 connections",
            list.text(),
            ">= 8,000/s",
            list.rate >= 8_000.0,
        ),
        Row::baseline("a poem-openapi hello route, 64 connections", least.text()),
        over_parts("processor time of listing keys, over its parts", list.cpu, &parts, 1.3),
        many_nodes(&server, &org, &pems, scale),
    ]
}

/// Listing the same keys with a thousand nodes each, one call at a time.
fn many_nodes(server: &Program, org: &str, pems: &[String], scale: Scale) -> Row {
    let signers: Vec<Signer> = pems.iter().map(|pem| Signer::new(org, pem)).collect();
    let count = if scale.turns > 1 { MANY_NODES } else { MANY_NODES / 50 };
    let mut nodes = (0..count).zip((0..signers.len()).cycle());
    load::run(server, move || nodes.next().map(|(node, key)| Rc::from(signers[key].request_now(node))));
    let (request, end) = (server.request("GET", &format!("/organization/{org}/key")), Instant::now() + scale.time);
    let (mut client, mut times) = (Client::new(server.address), Vec::new());
    while Instant::now() < end {
        let answer = client.ask(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        times.push(answer.took);
    }
    let median = median(times);
    let what = "list 5 keys with 5,000 nodes, one client: median";
    Row::new(what, format!("{} ({count} nodes)", report::ms(median)), "< 25 ms", median.as_millis() < 25)
}

/// Starts the server of the hello route.
pub fn hello() -> Program {
    this_program(HELLO)
}

/// Starts the server that is hyper alone.
pub fn hyper() -> Program {
    this_program(HYPER)
}

fn this_program(argument: &str) -> Program {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.arg(argument);
    Program::start(program, String::new())
}

struct Hello;

#[OpenApi]
impl Hello {
    #[oai(path = "/hello", method = "get")]
    async fn hello(&self) -> PlainText<&'static str> {
        PlainText("hello")
    }
}

/// Serves the hello route until the process is killed.
pub fn serve_hello() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let flags = Flags::default().with("listen", "127.0.0.1:0");
        let settings = resolve(&flags, &Texts::new(), None).expect("settings").settings;
        let bound = tokio::net::TcpListener::bind(settings.listen).await.expect("an address");
        println!("listening on http://{}", bound.local_addr().expect("an address"));
        let endpoint = OpenApiService::new(Hello, "hello", "1").into_endpoint().map_to_response().boxed();
        let listener = Listener::new(
            bound,
            None,
            Arc::new(endpoint),
            Arc::new(Metrics::new(orgkeys::server::clock::system().now())),
            &settings,
        );
        listener.run(CancellationToken::new()).await;
    });
}

/// Serves the same text with hyper alone until the process is killed.
pub fn serve_hyper() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bound = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("an address");
        println!("listening on http://{}", bound.local_addr().expect("an address"));
        loop {
            let (stream, _) = bound.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello")))) });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
}
