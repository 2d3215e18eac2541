//! Deliveries and third-party libraries: Python's and JavaScript's accept their signatures, and no others.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use orgkeys::crypto::webhook_signature;
use secrecy::SecretSlice;

use crate::harness::{ended, now};
use crate::missing::missing;

const SECRET: [u8; 32] = [7; 32];
const ID: &str = "delivery-018d0c4e-0000-7000-8000-000000000000";
const BODY: &str = r#"{"event":"key.delete","name":"Zoë","seq":7}"#;

/// A library's exit code; `None`, with a note, if it is not installed.
fn verify(language: &str, signature: &str, timestamp: i64, body: &str) -> Option<i32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (venv, node) = (root.join("target/ci/venv/bin/python3"), root.join("target/ci/node"));
    let mut command = match language {
        "python" if venv.exists() => Command::new(venv),
        "python" => Command::new("python3"),
        _ => Command::new("node"),
    };
    let script = if language == "python" { "verify.py" } else { "verify.mjs" };
    command.arg(root.join("tests/webhooks").join(script));
    command.args([&format!("whsec_{}", STANDARD.encode(SECRET)), ID, &timestamp.to_string(), signature]);
    command.current_dir(if node.exists() { &node } else { root });
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let status = spawned.ok().map(|mut child| {
        // It may have exited without reading.
        let _ = child.stdin.take().expect("its input").write_all(body.as_bytes());
        ended(language, &mut child).code().expect("a status")
    });
    match status {
        None | Some(3) => {
            missing(&format!("{language} with the library standardwebhooks"));
            None
        }
        status => status,
    }
}

#[test]
fn python_and_javascript_libraries_verify_a_delivery_with_either_secret() {
    let timestamp = now().millis() / 1_000;
    let sign = |secrets: &[[u8; 32]], timestamp: i64| {
        let secrets: Vec<_> = secrets.iter().map(|secret| SecretSlice::from(secret.to_vec())).collect();
        webhook_signature::sign(&secrets, ID, timestamp, BODY.as_bytes())
    };
    let (old, other) = (timestamp - 3_600, [8; 32]);
    for language in ["python", "javascript"] {
        let right = [sign(&[SECRET], timestamp), sign(&[SECRET, other], timestamp), sign(&[other, SECRET], timestamp)];
        for signature in right {
            let Some(status) = verify(language, &signature, timestamp, BODY) else { break };
            assert_eq!(status, 0, "{language}");
        }
        let wrong = [
            (sign(&[other], timestamp), timestamp, BODY),
            (sign(&[SECRET], timestamp), timestamp, "{}"),
            (sign(&[SECRET], timestamp), timestamp + 1, BODY),
            (sign(&[SECRET], old), old, BODY),
        ];
        for (signature, timestamp, body) in wrong {
            let Some(status) = verify(language, &signature, timestamp, body) else { break };
            assert_eq!(status, 1, "{language}");
        }
    }
}
