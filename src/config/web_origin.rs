//! How is a web origin read? As browsers send it in the header `Origin`: anything else would never match.

use url::Url;

use super::value::SettingValue;

/// The origin of web pages, such as `https://app.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(pub String);

impl SettingValue for WebOrigin {
    const FORM: &'static str = "origin";

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            return Err("does not support wildcards: list each origin, such as https://app.example.org".to_owned());
        }
        let has_scheme = text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
            || text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://"));
        if !has_scheme {
            // The text is not repeated: it may be a secret that was meant for another setting.
            return Err(
                "needs the scheme of each origin: write https://app.example.org, not app.example.org".to_owned()
            );
        }
        let url = Url::parse(text).map_err(|_| {
            "has an origin without a valid host or port: write each origin like https://app.example.org or \
            http://localhost:5173"
                .to_owned()
        })?;
        let origin = url.origin().ascii_serialization();
        if origin == text {
            return Ok(Self(origin));
        }
        Err(format!("has an origin that is not written as browsers send it: write {origin}, and nothing after it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_as_browsers_send_them_are_accepted() {
        for origin in [
            "https://app.example.org",
            "http://localhost:5173",
            "https://example.org:8443",
            "http://127.0.0.1:3000",
            "https://[2001:db8::1]",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(WebOrigin::parse(origin), Ok(WebOrigin(origin.to_owned())));
        }
    }

    #[test]
    fn what_never_matches_is_refused_with_what_to_write() {
        for (text, advice) in [
            ("*", "list each origin, such as https://app.example.org"),
            ("https://*.example.org", "list each origin"),
            ("example.org", "write https://app.example.org, not app.example.org"),
            ("localhost:5173", "write https://app.example.org, not app.example.org"),
            ("//example.org", "needs the scheme"),
            ("https:example.org", "needs the scheme"),
            ("null", "needs the scheme"),
            ("file:///app", "needs the scheme"),
            ("ftp://example.org", "needs the scheme"),
            ("https://x/", "write https://x, and nothing after it"),
            ("https://x/app", "write https://x, and"),
            ("https://x?", "write https://x, and"),
            ("https://x#", "write https://x, and"),
            ("https://ada:secret@x", "write https://x, and"),
            ("https://x:443", "write https://x, and"),
            ("http://x:80", "write http://x, and"),
            ("https://App.Example.org", "write https://app.example.org, and"),
            ("HTTPS://x", "write https://x, and"),
            ("https://b\u{fc}cher.example", "write https://xn--bcher-kva.example, and"),
            ("https://[2001:DB8::0:1]", "write https://[2001:db8::1], and"),
            ("https://", "without a valid host or port"),
            ("https://a b", "without a valid host or port"),
            ("https://x:99999", "without a valid host or port"),
            ("https://x:", "write https://x, and"),
        ] {
            let problem = WebOrigin::parse(text).expect_err(text);
            assert!(problem.contains(advice) && !problem.contains("secret"), "{text}: {problem}");
        }
    }
}
