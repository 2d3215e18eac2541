//! Secrets: set, listed, fetched and deleted. Entries contain no text.

use super::Row;

pub const ROWS: &[Row] = &[
    ("fetchSecrets", "", "/secrets", "SIGNED", 400, ""),
    ("putSecret", "USER", "SECRETS/s3", PUT, 403, r#"access.denied 4 ORG - refused {"rule":"manage secrets"}"#),
    ("putSecret", "OWNER", "SECRETS/S3", PUT, 400, ""),
    (
        "putSecret",
        "OWNER",
        "SECRETS/s3",
        PUT,
        200,
        r#"secret.put 8 PARCEL 0 done {"name":"s3","region":null,"bytes":4}"#,
    ),
    (
        "putSecret",
        "OWNER",
        "SECRETS/s3",
        PUT,
        200,
        r#"secret.put 8 PARCEL 1 done {"name":"s3","region":null,"bytes":4}"#,
    ),
    (
        "putSecret",
        "OWNER",
        "SECRETS/gcs",
        r#"{"text":"","region":"eu-1"}"#,
        200,
        r#"secret.put 8 PARCEL 0 done {"name":"gcs","region":"eu-1","bytes":0}"#,
    ),
    ("listSecrets", "USER", "SECRETS", "", 403, r#"access.denied 4 ORG - refused {"rule":"see secrets"}"#),
    ("listSecrets", "OWNER", "SECRETS", "", 200, r#"secret.list 8 ORG - done {"count":2}"#),
    (
        "fetchSecrets",
        "",
        "/secrets",
        "SIGNED",
        200,
        r#"secret.read 9 NODE - done {"keyId":"KEY","names":["gcs","s3"],"message":"FORM"}"#,
    ),
    ("fetchSecrets", "", "/secrets", "{}", 400, ""),
    ("deleteSecret", "OWNER", "SECRETS/gcs", "", 404, ""),
    ("deleteSecret", "OWNER", "SECRETS/gcs?Region=eu-1", "", 400, ""),
    (
        "deleteSecret",
        "OWNER",
        "SECRETS/gcs?region=eu-1",
        "",
        200,
        r#"secret.delete 8 PARCEL 2 done {"name":"gcs","region":"eu-1"}"#,
    ),
];

const PUT: &str = r#"{"text":"A=1\n"}"#;
