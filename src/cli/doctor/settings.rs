//! Are the settings safe, and is the certificate good for a while?

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::actions::doctor::{Finding, readable};
use crate::config::Settings;
use crate::crypto::certificate;
use crate::domain::time::Time;
use crate::server::tls as files;

/// A certificate that ends within this needs somebody.
const SOON: Duration = Duration::from_hours(14 * 24);

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// What is found of the certificate and its key; nothing where connections are not encrypted.
pub fn tls(settings: &Settings, now: Time) -> Vec<Finding> {
    let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Vec::new() };
    let mut found: Vec<Finding> = readable(key, 0o007).into_iter().collect();
    if let Err(problem) = files::load(settings) {
        found.push(Finding::act(
            "tls",
            problem,
            "Put a certificate and its key there, in PEM, readable for the server",
        ));
        return found;
    }
    let chain = files::certificates(cert).unwrap_or_default();
    let dates: Option<Vec<_>> = chain.iter().map(|certificate| certificate::validity(certificate)).collect();
    let first = dates.as_ref().and_then(|dates| dates.iter().map(|(from, _)| *from).max());
    let last = dates.as_ref().and_then(|dates| dates.iter().map(|(_, until)| *until).min());
    let path = cert.display();
    let renew = format!("Renew it and put it at {path}: the server reads it again by itself");
    found.push(match (first, last) {
        (Some(_), Some(last)) if last < now => {
            Finding::act("tls", format!("The certificate {path} ended at {last}: nobody can connect"), renew)
        }
        (Some(first), Some(_)) if first > now => {
            let remedy = "Set the clock right, or take a certificate that is valid already";
            Finding::act(
                "tls",
                format!("The certificate {path} is valid from {first} on, which is yet to come"),
                remedy,
            )
        }
        (Some(_), Some(last)) if last < now.plus(SOON) => {
            Finding::act("tls", format!("The certificate {path} ends within 14 days: at {last}"), renew)
        }
        (Some(_), Some(last)) => Finding::well("tls", format!("The certificate is valid until {last}")),
        _ => Finding::act("tls", format!("The dates in {path} cannot be read"), renew),
    });
    found
}

/// The first thing about the settings that is not safe.
pub fn safe(settings: &Settings) -> Finding {
    let act = |message: String, remedy: &str| Finding::act("settings", message, remedy);
    if let Some(net) = settings.trusted_proxy.iter().find(|net| net.prefix_len() == 0) {
        let remedy = "Name your proxy's own address there, such as 127.0.0.1";
        return act(format!("trusted_proxy is {net}: everybody may say what address they have"), remedy);
    }
    if settings.metrics_token.as_ref().is_some_and(|token| token.expose_secret().len() < SHORTEST_TOKEN) {
        let remedy = "Take one from `orgkeys token generate`";
        return act(format!("metrics_token has fewer than {SHORTEST_TOKEN} characters: it can be guessed"), remedy);
    }
    if !settings.listen.ip().is_loopback() && settings.tls_cert.is_none() {
        let remedy = "Set tls_cert and tls_key, or listen on 127.0.0.1 behind a TLS proxy";
        return act(format!("Tokens cross the network in the clear: {} has no TLS", settings.listen), remedy);
    }
    Finding::well("settings", "Nothing in the settings opens the server to strangers")
}
