//! The doctor's checks of the TLS certificate and of settings that would expose the server.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::actions::doctor::{Finding, readable};
use crate::config::Settings;
use crate::crypto::certificate;
use crate::domain::time::Time;
use crate::server::tls as files;

/// A certificate that expires within this time needs attention.
const SOON: Duration = Duration::from_hours(14 * 24);

/// The minimum length of `metrics_token`, in bytes: a shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Checks the certificate and its key. Returns no findings when TLS is not configured.
pub fn tls(settings: &Settings, now: Time) -> Vec<Finding> {
    let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Vec::new() };
    let mut found: Vec<Finding> = readable(key, 0o007).into_iter().collect();
    if let Err(problem) = files::load(settings) {
        found.push(Finding::act(
            "tls",
            problem,
            "Put a certificate and its key at these paths, in PEM format and readable by the server",
        ));
        return found;
    }
    let chain = files::certificates(cert).unwrap_or_default();
    let dates: Option<Vec<_>> = chain.iter().map(|certificate| certificate::validity(certificate)).collect();
    let first = dates.as_ref().and_then(|dates| dates.iter().map(|(from, _)| *from).max());
    let last = dates.as_ref().and_then(|dates| dates.iter().map(|(_, until)| *until).min());
    let path = cert.display();
    let renew = format!("Renew the certificate and put it at {path}: the server reloads it automatically");
    found.push(match (first, last) {
        (Some(_), Some(last)) if last < now => {
            Finding::act("tls", format!("The certificate {path} expired at {last}: clients cannot connect"), renew)
        }
        (Some(first), Some(_)) if first > now => {
            let remedy = "Correct the system clock, or use a certificate that is already valid";
            Finding::act("tls", format!("The certificate {path} is not valid until {first}"), remedy)
        }
        (Some(_), Some(last)) if last < now.plus(SOON) => {
            Finding::act("tls", format!("The certificate {path} expires within 14 days: at {last}"), renew)
        }
        (Some(_), Some(last)) => Finding::well("tls", format!("The certificate is valid until {last}")),
        _ => Finding::act("tls", format!("The validity dates in {path} cannot be read"), renew),
    });
    found
}

/// Reports the first setting that exposes the server.
pub fn safe(settings: &Settings) -> Finding {
    let act = |message: String, remedy: &str| Finding::act("settings", message, remedy);
    if let Some(net) = settings.trusted_proxy.iter().find(|net| net.prefix_len() == 0) {
        let remedy = "Set it to the address of your proxy, such as 127.0.0.1";
        return act(format!("trusted_proxy is {net}: any client can forge its address"), remedy);
    }
    if settings.metrics_token.as_ref().is_some_and(|token| token.expose_secret().len() < SHORTEST_TOKEN) {
        let remedy = "Generate one with `orgkeys token generate`";
        return act(format!("metrics_token is shorter than {SHORTEST_TOKEN} characters: it can be guessed"), remedy);
    }
    if !settings.listen.ip().is_loopback() && settings.tls_cert.is_none() {
        let remedy = "Set tls_cert and tls_key, or listen on 127.0.0.1 behind a TLS proxy";
        return act(format!("Tokens cross the network unencrypted: {} has no TLS", settings.listen), remedy);
    }
    Finding::well("settings", "No setting exposes the server")
}
