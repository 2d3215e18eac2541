//! `orgkeys serve`: starts the server, prints the first token once, the link that sets it up and the address, and stops on SIGTERM or SIGINT.

use std::time::Instant;

use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::lifecycle::{self, StopSignal};
use super::output::say;
use super::{CommandError, local, log};
use crate::actions::bootstrap::{Start, TOKEN_TTL};
use crate::config::Resolved;
use crate::domain::session::SETUP_TTL;
use crate::server::tls::Tls;
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
        let hangup = signal(SignalKind::hangup())?;
        let server = Server::start(resolved.settings, clock::system()).await?;
        lifecycle::started(&server, &changed_settings).await;
        let scheme = if server.tls().is_some() { "https" } else { "http" };
        tokio::spawn(reload(hangup, server.tls().cloned()));
        show(&server, scheme)?;
        server.announced().await?;
        say(&format!("listening on {scheme}://{}", server.address()))?;
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

/// Reads the TLS files again at each SIGHUP.
async fn reload(mut hangup: Signal, tls: Option<Tls>) {
    while hangup.recv().await.is_some() {
        if let Some(tls) = &tls {
            tls.reload();
        } else {
            tracing::info!("SIGHUP was received: there are no TLS files to read again");
        }
    }
}

/// Prints what the first start created, and the link that sets up the server, to standard output and never to the log.
fn show(server: &Server, scheme: &str) -> Result<(), CommandError> {
    let url = format!("{scheme}://{}", local::reachable(server.address()));
    let link = server.setup_link().map(|token| setup_link(&url, token)).unwrap_or_default();
    match server.first_start() {
        Start::Existing if link.is_empty() => Ok(()),
        Start::Existing => say(&link),
        Start::Given(org) => {
            say(&format!("first start: organization {org}; its owner's access token is the bootstrap token"))
        }
        Start::Show { org, token, id, owner } => {
            let token = token.expose_secret();
            let (days, user, email) = (TOKEN_TTL.as_secs() / 86_400, owner.id, &owner.email);
            let bearer = "-H \"Authorization: Bearer $token\"";
            // Many shells keep a line that starts with a space out of their history.
            let notice = format!(
                "This is the first start. The owner's access token is shown only once and expires in {days} days.\n\
                 \nPaste this line into a shell to set the variables of the lines below:\n\
                 \n url={url}; org={org}; token={token}\n\
                 \nGet your profile, create a key in key.pem if there is no such file, and list your organization's keys:\n\
                 \ncurl -sSf \"$url/user/profile\" {bearer}\
                 \n[ -e key.pem ] || (umask 077; curl -sSf -X POST \"$url/organization/$org/key\" {bearer} -o key.pem)\
                 \ncurl -sSf \"$url/organization/$org/key\" {bearer}\n\
                 \nSet your password, of at least 12 characters, to sign in as {email}:\n\
                 \ncurl -sS -X PUT \"$url/user/{user}\" {bearer} -H 'Content-Type: application/json' -d '{{\"password\": \"...\"}}'\n\
                 \nTo revoke the token, run: orgkeys token revoke {id}\n\
                 \nTo try every call in a browser, open {url}/docs\n\n{link}"
            );
            let undo = "Nobody has seen the first access token: start the server again, and it shows another one";
            say(&notice).map_err(|error| error.and(undo))
        }
    }
}

/// Returns the notice with the link that sets up the server in a browser. The token is behind `#`, so that no server logs it.
fn setup_link(url: &str, token: &SecretString) -> String {
    let (minutes, token) = (SETUP_TTL.as_secs() / 60, token.expose_secret());
    format!(
        "No owner has a password yet. To set one in a browser, use this link within {minutes} minutes. It works once, and the \
         next start prints another:\n\
         \nOpen {url}/console/#setup={token}\n"
    )
}
