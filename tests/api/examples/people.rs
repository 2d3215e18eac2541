//! The first chapter of the scenario: users, sessions and access tokens.

use serde_json::json;

use super::story::{ADA, GRACE, ORG, Step, ada};

const GRACES_TOKEN: &str = "okp_EXAMPLEexampleEXAMPLEexampleEXAMPLE4";
const GRACES_BROWSER: &str = "okw_EXAMPLEexampleEXAMPLEexampleEXAMPLE1";
const SESSION: &str = "token-018d0b6a-5c80-7000-8000-000000000001";
/// A user who takes Grace's email address while she is deleted.
const SAME_ADDRESS: &str = "user-018d0b6a-5c80-7000-8000-000000000004";

/// The first chapter.
pub fn people() -> Vec<Step> {
    let password = "two teapots and a kite";
    let grace = json!({
        "email": "grace@example.org", "firstName": "Grace", "lastName": "Hopper", "orgRole": 2, "sendInvite": true,
    });
    let invitation = json!({ "token": "oki_EXAMPLEexampleEXAMPLEexampleEXAMPLE2", "password": password });
    let taken = json!({
        "email": "grace@example.org", "password": password, "firstName": "Grace", "lastName": "Kelly",
    });
    let guess = json!({ "email": "grace@example.org", "password": "three teapots and a kite" });
    let renewal = json!({ "refreshToken": "okr_EXAMPLEexampleEXAMPLEexampleEXAMPLE1" });
    let mut steps = vec![
        ada("getServer", json!({})).by(""),
        ada("getHealth", json!({})).by(""),
        ada("getReadiness", json!({})).by(""),
        ada("getProfile", json!({})),
        ada("getOrganization", json!({ "orgId": ORG })),
        ada("updateOrganization", json!({ "orgId": ORG }))
            .with(json!({ "name": "acme", "domain": "example.org", "city": "London", "is_business": true })),
        ada("updateOrganization", json!({ "orgId": ORG }))
            .with(json!({ "name": "acme", "mfaEnforced": true }))
            .refused(),
        ada("createUser", json!({})).with(grace.clone()),
        ada("createUser", json!({})).with(grace).refused(),
        ada("createUser", json!({}))
            .with(json!({
                "email": "alan@example.org", "password": "12345678", "firstName": "Alan", "lastName": "Turing",
            }))
            .refused(),
        ada("resendInvitation", json!({ "userId": GRACE })),
        ada("verifyEmail", json!({})).by("").with(invitation.clone()),
        ada("verifyEmail", json!({})).by("").with(invitation).refused(),
        ada("resendInvitation", json!({ "userId": GRACE })).refused(),
        ada("loginUser", json!({})).by("").with(json!({ "email": "grace@example.org" })).refused(),
        ada("loginUser", json!({})).by("").with(guess.clone()).refused(),
        ada("loginUser", json!({}))
            .by("")
            .with(json!({ "email": "grace@example.org", "password": password, "deviceInfo": "Firefox on Linux" })),
        ada("refreshSession", json!({})).by("").with(json!({})).refused(),
        ada("refreshSession", json!({})).by("").with(renewal),
        ada("createToken", json!({})).by(GRACES_TOKEN).with(json!({ "name": "laptop", "ttlSeconds": 7_776_000 })),
        ada("createToken", json!({})).by(GRACES_TOKEN).with(json!({ "name": "laptop", "ttlSeconds": 1 })).refused(),
        ada("listTokens", json!({})).by(GRACES_TOKEN),
        ada("updateAccount", json!({ "id": GRACE }))
            .by(GRACES_TOKEN)
            .with(json!({ "name": "Grace", "lastName": "Murray Hopper" })),
        ada("updateAccount", json!({ "id": GRACE }))
            .by(GRACES_TOKEN)
            .with(json!({ "password": "four teapots and a kite" }))
            .refused(),
        ada("deleteToken", json!({ "tokenId": SESSION })).by(GRACES_TOKEN),
        ada("logoutUser", json!({})).by("").with(json!({ "refreshToken": "okr_EXAMPLEexampleEXAMPLEexampleEXAMPLE2" })),
        ada("logoutUser", json!({})).by("").with(json!({})).refused(),
        ada("refreshSession", json!({}))
            .by("")
            .with(json!({ "refreshToken": "okr_EXAMPLEexampleEXAMPLEexampleEXAMPLE2" }))
            .refused(),
        ada("createWebSession", json!({})).by("").with(guess.clone()).refused(),
        ada("createWebSession", json!({})).by("").with(json!({ "email": "grace@example.org" })).refused(),
        ada("createWebSession", json!({}))
            .by("")
            .with(json!({ "email": "grace@example.org", "password": password, "deviceInfo": "Firefox on Linux" })),
        ada("confirmPassword", json!({})).by(GRACES_BROWSER).with(json!({ "password": "wrong" })).refused(),
        ada("confirmPassword", json!({})).by(GRACES_BROWSER).with(json!({ "password": password })),
        ada("deleteWebSession", json!({})).by(GRACES_BROWSER),
        ada("getAccount", json!({ "id": GRACE })),
        ada("updateUserRole", json!({ "id": GRACE })).with(json!({ "orgRole": 254 })),
        ada("updateUserRole", json!({ "id": GRACE })).with(json!({ "orgRole": 3 })).refused(),
        ada("updateUserRole", json!({ "id": ADA })).with(json!({ "orgRole": 254 })).refused(),
        ada("listUsers", json!({ "skip": 0, "take": 20 })),
        ada("listUsers", json!({ "skip": 0, "take": 1_001 })).refused(),
        ada("getUser", json!({ "userId": GRACE })),
        ada("updateUser", json!({ "userId": GRACE })).with(json!({ "name": "Grace" })),
        ada("updateUser", json!({ "userId": ADA })).with(json!({ "orgRole": 254 })).refused(),
        ada("deleteUser", json!({ "userId": ADA })).refused(),
        ada("deleteUser", json!({ "userId": GRACE })),
        ada("updateUser", json!({ "userId": GRACE })).with(json!({ "name": "Grace" })).refused(),
        ada("createUser", json!({})).with(taken).unseen(),
        ada("activateUser", json!({ "userId": GRACE })).refused(),
        ada("deleteUser", json!({ "userId": SAME_ADDRESS })).unseen(),
        ada("activateUser", json!({ "userId": GRACE })),
        ada("activateUser", json!({ "userId": GRACE })).refused(),
    ];
    steps.extend((0..10).map(|_| ada("loginUser", json!({})).by("").with(guess.clone()).unseen()));
    steps.push(ada("loginUser", json!({})).by("").with(guess.clone()).refused());
    steps.push(ada("createWebSession", json!({})).by("").with(guess).refused());
    steps
}
