//! Accounts, users, and the organization.

use super::Row;

pub const ROWS: &[Row] = &[
    ("getAccount", "USER", "/user/USER", "", 200, "user.read 3 USER - done -"),
    ("getAccount", "USER", "/user/OWNER", "", 403, r#"access.denied 4 ORG - refused {"rule":"see people"}"#),
    ("updateAccount", "USER", "/user/USER", r#"{"name":"Eve"}"#, 200, "user.update 3 USER 1 done -"),
    (
        "updateAccount",
        "USER",
        "/user/OWNER",
        r#"{"name":"Eve"}"#,
        403,
        r#"access.denied 4 ORG - refused {"rule":"manage own account"}"#,
    ),
    ("updateAccount", "USER", "/user/USER", PASSWORD, 200, r#"user.password 3 USER 1 done {"sessionsEnded":0}"#),
    ("updateAccount", "USER", "/user/USER", PASSWORD, 400, ""),
    (
        "createUser",
        "OWNER",
        "/organization/users",
        INVITED,
        201,
        r#"user.create 3 GUEST 0 done {"role":0,"invited":true}"#,
    ),
    ("createUser", "OWNER", "/organization/users", INVITED, 409, ""),
    (
        "createUser",
        "USER",
        "/organization/users",
        INVITED,
        403,
        r#"access.denied 4 ORG - refused {"rule":"add people"}"#,
    ),
    ("listUsers", "OWNER", "/organization/users", "", 200, r#"user.list 4 ORG - done {"count":3}"#),
    ("listUsers", "USER", "/organization/users", "", 403, r#"access.denied 4 ORG - refused {"rule":"see people"}"#),
    ("getUser", "OWNER", "/organization/users/GUEST", "", 200, "user.read 3 GUEST - done -"),
    ("getUser", "OWNER", "/organization/users/user-1", "", 404, ""),
    ("updateUser", "OWNER", "/organization/users/GUEST", r#"{"name":"Eve"}"#, 200, "user.update 3 GUEST 1 done -"),
    (
        "updateUser",
        "OWNER",
        "/organization/users/GUEST",
        r#"{"orgRole":1}"#,
        200,
        r#"user.role 3 GUEST 1 done {"previousRole":0,"newRole":1}"#,
    ),
    (
        "updateUser",
        "OWNER",
        "/organization/users/GUEST",
        r#"{"lastName":"Hall","orgRole":0}"#,
        200,
        r#"user.role 3 GUEST 1 done {"previousRole":1,"newRole":0}; user.update 3 GUEST 1 done -"#,
    ),
    (
        "updateUserRole",
        "OWNER",
        "/user/GUEST/role",
        r#"{"orgRole":2}"#,
        200,
        r#"user.role 3 GUEST 1 done {"previousRole":0,"newRole":2}"#,
    ),
    ("updateUserRole", "OWNER", "/user/OWNER/role", r#"{"orgRole":0}"#, 409, ""),
    (
        "resendInvitation",
        "OWNER",
        "/organization/users/GUEST/resend-invitation",
        "",
        200,
        "user.invite 3 GUEST 1 done -",
    ),
    ("verifyEmail", "GUEST", "/user/verify-email", TAKEN, 200, "user.verify 3 GUEST 1 done -"),
    ("verifyEmail", "GUEST", "/user/verify-email", TAKEN, 400, ""),
    ("deleteUser", "OWNER", "/organization/users/GUEST", "", 200, r#"user.delete 3 GUEST 2 done {"tokensEnded":0}"#),
    ("deleteUser", "OWNER", "/organization/users/OWNER", "", 400, ""),
    ("activateUser", "OWNER", "/organization/users/GUEST/activate", "", 200, "user.activate 3 GUEST 1 done -"),
    ("getOrganization", "USER", "/organization/ORG", "", 200, "org.read 4 ORG - done -"),
    (
        "updateOrganization",
        "USER",
        "/organization/ORG",
        r#"{"city":"Rome"}"#,
        403,
        r#"access.denied 4 ORG - refused {"rule":"manage organization"}"#,
    ),
    ("updateOrganization", "OWNER", "/organization/ORG", r#"{"city":"Rome"}"#, 200, "org.update 4 ORG 1 done -"),
];

const PASSWORD: &str = r#"{"password":"a cat on 3 roofs","currentPassword":"correct horse battery staple"}"#;
const INVITED: &str = r#"{"email":"eve@example.org","firstName":"Eve","lastName":"","sendInvite":true}"#;
const TAKEN: &str = r#"{"token":"INVITATION","password":"a cat on 3 roofs"}"#;
