//! `orgkeys serve`: starts the server, prints the first token once and the address, and stops on SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::time::Instant;

use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::lifecycle::{self, StopSignal};
use super::{CommandError, log};
use crate::actions::bootstrap::{Start, TOKEN_TTL};
use crate::config::Resolved;
use crate::server::{Server, clock};

pub fn run(resolved: Resolved) -> Result<(), CommandError> {
    let began = Instant::now();
    log::start(&resolved.settings);
    let changed_settings = lifecycle::changed_settings(&resolved);
    // Blocking threads read and compute. Few operations hold one while a change is being committed (denials, new keys),
    // so six are enough.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(6).build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let server = Server::start(resolved.settings, clock::system()).await?;
        lifecycle::started(&server, &changed_settings).await;
        let scheme = if server.is_tls() { "https" } else { "http" };
        show(&server, scheme);
        server.announced().await?;
        println!("listening on {scheme}://{}", server.address());
        // Without a service manager there is nothing to notify.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let signals = stop.clone();
        let signal = tokio::spawn(async move {
            let name = tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" };
            let at = Instant::now();
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            signals.cancel();
            StopSignal { name, at }
        });
        let report = server.run(stop).await;
        lifecycle::stopped(began, &signal.await?, report);
        Ok(())
    })
}

/// Prints what the first start created, to standard output and never to the log.
fn show(server: &Server, scheme: &str) {
    match server.first_start() {
        Start::Existing => {}
        Start::Given(org) => {
            println!("first start: organization {org}; its owner's access token is the bootstrap token");
        }
        Start::Show { org, token, id } => {
            let (token, url) = (token.expose_secret(), format!("{scheme}://{}", reachable(server.address())));
            let days = TOKEN_TTL.as_secs() / 86_400;
            println!(
                "This is the first start. The owner's access token is shown only once and expires in {days} days.\n\
                 \n    organization  {org}\n    access token  {token}\n\
                 \nTo revoke it, stop the server and run: orgkeys token revoke {id}\n\
                 \nPaste these lines to get your profile, create a key in key.pem, and list the keys of your organization.\n\
                 \ncurl -sSf {url}/user/profile -H 'Authorization: Bearer {token}'\
                 \n(umask 077; curl -sSf -X POST {url}/organization/{org}/key -H 'Authorization: Bearer {token}' -o key.pem)\
                 \ncurl -sSf {url}/organization/{org}/key -H 'Authorization: Bearer {token}'\n\
                 \nTo try every call in a browser, open {url}/docs\n"
            );
        }
    }
}

/// Returns an address that a client on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
