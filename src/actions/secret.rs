//! Secrets that an organization has for its nodes: administrators set, list and delete them; nodes fetch them with a
//! signed call, encrypted for the key that they signed with.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::key_file;
use super::node::refuse_deleted;
use super::signed_call::{self, Purpose, SignedCall};
use crate::crypto::hybrid::{Envelope, Recipient};
use crate::crypto::sealed::SealingKey;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::secret::{ALWAYS, MOST_PER_ORG, Secret, SecretName};
use crate::engine::app::App;
use crate::engine::caller::{Caller, CallerId, Origin};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, secret::SealedSecret};

/// The texts that a node may read, and the public key that they are to be encrypted for.
pub struct FetchedSecrets {
    texts: BTreeMap<String, SecretSlice<u8>>,
    public_key: Vec<u8>,
}

impl FetchedSecrets {
    /// Encrypts each text for the node. Returns them by name.
    pub fn encrypt(&self, app: &App) -> Result<Vec<(String, Envelope)>, Error> {
        let (recipient, mut rng) = (Recipient::new(&self.public_key)?, app.env.rng());
        let texts = self.texts.iter();
        texts.map(|(name, text)| Ok((name.clone(), recipient.encrypt(text.expose_secret(), &mut rng)?))).collect()
    }
}

/// Sets the text of a secret, for the nodes of one region or for those of every region that has no text of its own.
pub fn put(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    name: SecretName,
    region: Option<String>,
    text: SecretString,
) -> Pending<Secret> {
    let (env, key) = (app.env.clone(), key_file::key(app));
    app.record(caller, Rule::ManagesSecrets(org), move |tx, grant| {
        let key = key?;
        let known = store::secret::find(tx, grant.org, &name, region.as_deref())?;
        let text = text.expose_secret().as_bytes();
        let id = known.unwrap_or_else(|| env.id());
        let bytes = u32::try_from(text.len()).map_err(Error::internal)?;
        let secret = Secret { id, org: grant.org, name, region, bytes, updated_at: grant.at };
        let sealed = key.seal(id.as_bytes(), text, &mut env.rng())?;
        if known.is_some() {
            store::secret::update(tx, &secret, &sealed)?;
        } else if !store::secret::insert(tx, &secret, &sealed, MOST_PER_ORG)? {
            return Err(limit_reached());
        }
        let (name, region) = (secret.name.clone(), secret.region.clone());
        let event = Event::SecretPut { secret: id, name, region, bytes, new: known.is_none() };
        Ok((secret, event))
    })
}

/// Returns the secrets of an organization, without their texts.
pub fn list(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<Vec<Secret>> {
    app.read(caller, &Rule::SeesSecrets(org), |tx, grant| {
        let secrets = store::secret::list(tx, grant.org)?;
        let event = Event::SecretsListed { org: grant.org, count: secrets.len() };
        Ok((secrets, event))
    })
}

/// Deletes a secret for one region, or the one for every region that has no text of its own.
pub fn delete(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    name: Option<SecretName>,
    region: Option<String>,
) -> Pending<()> {
    app.revoke(caller, Rule::ManagesSecrets(org), move |tx, grant| {
        let missing = || Error::new(ErrorKind::Missing, "SECRET_NOT_FOUND", "Secret not found");
        let name = name.ok_or_else(missing)?;
        let id = store::secret::find(tx, grant.org, &name, region.as_deref())?.ok_or_else(missing)?;
        store::secret::delete(tx, id)?;
        Ok(((), Event::SecretDeleted { secret: id, name, region }))
    })
}

/// Returns the secrets for a node, which proves itself with a signature and need not be registered.
pub fn fetch(app: &App, origin: &Origin, call: &SignedCall) -> Pending<FetchedSecrets> {
    let (key, caller) = (key_file::key(app).ok(), origin.proven.clone());
    let (ip, region) = (call.ip.clone(), call.region.clone());
    signed_call::run(app, origin, call, Purpose::Read, move |tx, grant, signature| {
        let node = store::node::find_by_ip(tx, grant.org, &ip)?;
        if let Some(node) = &node {
            caller.set(CallerId::Node(node.id), Some(grant.org));
        }
        refuse_deleted(node.as_ref())?;
        let id = node.as_ref().map(|node| node.id);
        let region = region.or_else(|| node.map(|node| node.profile.region)).unwrap_or_default();
        let secrets = store::secret::for_region(tx, grant.org, &region)?;
        let names: Vec<SecretName> = secrets.iter().map(|sealed| sealed.secret.name.clone()).collect();
        let texts = texts(&secrets, key.as_deref())?;
        let fetched = FetchedSecrets { texts, public_key: store::org_key::public_key(tx, signature.key)? };
        let read = Event::SecretsRead { node: id, key: signature.key, names, message: signature.form.name() };
        Ok((fetched, vec![read]))
    })
}

/// Opens the sealed texts, and adds the names that every answer has.
fn texts(secrets: &[SealedSecret], key: Option<&SealingKey>) -> Result<BTreeMap<String, SecretSlice<u8>>, Error> {
    if secrets.is_empty() {
        return Err(not_set());
    }
    let empty = ALWAYS.map(|name| (name.to_owned(), SecretSlice::from(Vec::new())));
    let mut texts = BTreeMap::from(empty);
    for SealedSecret { secret, text } in secrets {
        let opened = key.and_then(|key| key.open(secret.id.as_bytes(), text).ok());
        texts.insert(secret.name.to_string(), opened.ok_or_else(|| unreadable(&secret.name))?);
    }
    Ok(texts)
}

/// The advice begins with the code, because some installers print nothing else.
fn not_set() -> Error {
    let advice = "SECRETS_NOT_SET: the organization has no secrets for nodes of this region. An administrator sets them \
        with PUT /organization/{idOrg}/secrets/{name}, or `orgkeys secret put NAME --text @FILE`; then run this again";
    Error::new(ErrorKind::Invalid, "SECRETS_NOT_SET", "No secrets are set for this node").advising(advice)
}

fn unreadable(name: &SecretName) -> Error {
    let message = format!("The server cannot decrypt the secret {name}");
    let advice = format!(
        "SECRETS_UNREADABLE: the server's key file is missing or not the one that encrypted the secret {name}. The server's \
         administrator must restore the file and restart the server; if it is lost, set the secrets again: `orgkeys \
         doctor` names them"
    );
    Error::new(ErrorKind::Unavailable, "SECRETS_UNREADABLE", message).advising(advice)
}

fn limit_reached() -> Error {
    let message = format!(
        "Maximum number of secrets ({MOST_PER_ORG}) has been reached. Please delete existing secrets before setting new ones."
    );
    Error::new(ErrorKind::Invalid, "SECRET_LIMIT_REACHED", message)
}
