//! Invariants of the user operations: 2,000 random sequences of calls, checked against a model.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use orgkeys::actions::account::{self, Names};
use orgkeys::actions::admin::{self, Ttl};
use orgkeys::actions::password::{self, PasswordHash};
use orgkeys::actions::user::{self, NewUser, UserPatch};
use orgkeys::domain::id::{OrgId, UserId};
use orgkeys::domain::role::Role;
use orgkeys::engine::authenticate::{self, Credential};
use orgkeys::engine::caller::{Caller, Identity, Origin};
use orgkeys::engine::limits::Limits;
use orgkeys::engine::system::System;
use orgkeys::server::clock;
use orgkeys::store::{Options, Room};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::Connection;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

const SEQUENCES: u64 = 1_200;
const STEPS: usize = 12;

/// The model's reason when the caller is below the role of whoever deleted the user.
const DELETED_FROM_ABOVE: &str = "DELETED_FROM_ABOVE";

/// Sequences that run at once, so that the writer batches their changes.
const THREADS: usize = 64;

/// A user in the model.
#[derive(Clone, Debug)]
struct Person {
    id: UserId,
    org: OrgId,
    role: Role,
    validated: bool,
    /// The role of whoever deleted the user.
    deleted: Option<Role>,
    token: Option<Token>,
}

#[derive(Clone, Debug)]
struct Token {
    caller: Caller,
    secret: SecretString,
    /// Whether the user was deleted since the token was created: it never works again.
    ended: bool,
}

/// Everything about a user that the calls may change, as stored.
type Row = (UserId, OrgId, Role, bool, Option<Role>);

#[derive(Clone, Copy, Debug)]
enum Call {
    Create(Role, bool),
    SetRole(Role),
    Put(Option<Role>),
    Rename,
    Delete,
    Activate,
    Resend,
}

impl Call {
    fn at_random(rng: &mut StdRng) -> Self {
        let role = Role::ALL[rng.random_range(0..Role::ALL.len())];
        match rng.random_range(0..12) {
            0..4 => Self::Create(role, rng.random()),
            4..6 => Self::SetRole(role),
            6 => Self::Put(rng.random::<bool>().then_some(role)),
            7 => Self::Rename,
            8..10 => Self::Delete,
            10 => Self::Activate,
            _ => Self::Resend,
        }
    }
}

/// Two organizations, and the model of their users.
struct World<'a> {
    system: &'a System,
    file: &'a Connection,
    hash: &'a PasswordHash,
    orgs: [OrgId; 2],
    people: Vec<Person>,
}

impl<'a> World<'a> {
    fn new(system: &'a System, file: &'a Connection, hash: &'a PasswordHash) -> Self {
        let orgs = ["one", "two"].map(|name| admin::create_org(system, name).expect("an organization").id);
        let mut world = Self { system, file, hash, orgs, people: Vec::new() };
        for org in orgs {
            let email = format!("{}@example.org", system.app().request_id());
            let owner = admin::create_user(system, &org.to_string(), &email, Role::Owner, "", "").expect("an owner");
            world.add(owner.id, org, Role::Owner, true);
        }
        let (org, email) = (orgs[0], format!("{}@example.org", system.app().request_id()));
        let second = admin::create_user(system, &org.to_string(), &email, Role::Administrator, "", "");
        world.add(second.expect("an administrator").id, org, Role::Administrator, true);
        world
    }

    fn add(&mut self, id: UserId, org: OrgId, role: Role, validated: bool) {
        self.people.push(Person { id, org, role, validated, deleted: None, token: None });
    }

    /// The caller for a user; a deleted user has only the token from before.
    fn signed_in(&mut self, index: usize) -> Option<Token> {
        let person = &mut self.people[index];
        if person.token.as_ref().is_none_or(|token| token.ended) && person.deleted.is_none() {
            let (secret, token) =
                admin::create_token(self.system, &person.id.to_string(), Ttl::Never).expect("a token");
            let identity = Identity::User { token: token.id, user: person.id, org: person.org };
            let caller = Caller { identity, origin: Origin::default() };
            person.token = Some(Token { caller, secret, ended: false });
        }
        person.token.clone()
    }

    /// The stored users of both organizations.
    fn rows(&self) -> Vec<Row> {
        let sql = "SELECT id, org, role, validated, deleted_by FROM person WHERE org IN (?1, ?2) ORDER BY id";
        let mut query = self.file.prepare_cached(sql).expect("a query");
        let rows = query.query_map(self.orgs.each_ref().map(OrgId::as_bytes), |row| {
            let role = |number| Role::from_number(number).expect("a role");
            let deleter = row.get::<_, Option<i64>>(4)?.map(role);
            Ok((
                UserId::from_bytes(row.get(0)?),
                OrgId::from_bytes(row.get(1)?),
                role(row.get(2)?),
                row.get(3)?,
                deleter,
            ))
        });
        rows.expect("rows").collect::<Result<_, _>>().expect("rows")
    }

    /// The same, according to the model.
    fn modelled(&self) -> Vec<Row> {
        let mut rows: Vec<_> =
            self.people.iter().map(|user| (user.id, user.org, user.role, user.validated, user.deleted)).collect();
        rows.sort_unstable_by_key(|row| row.0);
        rows
    }

    fn is_last_owner(&self, person: &Person) -> bool {
        let another = |other: &&Person| {
            (other.org, other.role) == (person.org, Role::Owner)
                && other.id != person.id
                && other.validated
                && other.deleted.is_none()
        };
        person.role == Role::Owner && !self.people.iter().any(|other| another(&other))
    }

    /// The expected result of a call: success, or the code of its refusal.
    fn verdict(&self, actor: &Person, token: &Token, call: Call, target: Option<&Person>) -> Result<(), &'static str> {
        if actor.deleted.is_some() || token.ended {
            return Err("TOKEN_REVOKED");
        }
        let least = match call {
            Call::Create(..) | Call::Activate | Call::Resend => Role::Workspaces,
            Call::SetRole(_) | Call::Put(_) | Call::Rename | Call::Delete => Role::Administrator,
        };
        let given = match call {
            Call::Create(role, _) | Call::SetRole(role) | Call::Put(Some(role)) => role,
            _ => Role::User,
        };
        if actor.role < least {
            return Err("ACCESS_DENIED");
        }
        if matches!(call, Call::Create(..)) {
            return if given > actor.role { Err("ACCESS_DENIED") } else { Ok(()) };
        }
        let target = target.filter(|target| target.org == actor.org).ok_or("USER_NOT_FOUND")?;
        if target.role > actor.role {
            return Err("ACCESS_DENIED");
        }
        match call {
            Call::Delete if target.id == actor.id => Err("CANNOT_DELETE_YOURSELF"),
            Call::Delete if target.deleted.is_some() => Err("USER_ALREADY_DELETED"),
            Call::Delete if self.is_last_owner(target) => Err("LAST_OWNER"),
            Call::Activate if target.deleted.is_none() => Err("USER_NOT_DELETED"),
            Call::Activate if target.deleted > Some(actor.role) => Err(DELETED_FROM_ABOVE),
            Call::Delete | Call::Activate => Ok(()),
            _ if target.deleted.is_some() => Err("USER_DELETED"),
            Call::Resend if target.validated => Err("USER_ALREADY_VALIDATED"),
            _ if given > actor.role => Err("ACCESS_DENIED"),
            Call::SetRole(role) | Call::Put(Some(role)) if role < Role::Owner && self.is_last_owner(target) => {
                Err("LAST_OWNER")
            }
            _ => Ok(()),
        }
    }

    /// Makes the call. Returns the user that it created.
    fn make(&self, caller: &Caller, call: Call, target: Option<UserId>) -> Result<Option<UserId>, &'static str> {
        let app = self.system.app();
        let change = |role, name: Option<&str>| UserPatch { name: name.map(str::to_owned), last_name: None, role };
        let done = match call {
            Call::Create(role, invited) => {
                let email = format!("{}@example.org", app.request_id());
                let new = NewUser { email, name: "Eve".to_owned(), last_name: String::new(), role };
                let hash = (!invited).then(|| self.hash.clone());
                return user::create(app, caller, new, hash)
                    .wait()
                    .map(|(user, _)| Some(user.id))
                    .map_err(|error| error.code);
            }
            Call::SetRole(role) => user::set_role(app, caller, target, role).wait().map(drop),
            Call::Put(role) => user::update(app, caller, target, change(role, None)).wait().map(drop),
            Call::Rename => user::update(app, caller, target, change(None, Some("Eva"))).wait().map(drop),
            Call::Delete => user::delete(app, caller, target).wait().map(drop),
            Call::Activate => user::activate(app, caller, target).wait(),
            Call::Resend => user::resend_invitation(app, caller, target).wait().map(drop),
        };
        done.map(|()| None).map_err(|error| error.code)
    }

    /// Applies a successful call to the model.
    fn follow(&mut self, (org, by): (OrgId, Role), call: Call, target: Option<usize>, made: Option<UserId>) {
        if let (Call::Create(role, invited), Some(id)) = (call, made) {
            self.add(id, org, role, !invited);
        }
        let Some(target) = target.map(|index| &mut self.people[index]) else { return };
        match call {
            Call::SetRole(role) | Call::Put(Some(role)) => target.role = role,
            Call::Delete => {
                target.deleted = Some(by);
                if let Some(token) = &mut target.token {
                    token.ended = true;
                }
            }
            Call::Activate => target.deleted = None,
            Call::Create(..) | Call::Put(None) | Call::Rename | Call::Resend => {}
        }
    }

    /// Checks the invariants that hold after every call, whatever the model says.
    fn judge(&self, story: &str, actor: &Person, before: &[Row], after: &[Row]) {
        for row in after.iter().filter(|row| !before.contains(row)) {
            let was = before.iter().find(|was| was.0 == row.0).map_or(Role::User, |was| was.2);
            assert_eq!(row.1, actor.org, "{story}: another organization was touched");
            assert!(was <= actor.role && row.2 <= actor.role, "{story}: {actor:?} acted above their role: {row:?}");
        }
        assert!(before.iter().all(|was| after.iter().any(|row| row.0 == was.0)), "{story}: a person vanished");
        for org in self.orgs {
            let owners = after.iter().filter(|row| (row.1, row.2, row.3, row.4) == (org, Role::Owner, true, None));
            assert!(owners.count() > 0, "{story}: no OWNER is left");
        }
        for person in &self.people {
            let Some(token) = &person.token else { continue };
            let known = authenticate::authenticate(
                self.system.app(),
                Credential::Token(token.secret.expose_secret()),
                Origin::default(),
            );
            assert_eq!(known.is_ok(), !token.ended, "{story}: the token of {person:?}");
            if token.ended {
                let refused =
                    account::update(self.system.app(), &token.caller, Some(person.id), Names::default(), None).wait();
                assert_eq!(refused.map_err(|error| error.code), Err("TOKEN_REVOKED"), "{story}: {person:?}");
            }
        }
    }
}

/// Runs one sequence, and adds every result to `answers`.
fn run(world: &mut World<'_>, seed: u64, answers: &Mutex<BTreeSet<&'static str>>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let nobody = UserId::from_bytes([7; 16]);
    let mut before = world.rows();
    for step in 0..STEPS {
        let actor = rng.random_range(0..world.people.len());
        let Some(token) = world.signed_in(actor) else { continue };
        let (call, target) = (Call::at_random(&mut rng), rng.random_range(0..=world.people.len()));
        let person = world.people[actor].clone();
        let target = world.people.get(target).map(|_| target);
        let story = format!("seed {seed}, step {step}: {call:?} of {target:?} by {person:?}");
        let verdict = world.verdict(&person, &token, call, target.map(|index| &world.people[index]));
        let id = target.map_or(nobody, |index| world.people[index].id);
        let made = world.make(&token.caller, call, Some(id));
        // The API reports it like every other denial.
        let expected = verdict.map_err(|code| if code == DELETED_FROM_ABOVE { "ACCESS_DENIED" } else { code });
        assert_eq!(made.map(drop), expected, "{story}");
        answers.lock().expect("the answers").insert(verdict.err().unwrap_or("done"));
        if verdict.is_ok() {
            world.follow((person.org, person.role), call, target, made.unwrap_or_default());
        }
        let after = world.rows();
        assert_eq!(after, world.modelled(), "{story}");
        world.judge(&story, &person, &before, &after);
        before = after;
    }
}

fn open(path: &Path) -> System {
    let options = Options { path: path.to_owned(), readers: 4, room: Room::new(0, 0) };
    let limits = Limits { people: 100_000, ..Limits::default() };
    orgkeys::actions::open::open(&options, limits, clock::system()).expect("a system").1
}

#[test]
fn random_sequences_of_user_calls_match_the_model_and_its_invariants() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("orgkeys.db");
    let system = open(&path);
    let hash = password::hash(system.app(), &SecretString::from("a cat on 3 roofs")).expect("a hash");
    let (next, answers) = (AtomicU64::new(0), Mutex::default());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let file = Connection::open(&path).expect("the file");
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEQUENCES {
                        return;
                    }
                    run(&mut World::new(&system, &file, &hash), seed, &answers);
                }
            });
        }
    });
    let refusals = [
        "ACCESS_DENIED",
        "CANNOT_DELETE_YOURSELF",
        DELETED_FROM_ABOVE,
        "LAST_OWNER",
        "TOKEN_REVOKED",
        "USER_ALREADY_DELETED",
        "USER_ALREADY_VALIDATED",
        "USER_DELETED",
        "USER_NOT_DELETED",
        "USER_NOT_FOUND",
        "done",
    ];
    assert_eq!(answers.into_inner().expect("the answers"), BTreeSet::from(refusals), "not every result occurred");
}
