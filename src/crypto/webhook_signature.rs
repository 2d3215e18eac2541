//! Signatures of webhook deliveries as Standard Webhooks 1.0 defines them: HMAC-SHA256 over id, timestamp and body.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};

/// Returns the value of `webhook-signature`: one signature per secret, so that a receiver can verify with either secret
/// during a rotation. `timestamp` is in Unix seconds.
#[must_use]
pub fn sign(secrets: &[SecretSlice<u8>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signatures = secrets.iter().map(|secret| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret()));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretSlice<u8> {
        SecretSlice::from(STANDARD.decode(text).expect("base64"))
    }

    /// The example that the specification's own libraries use in their tests.
    #[test]
    fn the_signature_of_the_published_example_matches() {
        let secrets = [secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let signature = sign(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_give_two_signatures_in_order() {
        let (old, new) =
            (secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), secret("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        let one = |secret: &SecretSlice<u8>| sign(std::slice::from_ref(secret), "delivery-1", 7, b"{}");
        assert_eq!(sign(&[new.clone(), old.clone()], "delivery-1", 7, b"{}"), format!("{} {}", one(&new), one(&old)));
    }
}
