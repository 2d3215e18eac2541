//! Is it really the node? A signature over address, region and time, made with a key of the organization, fresh and never used before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use super::app::App;
use super::caller::{Caller, Identity, Origin};
use super::error::{Error, Kind};
use super::limits::Limiter;
use super::outside::Outside;
use super::pending::Pending;
use super::refusals::Refusals;
use crate::crypto::rsa::Verifier;
use crate::crypto::signed_request::{Form, Messages, Signature};
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::node::{Node, SignedAt};
use crate::domain::time::Time;
use crate::store::{self, ReadTx, WriteTx};

/// Public keys that are kept ready to verify; beyond it all are dropped and read anew.
const READY: usize = 10_000;

/// The refusal of a node that is one too many.
const NODE_LIMIT: &str = "NODE_LIMIT_REACHED";

const NO_SUCH_ORGANIZATION: &str =
    "This server has no organization with the id in id_org: copy it from GET /user/profile";

/// What a node signed, and the signature.
#[derive(Clone, Debug)]
pub struct SignedCall {
    /// The organization as the node named it; absent is allowed where the server holds exactly one.
    pub org: Option<String>,
    /// The node's address.
    pub ip: String,
    /// Its region; absent on a call that means the stored one.
    pub region: Option<String>,
    /// When it signed.
    pub at: SignedAt,
    /// The signature.
    pub signature: Signature,
}

/// A verified call: the node as a caller, its signature that is yet to be spent, and whether it was not in the registry.
pub(super) struct Signed {
    pub(super) caller: Caller,
    pub(super) once: Once,
    pub(super) new: bool,
}

/// A signature that counts once.
pub(super) struct Once {
    pub(super) form: Form,
    org: OrgId,
    key: OrgKeyId,
    signature: Signature,
    signed_at: Time,
    outside: Outside,
    limiter: Arc<Limiter>,
}

impl Once {
    /// Uses the signature up and gives the key that made it.
    pub(super) fn spend(&self, tx: &WriteTx<'_>) -> Result<OrgKeyId, Error> {
        // By what has come for sure: a clock that leapt ahead would have all of them forgotten.
        if let Some(forgotten) = store::replay::forget(tx, self.outside.certain())? {
            self.outside.high_water.forget_used(forgotten);
        }
        if store::replay::spend(tx, &self.signature, self.signed_at)? { Ok(self.key) } else { Err(replayed()) }
    }

    /// Counts the call as accepted, or says how long it must wait. It comes last, since what is refused takes nothing: neither
    /// strangers nor replays can use an organization's calls up. What was changed before is undone then, the use of the
    /// signature too, so the same call can be sent again.
    pub(super) fn accept(&self) -> Result<(), Error> {
        self.limiter.take_signed(self.org)
    }

    /// Refuses a new node of an organization that has as many as it may, before the writer is asked: however often that is
    /// tried, it keeps nobody else waiting. Whether there is room is decided by the writer all the same.
    pub(super) fn look_for_room(&self, app: &App) -> Result<(), Error> {
        app.look_up(|tx| {
            if store::node::count(tx, self.org)? < app.limits.nodes {
                return Ok(());
            }
            let used = store::replay::is_used(tx, &self.signature, self.signed_at)?;
            Err(if used { replayed() } else { no_room(tx, self.org, app.limits.nodes)? })
        })
    }
}

/// Counts the refusal of a signed call against its network and for its organization.
pub(super) struct Watch {
    limiter: Arc<Limiter>,
    refusals: Arc<Refusals>,
    outside: Outside,
    org: Option<OrgId>,
    address: Option<IpAddr>,
}

impl Watch {
    /// Counts what the call was answered with, if that is a refusal.
    pub(super) fn see(&self, error: &Error) {
        if error.kind != Kind::Invalid {
            return;
        }
        // Whoever meets the limit of nodes has signed rightly: the other nodes of its network must not wait for it.
        if error.code != NODE_LIMIT {
            self.limiter.signed_call_refused(self.address);
        }
        if let Some(org) = self.org {
            self.refusals.count(org, error.code, self.address, self.outside.now());
        }
    }
}

/// Public keys, parsed once. A key's id never gets other bytes, so nothing here can be stale; whether the key still stands is asked in the transaction.
#[derive(Default)]
pub(super) struct Verifiers(RwLock<HashMap<OrgKeyId, Arc<Verifier>>>);

impl Verifiers {
    /// The keys of an organization, newest first.
    fn of(&self, tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<Key>, Error> {
        store::org_key::ids(tx, org)?.into_iter().map(|id| self.get(tx, id)).collect()
    }

    fn get(&self, tx: &ReadTx<'_>, id: OrgKeyId) -> Result<Key, Error> {
        if let Some(ready) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Key { id, verifier: Arc::clone(ready) });
        }
        let verifier = Arc::new(Verifier::new(&store::org_key::public_key(tx, id)?)?);
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= READY {
            keys.clear();
        }
        keys.insert(id, Arc::clone(&verifier));
        Ok(Key { id, verifier })
    }
}

/// A key of an organization, ready to verify.
struct Key {
    id: OrgKeyId,
    verifier: Arc<Verifier>,
}

impl AsRef<Verifier> for Key {
    fn as_ref(&self) -> &Verifier {
        &self.verifier
    }
}

/// What is known before a signature is looked at, all from one snapshot.
pub(super) struct Known {
    /// The organization that the node names, or the only one.
    org: OrgId,
    /// The node at this address, deleted or not.
    node: Option<Node>,
    keys: Vec<Key>,
}

/// Runs a signed call for its organization, within the limit on refusals, and counts it if it is refused.
pub(super) fn admit<T>(
    app: &App,
    origin: &Origin,
    call: &SignedCall,
    work: impl FnOnce(Known) -> Result<Pending<T>, Error>,
) -> Pending<T> {
    if let Err(error) = app.limiter.admit_network(origin.address) {
        return Pending::refused(error);
    }
    let known = look_up(app, call);
    let watch = Watch {
        limiter: Arc::clone(&app.limiter),
        refusals: Arc::clone(&app.refusals),
        outside: app.outside.clone(),
        org: known.as_ref().ok().map(|known| known.org),
        address: origin.address,
    };
    // Without the writer, which an organization that calls too often would keep from others.
    let admitted = known.and_then(|known| app.limiter.admit_signed(known.org).map(|()| known));
    admitted.and_then(work).unwrap_or_else(Pending::refused).watched(watch)
}

fn look_up(app: &App, call: &SignedCall) -> Result<Known, Error> {
    app.look_up(|tx| {
        let org = organization(tx, call.org.as_deref())?;
        let keys = app.verifiers.of(tx, org)?;
        // One that has keys is there.
        if keys.is_empty() && !store::org::exists(tx, org)? {
            return Err(unknown(NO_SUCH_ORGANIZATION));
        }
        Ok(Known { org, node: store::node::find_by_ip(tx, org, &call.ip)?, keys })
    })
}

/// Verifies time, then signature: `ip|region|timestamp` first, then the same with the organization.
pub(super) fn verify(app: &App, origin: &Origin, known: Known, call: &SignedCall) -> Result<Signed, Error> {
    let Known { org, node, mut keys } = known;
    check_time(app, &call.at)?;
    if keys.is_empty() {
        return Err(refusal(
            "NO_KEYS",
            "The organization has no keys",
            "Make a key with POST /organization/{idOrg}/key, put it on the node and sign with it".to_owned(),
        ));
    }
    // A node nearly always signs with the key of its last registration: tried first, it saves trying the others.
    let last = node.as_ref().and_then(|node| node.key);
    let new = node.is_none();
    keys.sort_by_key(|key| Some(key.id) != last);
    let region = call.region.clone().or_else(|| node.map(|node| node.profile.region));
    let signer = region.and_then(|region| {
        Messages::new(&call.ip, &region, &call.at.text, &org.to_string()).find_signer(&call.signature, &keys)
    });
    let Some((form, index)) = signer else { return Err(bad_signature(call)) };
    let key = keys[index].id;
    let identity = Identity::Node { org, key, ip: call.ip.clone() };
    let (signed_at, outside) = (call.at.time, app.outside.clone());
    let once =
        Once { form, org, key, signature: call.signature, signed_at, outside, limiter: Arc::clone(&app.limiter) };
    let caller = Caller { identity, origin: origin.clone() };
    Ok(Signed { caller, once, new })
}

/// The organization that a node names, whether there is one or not, or the only one.
fn organization(tx: &ReadTx<'_>, named: Option<&str>) -> Result<OrgId, Error> {
    match named {
        Some(named) => OrgId::parse(named).ok_or_else(|| unknown(NO_SUCH_ORGANIZATION)),
        None => store::org::only(tx)?
            .ok_or_else(|| unknown("This server does not hold exactly one organization: send its id in id_org")),
    }
}

fn unknown(advice: &str) -> Error {
    refusal("UNKNOWN_ORGANIZATION", "Unknown organization", advice.to_owned())
}

fn check_time(app: &App, at: &SignedAt) -> Result<(), Error> {
    let (now, window, signed_after) = (app.outside.shown(), app.limits.signature_window, app.signed_after);
    // Durations of milliseconds, shown in seconds to the millisecond.
    let seconds = |millis: i64| format!("{}.{:03} s", millis / 1_000, millis % 1_000);
    let limit = window.as_secs();
    if at.time < now.minus(window) {
        let late = seconds(now.millis() - at.time.millis());
        let advice = format!(
            "The server's time is {now}, the timestamp is {late} older and {limit} s are allowed: set the node's clock, then sign again"
        );
        return Err(refusal("TIMESTAMP_TOO_OLD", "The timestamp is too old", advice));
    }
    if at.time > now.plus(window) {
        let early = seconds(at.time.millis() - now.millis());
        let advice = format!(
            "The server's time is {now}, the timestamp is {early} ahead of it and {limit} s are allowed: set the node's clock, then sign again"
        );
        return Err(refusal("TIMESTAMP_IN_FUTURE", "The timestamp is in the future", advice));
    }
    if at.time < signed_after {
        // In the future where the old database was lost, and with it what it knew of used signatures.
        let when = if signed_after > now { "sign again then" } else { "sign again" };
        let advice = format!(
            "The server was restored from a backup, which does not know every signature that was used, so it takes none that states a time before {signed_after}. \
             The server's time is {now}: {when}"
        );
        return Err(refusal("TIMESTAMP_TOO_OLD", "The timestamp is too old", advice));
    }
    let forgotten = app.outside.high_water.used_forgotten();
    if at.time <= forgotten {
        let advice = format!(
            "The server's clock was set back, and used signatures are forgotten up to {forgotten}, so it takes none that states that time or an earlier one. \
             The server's time is {now}: set its clock if that is wrong, or sign again after that time"
        );
        return Err(refusal("TIMESTAMP_TOO_OLD", "The timestamp is too old", advice));
    }
    Ok(())
}

/// Says what was expected, but never a region that the call did not name: a stranger could read the registry so.
fn bad_signature(call: &SignedCall) -> Error {
    let region = call.region.as_deref().unwrap_or("<the region that the node registered with>");
    let expected = format!("{}|{region}|{}", call.ip, call.at.text);
    let advice = format!(
        "The server expected a signature of {expected:?}, without a newline, by a key of the organization: \
         printf %s '{expected}' | openssl dgst -sha256 -sign key.pem | base64 -w0"
    );
    refusal("BAD_SIGNATURE", "Invalid signature", advice)
}

/// A refusal of a signature that was used before.
fn replayed() -> Error {
    let advice = "This signature was used before. The same address, region and timestamp always give the same signature: sign again with a new timestamp";
    refusal("SIGNATURE_REPLAYED", "The signature was used before", advice.to_owned())
}

/// A refusal because the key that verified was deleted meanwhile.
pub(super) fn key_is_gone() -> Error {
    refusal(
        "BAD_SIGNATURE",
        "Invalid signature",
        "The key that made it was deleted just now: sign with another key of the organization".to_owned(),
    )
}

/// A refusal of a node that an administrator deleted.
pub(super) fn node_deleted(when: Time) -> Error {
    let advice = format!("An administrator deleted this node at {when}: ask an administrator to activate it");
    refusal("NODE_DELETED", "The node was deleted by an administrator", advice)
}

/// A refusal of a node that is one too many.
pub(super) fn no_room(tx: &ReadTx<'_>, org: OrgId, most: u32) -> Result<Error, Error> {
    let count = store::node::count(tx, org)?;
    let advice = format!(
        "The organization has {count} nodes and nodes_max allows {most}. Unregister nodes that are gone (POST /unregister, \
         signed with a key of the organization; `orgkeys sign` makes the body), or have the server's administrator raise \
         nodes_max. A deleted node keeps its place: activate it, then unregister it"
    );
    Ok(refusal(NODE_LIMIT, &format!("Maximum number of nodes ({most}) has been reached"), advice))
}

fn refusal(code: &'static str, message: &str, advice: String) -> Error {
    Error::new(Kind::Invalid, code, message).advising(advice)
}
