//! Sessions and tokens.

use super::Row;

pub const ROWS: &[Row] = &[
    ("getProfile", "OWNER", "/user/profile", "", 200, "user.profile 3 OWNER - done -"),
    ("getProfile", "", "/user/profile", "", 401, ""),
    ("loginUser", "USER", "/user/login", "LOGIN", 200, r#"session.begin 3 USER 1 done {"tokenId":"SESSION"}"#),
    ("loginUser", "", "/user/login", r#"{"email":"ada@example.org","password":"wrong"}"#, 401, ""),
    (
        "refreshSession",
        "USER",
        "/user/refresh",
        "REFRESH",
        200,
        r#"session.refresh 3 USER - done {"tokenId":"SESSION"}"#,
    ),
    ("refreshSession", "", "/user/refresh", r#"{"refreshToken":"okr_1"}"#, 401, ""),
    ("listTokens", "USER", "/token", "", 200, r#"session.list 3 USER - done {"count":2}"#),
    (
        "logoutUser",
        "USER",
        "/user/logout",
        "REFRESH",
        200,
        r#"token.revoke 3 USER 1 done {"revokedTokenId":"SESSION"}"#,
    ),
    ("logoutUser", "", "/user/logout", "REFRESH", 200, ""),
    ("loginUser", "USER", "/user/login", "LOGIN", 200, r#"session.begin 3 USER 1 done {"tokenId":"SESSION"}"#),
    ("deleteToken", "USER", "/token/SESSION", "", 200, r#"token.revoke 3 USER 1 done {"revokedTokenId":"SESSION"}"#),
    ("deleteToken", "USER", "/token/SESSION", "", 404, ""),
    ("refreshSession", "", "/user/refresh", "REFRESH", 401, ""),
    ("loginUser", "USER", "/user/login", "LOGIN", 200, r#"session.begin 3 USER 1 done {"tokenId":"SESSION"}"#),
    (
        "refreshSession",
        "USER",
        "/user/refresh",
        "REFRESH",
        200,
        r#"session.refresh 3 USER - done {"tokenId":"SESSION"}"#,
    ),
    ("refreshSession", "USER", "/user/refresh", "SPENT", 401, r#"session.reuse 3 USER 1 done {"tokenId":"SESSION"}"#),
];
