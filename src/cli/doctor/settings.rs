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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use base64::prelude::{BASE64_STANDARD, Engine};

    use super::*;
    use crate::config::{Flags, Texts, resolve};

    #[test]
    fn a_certificate_is_well_from_its_beginning_until_14_days_before_its_end() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let words = [
            "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-days", "90", "-keyout", "k", "-out",
            "c",
        ];
        if !Command::new("openssl")
            .args(words)
            .current_dir(folder.path())
            .output()
            .is_ok_and(|made| made.status.success())
        {
            println!("skipped: a certificate cannot be made here (it needs openssl)");
            return;
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        let flags = Flags::default().with("tls_cert", path("c")).with("tls_key", path("k"));
        let settings = resolve(&flags, &Texts::new(), None).expect("settings").settings;
        let chain = files::certificates(folder.path().join("c").as_path()).expect("a certificate");
        let (from, until) = certificate::validity(&chain[0]).expect("dates");
        let (millisecond, days) = (Duration::from_millis(1), Duration::from_hours(14 * 24));
        for (now, says) in [
            (from.minus(millisecond), "is not valid until "),
            (from, "The certificate is valid until "),
            (until.minus(days), "The certificate is valid until "),
            (until.minus(days).plus(millisecond), "expires within 14 days: at "),
            (until, "expires within 14 days: at "),
            (until.plus(millisecond), "expired at "),
        ] {
            let found = tls(&settings, now);
            let about = found.iter().find(|finding| finding.check == "tls").expect("it looked");
            assert_eq!((about.message.contains(says), about.ok), (true, says.contains("is valid")), "{now}: {about:?}");
        }
        // A second certificate in the file, which becomes valid a day later or ends a day earlier. Nobody checks its
        // signature.
        let date = |time: Time| {
            let digits: String = time.to_string().chars().filter(char::is_ascii_digit).collect();
            format!("{}Z", &digits[2..14]).into_bytes()
        };
        let text = std::fs::read_to_string(folder.path().join("c")).expect("text");
        let day = Duration::from_hours(24);
        for (old, new, now, says) in [
            (from, from.plus(day), from.plus(day).minus(millisecond), format!("is not valid until {}", from.plus(day))),
            (until, until.minus(day), until, format!("expired at {}", until.minus(day))),
        ] {
            let (old, new, mut der) = (date(old), date(new), chain[0].to_vec());
            let at = der.windows(old.len()).position(|bytes| bytes == old).expect("a date");
            der[at..at + new.len()].copy_from_slice(&new);
            let second = BASE64_STANDARD.encode(der);
            let second = format!("-----BEGIN CERTIFICATE-----\n{second}\n-----END CERTIFICATE-----\n");
            for both in [format!("{text}{second}"), format!("{text}{second}{text}")] {
                std::fs::write(folder.path().join("c"), both).expect("written");
                let found = tls(&settings, now);
                let about = found.iter().find(|finding| finding.check == "tls").expect("it looked");
                assert_eq!((about.message.contains(&says), about.ok), (true, false), "{now}: {about:?}");
            }
        }
    }
}
