//! Serves static content: compressed for clients that accept gzip, and with an `ETag` of its content.

use std::io::{Read, Write};
use std::sync::OnceLock;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Request, Response};
use sha2::{Digest, Sha256};

use crate::crypto::chain::hex;

/// The content type of a page.
pub const HTML: &str = "text/html; charset=utf-8";
/// The content type of a style sheet.
pub const CSS: &str = "text/css; charset=utf-8";
/// The content type of a script.
pub const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Includes a file that was compressed at build time.
macro_rules! built {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz"))
    };
}
pub(super) use built;

/// Bytes of the hash in an `ETag`: enough that two contents never share one by chance.
const TAG_BYTES: usize = 8;

/// A file embedded in the program, or a text that is generated once.
pub struct Asset {
    content_type: &'static str,
    gzip: Bytes,
    /// The decompressed content, once a client has asked for it.
    plain: OnceLock<Bytes>,
    tag: String,
}

impl Asset {
    /// Creates an asset from content that was compressed at build time.
    #[must_use]
    pub fn compressed(content_type: &'static str, gzip: &'static [u8]) -> Self {
        Self::new(content_type, Bytes::from_static(gzip), OnceLock::new())
    }

    /// Creates an asset from a text, and compresses it.
    pub fn text(content_type: &'static str, text: &'static str) -> std::io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes())?;
        let gzip = encoder.finish()?.into();
        Ok(Self::new(content_type, gzip, OnceLock::from(Bytes::from_static(text.as_bytes()))))
    }

    fn new(content_type: &'static str, gzip: Bytes, plain: OnceLock<Bytes>) -> Self {
        // Weak (RFC 9110, section 8.8.1), because both forms of one content share it.
        let tag = format!("W/\"{}\"", hex(&Sha256::digest(&gzip)[..TAG_BYTES]));
        Self { content_type, gzip, plain, tag }
    }

    /// Returns the response to a request for the asset.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Response {
        let is_known = request.header(header::IF_NONE_MATCH).is_some_and(|tags| tags.contains(&self.tag));
        let response = Response::builder()
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::ETAG, &self.tag)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::VARY, "Accept-Encoding");
        if is_known {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        if takes_gzip(request) {
            let gzip = HeaderValue::from_static("gzip");
            return response.header(header::CONTENT_ENCODING, gzip).body(self.gzip.clone());
        }
        response.body(self.plain.get_or_init(|| plain(&self.gzip)).clone())
    }
}

fn plain(gzip: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    // The program's own output always decompresses.
    if let Err(error) = GzDecoder::new(gzip).read_to_end(&mut plain) {
        tracing::error!(%error, "an embedded file cannot be decompressed");
    }
    plain.into()
}

/// Returns whether the client accepts gzip (RFC 9110, section 12.5.3): it names `gzip` or `*`, with a weight above 0.
fn takes_gzip(request: &Request) -> bool {
    let named = request.headers().get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings: Vec<(String, bool)> = named
        .flat_map(|value| value.split(','))
        .map(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
            (name.trim().to_ascii_lowercase(), weight.is_some_and(|weight| weight > 0.0))
        })
        .collect();
    let of = |wanted: &str| codings.iter().find(|(name, _)| name == wanted);
    of("gzip").or_else(|| of("*")).is_some_and(|(_, is_taken)| *is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(encodings: &str) -> bool {
        takes_gzip(&Request::builder().header(header::ACCEPT_ENCODING, encodings).finish())
    }

    #[test]
    fn gzip_is_sent_only_to_clients_that_accept_it() {
        for taken in ["gzip", "GZIP", "br, gzip;q=0.5", "deflate,gzip, br", "*", "br;q=1, *;q=0.1"] {
            assert!(is_taken(taken), "{taken}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip;q=0.0, *", "identity", "gzip;q=x", "*;q=0", "xgzip"] {
            assert!(!is_taken(refused), "{refused}");
        }
        assert!(!takes_gzip(&Request::default()));
        let lines = ["br", "gzip"]
            .into_iter()
            .fold(Request::builder(), |request, line| request.header(header::ACCEPT_ENCODING, line));
        assert!(takes_gzip(&lines.finish()), "in the second of two lines");
    }

    #[test]
    fn each_content_has_its_own_etag_and_decompresses_unchanged() {
        let [one, two] = ["one", "two"].map(|text| Asset::text("text/plain", text).expect("compressed"));
        assert_ne!(one.tag, two.tag);
        assert_eq!((&plain(&one.gzip)[..], &plain(&two.gzip)[..]), (&b"one"[..], &b"two"[..]));
    }
}
