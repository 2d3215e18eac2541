//! Audited reads over HTTP, and the framework's minimal response on the same kind of listener.

use std::process::Command;
use std::sync::Arc;

use orgkeys::api::http::metrics::Metrics;
use orgkeys::config::{Flags, Texts, resolve};
use orgkeys::server::listener::Listener;
use poem::{EndpointExt, IntoEndpoint};
use poem_openapi::payload::PlainText;
use poem_openapi::{OpenApi, OpenApiService};
use tokio_util::sync::CancellationToken;

use crate::Scale;
use crate::load;
use crate::program::{Program, Site};
use crate::registrations::Signers;
use crate::report::Row;

/// The argument that makes this program serve the hello route.
pub const HELLO: &str = "--hello";

const KEYS: usize = 5;
const NODES: usize = 25;

/// Listing five keys with five nodes each, and the hello route.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    let server = site.start();
    let org = server.org.clone();
    let pems: Vec<String> = (0..KEYS).map(|_| server.mint(&org)).collect();
    let mut nodes = Signers::new(&org, &pems).requests(0..1).into_iter().take(NODES);
    load::run(&server, move || nodes.next());
    let list = load::repeat(&server, &server.request("GET", &format!("/organization/{org}/key")), scale.time);
    drop(server);
    let hello = hello();
    let least = load::repeat(&hello, &hello.request("GET", "/hello"), scale.time);
    vec![
        Row::new(
            "list keys: `GET /organization/{idOrg}/key`, 64 connections",
            list.text(),
            ">= 8,000/s",
            list.rate >= 8_000.0,
        ),
        Row::baseline("a poem-openapi hello route, 64 connections", least.text()),
    ]
}

/// Starts the server of the hello route.
pub fn hello() -> Program {
    let mut hello = Command::new(std::env::current_exe().expect("this program"));
    hello.arg(HELLO);
    Program::start(hello, String::new())
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
            endpoint,
            Arc::new(Metrics::new(orgkeys::server::clock::system().now())),
            &settings,
        );
        listener.run(CancellationToken::new()).await;
    });
}
