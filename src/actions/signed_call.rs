//! Signed calls: verifies a node's signature over its address, region and time. It must be made with a key of the
//! organization, be recent, and not have been used before.

use std::sync::Arc;

use crate::crypto::signed_request::{Form, Messages, Signature};
use crate::domain::event::Event;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::node::{Node, SignedAt};
use crate::domain::shell::quoted;
use crate::domain::time::Time;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::{Caller, Identity, Origin};
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::limits::Limiter;
use crate::engine::pending::Pending;
use crate::engine::refusals::{NODE_LIMIT, RefusalCounter};
use crate::engine::retired_key;
use crate::engine::rule::Rule;
use crate::engine::verifiers::{ReadyKey, ReadyKeys};
use crate::store::{self, ReadTx, WriteTx};

const NO_SUCH_ORGANIZATION: &str =
    "This server has no organization with the id in id_org: copy the id from GET /user/profile";

/// What a node signed, and its signature.
#[derive(Clone, Debug)]
pub struct SignedCall {
    /// The organization as the node named it; may be absent if the server holds exactly one.
    pub org: Option<String>,
    /// The node's address.
    pub ip: String,
    /// Its region; absent if the call refers to the stored one.
    pub region: Option<String>,
    /// When it signed.
    pub at: SignedAt,
    /// The signature.
    pub signature: Signature,
}

/// The purpose of a signed call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Adds a node to the registry. A new node is refused early if the organization is at its limit.
    Register,
    /// Removes a node. It may use the disk reserve.
    Unregister,
}

/// A verified signature, which can be used once.
pub(super) struct SingleUseSignature {
    /// The form of the message that was signed.
    pub(super) form: Form,
    /// The key that made it.
    pub(super) key: OrgKeyId,
    /// When that key ends, if it does.
    pub(super) ends: Option<Time>,
    org: OrgId,
    signature: Signature,
    signed_at: Time,
    env: Environment,
    limiter: Arc<Limiter>,
}

/// What is read before a signature is verified, all from one snapshot.
struct CandidateKeys {
    /// The organization that the node named, or the only one.
    org: OrgId,
    /// The node at this address, deleted or not.
    node: Option<Node>,
    keys: ReadyKeys,
}

/// Runs a signed call: `work` makes its change in the transaction that consumes the signature and records the call. A
/// refusal is counted against the network and recorded for the organization.
pub(super) fn run<T: Send + 'static>(
    app: &App,
    origin: &Origin,
    call: &SignedCall,
    purpose: Purpose,
    work: impl FnOnce(&WriteTx<'_>, &Grant, &SingleUseSignature) -> Result<(T, Vec<Event>), Error> + Send + 'static,
) -> Pending<T> {
    if let Err(error) = app.limiter.admit_network(origin.address) {
        return Pending::refused(error);
    }
    let candidates = candidates(app, call);
    let counter = RefusalCounter {
        limiter: Arc::clone(&app.limiter),
        refusals: Arc::clone(&app.refusals),
        env: app.env.clone(),
        org: candidates.as_ref().ok().map(|candidates| candidates.org),
        address: origin.address,
    };
    candidates
        .and_then(|candidates| {
            // Checked before the writer is involved, so that an organization that calls too often does not block
            // others.
            app.limiter.admit_signed(candidates.org)?;
            let is_new = candidates.node.is_none();
            let signature = verify(app, candidates, call)?;
            if is_new && purpose == Purpose::Register {
                signature.look_for_room(app)?;
            }
            let identity = Identity::Node { org: signature.org, key: signature.key, ip: call.ip.clone() };
            let caller = Caller { identity, origin: origin.clone() };
            let work = move |tx: &WriteTx<'_>, grant: &Grant| {
                signature.consume(tx)?;
                let done = work(tx, grant, &signature)?;
                signature.accept()?;
                Ok(done)
            };
            Ok(match purpose {
                Purpose::Register => app.record(&caller, Rule::SpeaksAsNode, work),
                Purpose::Unregister => app.revoke(&caller, Rule::SpeaksAsNode, work),
            })
        })
        .unwrap_or_else(Pending::refused)
        .counted_by(counter)
}

impl SingleUseSignature {
    /// Consumes the signature. Fails if it was used before.
    fn consume(&self, tx: &WriteTx<'_>) -> Result<(), Error> {
        // By the safe time: a clock that leaps ahead must not forget all used signatures.
        if let Some(forgotten) = store::used_signature::remove_old(tx, self.env.safe_now())? {
            self.env.high_water.forget_used(forgotten);
        }
        if store::used_signature::insert(tx, &self.signature, self.signed_at)? { Ok(()) } else { Err(replayed()) }
    }

    /// Counts the call as accepted, or returns how long it must wait. This comes last, because a refused call must not
    /// count: neither strangers nor replays can use up an organization's rate. On an error the transaction is rolled
    /// back, including the use of the signature, so the same call can be sent again.
    fn accept(&self) -> Result<(), Error> {
        self.limiter.take_signed(self.org)
    }

    /// Refuses a new node of an organization at its limit before the writer is involved, so that repeated attempts do
    /// not block others. The writer enforces the limit all the same.
    fn look_for_room(&self, app: &App) -> Result<(), Error> {
        app.pre_auth(|tx| {
            if store::node::count(tx, self.org)? < app.limits.nodes {
                return Ok(());
            }
            let used = store::used_signature::is_used(tx, &self.signature, self.signed_at)?;
            Err(if used { replayed() } else { no_room(tx, self.org, app.limits.nodes)? })
        })
    }
}

fn candidates(app: &App, call: &SignedCall) -> Result<CandidateKeys, Error> {
    app.pre_auth(|tx| {
        let org = organization(tx, call.org.as_deref())?;
        let keys = app.verifiers.of(tx, org, app.now())?;
        // An organization that has keys exists.
        if keys.valid.is_empty() && !store::org::exists(tx, org)? {
            return Err(unknown(NO_SUCH_ORGANIZATION));
        }
        Ok(CandidateKeys { org, node: store::node::find_by_ip(tx, org, &call.ip)?, keys })
    })
}

/// Verifies time, then signature: `ip|region|timestamp` first, then the same with the organization.
fn verify(app: &App, candidates: CandidateKeys, call: &SignedCall) -> Result<SingleUseSignature, Error> {
    let CandidateKeys { org, node, mut keys } = candidates;
    check_time(app, &call.at)?;
    // A node nearly always signs with the key of its last registration, so that key is tried first.
    let last = node.as_ref().and_then(|node| node.key);
    keys.valid.sort_by_key(|key| Some(key.id) != last);
    let region = call.region.clone().or_else(|| node.map(|node| node.profile.region));
    let messages = region.map(|region| Messages::new(&call.ip, &region, &call.at.text, &org.to_string()));
    let signer = |keys: &[ReadyKey]| messages.as_ref()?.find_signer(&call.signature, keys);
    let Some((form, index)) = signer(&keys.valid) else {
        if let Some((_, index)) = signer(&keys.retired) {
            let key = keys.retired[index].id;
            return Err(app.pre_auth(|tx| Ok(retired_key::refusal(tx, org, key, app.now())?))?);
        }
        return Err(if keys.valid.is_empty() { no_keys() } else { bad_signature(call) });
    };
    Ok(SingleUseSignature {
        form,
        key: keys.valid[index].id,
        ends: keys.valid[index].end,
        org,
        signature: call.signature.clone(),
        signed_at: call.at.time,
        env: app.env.clone(),
        limiter: Arc::clone(&app.limiter),
    })
}

/// Returns the organization that a node named, whether it exists or not, or the only one.
fn organization(tx: &ReadTx<'_>, named: Option<&str>) -> Result<OrgId, Error> {
    match named {
        Some(named) => OrgId::parse(named).ok_or_else(|| unknown(NO_SUCH_ORGANIZATION)),
        None => store::org::only(tx)?.ok_or_else(|| {
            unknown(
                "id_org may be left out only if the server has exactly one organization: send the organization's id",
            )
        }),
    }
}

fn no_keys() -> Error {
    refusal(
        "NO_KEYS",
        "The organization has no keys",
        "Create a key with POST /organization/{idOrg}/key, copy it to the node and sign with it".to_owned(),
    )
}

fn unknown(advice: &str) -> Error {
    refusal("UNKNOWN_ORGANIZATION", "Unknown organization", advice.to_owned())
}

fn check_time(app: &App, at: &SignedAt) -> Result<(), Error> {
    let (now, window, signed_after) = (app.env.wall_clock(), app.limits.signature_window, app.signed_after);
    // Formats milliseconds as seconds with three decimals.
    let seconds = |millis: i64| format!("{}.{:03} s", millis / 1_000, millis % 1_000);
    let limit = window.as_secs();
    if at.time < now.minus(window) {
        let late = seconds(now.millis() - at.time.millis());
        let advice = format!(
            "The server's time is {now}; the timestamp is {late} older, and at most {limit} s are permitted: correct the node's clock, then sign again"
        );
        return Err(refusal("TIMESTAMP_TOO_OLD", "The timestamp is too old", advice));
    }
    if at.time > now.plus(window) {
        let early = seconds(at.time.millis() - now.millis());
        let advice = format!(
            "The server's time is {now}; the timestamp is {early} ahead of it, and at most {limit} s are permitted: correct the node's clock, then sign again"
        );
        return Err(refusal("TIMESTAMP_IN_FUTURE", "The timestamp is in the future", advice));
    }
    if at.time < signed_after {
        // In the future if the old database was lost, and with it the used signatures.
        let when = if signed_after > now { "sign again then" } else { "sign again" };
        let advice = format!(
            "The server was restored from a backup, which does not contain every used signature, so it refuses timestamps before {signed_after}. \
             The server's time is {now}: {when}"
        );
        return Err(refusal("TIMESTAMP_TOO_OLD", "The timestamp is too old", advice));
    }
    let forgotten = app.env.high_water.used_forgotten();
    if at.time <= forgotten {
        let advice = format!(
            "The server's clock was set back, and signatures used up to {forgotten} are forgotten, so it refuses timestamps up to that time. \
            The server's time is {now}: correct the server's clock if that is wrong, or sign again after that time"
        );
        return Err(refusal("TIMESTAMP_TOO_OLD", "The timestamp is too old", advice));
    }
    Ok(())
}

/// States the expected message, but never a region that the call did not name, which would reveal the registry to
/// strangers.
fn bad_signature(call: &SignedCall) -> Error {
    let region = call.region.as_deref().unwrap_or("<the region that the node registered with>");
    let expected = format!("{}|{region}|{}", call.ip, call.at.text);
    let word = quoted(&expected);
    let advice = format!(
        "The server expected a signature over \"{expected}\", without a newline, made with a key of the organization: \
         printf %s {word} | openssl dgst -sha256 -sign key.pem | base64 -w0"
    );
    refusal("BAD_SIGNATURE", "Invalid signature", advice)
}

/// The error for a signature that was used before.
fn replayed() -> Error {
    let advice = "This signature was used before. The same address, region and timestamp always produce the same signature: sign again with a new timestamp";
    refusal("SIGNATURE_REPLAYED", "The signature was used before", advice.to_owned())
}

/// The error for a new node of an organization at its limit.
pub(super) fn no_room(tx: &ReadTx<'_>, org: OrgId, most: u32) -> Result<Error, Error> {
    let count = store::node::count(tx, org)?;
    let advice = format!(
        "The organization has {count} nodes and nodes_max allows {most}. Unregister nodes that no longer exist (POST \
        /unregister, signed with a key of the organization; `orgkeys sign` builds the body), or ask the server's \
        administrator to raise nodes_max. Deleted nodes count: activate them, then unregister them"
    );
    Ok(refusal(NODE_LIMIT, &format!("Maximum number of nodes ({most}) has been reached"), advice))
}

fn refusal(code: &'static str, message: &str, advice: String) -> Error {
    Error::new(ErrorKind::Invalid, code, message).advising(advice)
}
