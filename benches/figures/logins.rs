//! Signing in: how much of the time is password hashing, and whether the time reveals which addresses have an account.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use orgkeys::crypto::password;
use orgkeys::server::clock;
use rusqlite::{Connection, params};
use secrecy::SecretString;
use serde_json::json;

use crate::program::{Program, Site};
use crate::report::{Row, ms};
use crate::{Scale, http, machine};

const PASSWORD: &str = "correct horse battery staple";

/// Accounts that are attacked in turn: each is refused after ten wrong passwords from one network, or 100 from all
/// networks.
const ACCOUNTS: u32 = 20;

/// Measures in turn wrong passwords for addresses with and without an account, and correct ones.
pub fn rows(scale: Scale) -> Vec<Row> {
    let site = Site::new();
    drop(site.start());
    let hash = password::hash(&SecretString::from(PASSWORD), &mut clock::system().rng()).expect("a hash");
    add_people(&site, &hash);
    let server = site.start_with(|command| {
        command.env("ORGKEYS_TRUSTED_PROXY", "127.0.0.1");
    });
    let [mut known, mut unknown, mut right, mut hashes] = [const { Vec::<Duration>::new() }; 4];
    for number in 0..scale.logins {
        let (account, network) = (number % ACCOUNTS, Ipv4Addr::from_bits(0x0a00_0000 + number));
        let log_in = |email: String, password: &str, expected: u16| {
            let asked = Instant::now();
            let (status, answer) = log_in(&server, network, &email, password);
            assert_eq!(status, expected, "{answer}");
            asked.elapsed()
        };
        let mut wrong = [(&mut known, "user"), (&mut unknown, "nobody")];
        // A request that follows another is sometimes a little slower.
        wrong.rotate_left(usize::from(number % 2 == 1));
        for (times, name) in wrong {
            times.push(log_in(format!("{name}-{account}@example.org"), "another password", 401));
        }
        right.push(log_in(format!("user-{ACCOUNTS}@example.org"), PASSWORD, 200));
        let started = Instant::now();
        assert_eq!(password::verify(&SecretString::from(PASSWORD), Some(&hash)), password::PasswordMatch::Right);
        hashes.push(started.elapsed());
    }
    let [known, unknown, right, hash] = [known, unknown, right, hashes].map(machine::median);
    let difference = known.abs_diff(unknown);
    let share = hash.as_secs_f64() / right.as_secs_f64();
    vec![
        Row::baseline("one password hash, argon2id", format!("median {}", ms(hash))),
        Row::new(
            "wrong password: address with an account and without",
            format!("medians {} and {}, {} apart", ms(known), ms(unknown), ms(difference)),
            format!("<= {} apart, 5 % of a hash", ms(hash / 20)),
            difference <= hash / 20,
        ),
        Row::new(
            "sign in: `POST /user/login`",
            format!("median {}, {:.0} % of it the hash", ms(right), share * 100.0),
            ">= 90 %",
            share >= 0.9,
        ),
    ]
}

/// Adds users who sign in with [`PASSWORD`], one more than are attacked.
fn add_people(site: &Site, hash: &str) {
    let conn = Connection::open(site.database()).expect("the database");
    for number in 0..=ACCOUNTS {
        let (id, email) = (u128::from(number).to_be_bytes(), format!("user-{number}@example.org"));
        let sql =
            "INSERT INTO person (id, org, email, email_key, name, last_name, role, validated, created_at, password)
            SELECT ?1, id, ?2, ?2, 'Ada', 'Lovelace', 0, 1, 0, ?3 FROM org";
        assert_eq!(conn.execute(sql, params![id, email, hash]), Ok(1));
    }
}

/// Signs in on a connection of its own, and returns the response.
fn log_in(server: &Program, from: Ipv4Addr, email: &str, password: &str) -> (u16, String) {
    let body = json!({ "email": email, "password": password }).to_string();
    let headers = [("host", &*server.address.to_string()), ("x-forwarded-for", &from.to_string())];
    http::call(server.address, &http::post("/user/login", &headers, &body))
}
