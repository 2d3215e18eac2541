//! How is a thing done? Authorized and recorded, in one transaction, or not at all.

use std::sync::{Arc, OnceLock};

use super::access::{self, Denial, Grant};
use super::caller::Caller;
use super::environment::Environment;
use super::error::{Error, ErrorKind};
use super::high_water::HighWater;
use super::limits::{Limiter, Limits};
use super::pending::Pending;
use super::polls::Polls;
use super::record::{append_all, recorded, refuse, remember_use};
use super::refusals::Refusals;
use super::rule::Rule;
use super::verifiers::Verifiers;
use crate::crypto::sealed;
use crate::domain::event::Event;
use crate::domain::time::Time;
use crate::store::index::Index;
use crate::store::login_attempt::{AccountDigest, Network};
use crate::store::{self, ReadTx, Rejection, Storage, Store, Urgency, WriteTx, WriterMetrics};

/// What was read, or why it may not be.
type Decided<T> = Result<Result<T, Denial>, Error>;

/// An open organization keys server, without a wire to it.
pub struct App {
    // Private to the engine: nothing is read or written without a caller and a rule, but by the system.
    pub(super) store: Store,
    pub(crate) env: Environment,
    pub(crate) limits: Limits,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) verifiers: Verifiers,
    pub(crate) polls: Polls,
    /// What seals secrets, once the key file was read.
    pub(crate) key: OnceLock<Arc<sealed::SealingKey>>,
    /// Signed messages from before this moment are refused. Only a restore moves it, and no server runs beside one.
    pub(crate) signed_after: Time,
}

impl App {
    /// The engine over an open store, where time has come as far as the last process left it.
    pub(super) fn new(store: Store, env: Environment, limits: Limits) -> Result<Self, Error> {
        let (last, clock, last_id, signed_after) = store.read(|tx| {
            Ok::<_, Error>((
                store::audit::last_at(tx)?,
                store::clock::state(tx)?,
                store::server::last_id_at(tx)?,
                store::server::signed_after(tx)?,
            ))
        })?;
        let high_water = HighWater::recovered(clock, last, env.wall_clock());
        Ok(Self {
            store,
            limiter: Arc::new(Limiter::new(&limits)),
            refusals: Arc::default(),
            verifiers: Verifiers::default(),
            polls: Polls::default(),
            key: OnceLock::new(),
            signed_after,
            env: env.with_ids_after(last_id).with_high_water(high_water),
            limits,
        })
    }

    /// Reads from a snapshot in which `caller` has the right of `rule`, and records the read before it is answered.
    pub(crate) fn read<T: Send + 'static, E: IntoIterator<Item = Event> + Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<(T, E), Error>,
    ) -> Pending<T> {
        let read = self.decided(caller, rule, |tx, grant| Ok((grant.clone(), work(tx, grant)?)));
        self.answered(caller, rule, read, |value, _| value)
    }

    /// As [`App::read`], for a read that goes on by [`App::consult`]: with the id of its entry.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<(T, Event), Error>,
    ) -> Pending<(T, i64)> {
        let read = self.decided(caller, rule, |tx, grant| Ok((grant.clone(), work(tx, grant)?)));
        self.answered(caller, rule, read, |value, id| (value, id))
    }

    /// As [`App::read`], for a read that would hold a snapshot for too long: `work` runs again, each time on a snapshot of its own
    /// in which the right is decided anew, until it gives an answer. It is recorded once.
    pub(crate) fn search<T: Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        mut work: impl FnMut(&ReadTx<'_>, &Grant) -> Result<Option<(T, Event)>, Error>,
    ) -> Pending<T> {
        loop {
            let slice = self.decided(caller, rule, |tx, grant| Ok(work(tx, grant)?.map(|done| (grant.clone(), done))));
            if let Some(read) = slice.map(Result::transpose).transpose() {
                return self.answered(caller, rule, read, |value, _| value);
            }
        }
    }

    /// Records a read, or its denial, and answers it.
    fn answered<T: Send + 'static, E: IntoIterator<Item = Event> + Send + 'static, A: Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        read: Decided<(Grant, (T, E))>,
        answer: impl FnOnce(T, i64) -> A + Send + 'static,
    ) -> Pending<A> {
        let (grant, (value, events)) = match read {
            Ok(Ok(read)) => read,
            Ok(Err(denial)) => return self.denied(caller, rule, denial),
            Err(error) => return Pending::refused(error),
        };
        let (caller, env) = (caller.clone(), self.env.clone());
        Pending::coming(self.store.write(move |tx| {
            remember_use(tx, &caller, &grant)?;
            let id = append_all(tx, &env, &caller, Some(grant.org), events, grant.at)?;
            Ok(answer(value, id))
        }))
    }

    /// Looks something up on the way to a recorded change, or goes on with a read that was recorded when it began. Only a
    /// denial is recorded.
    pub(crate) fn consult<T>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.decided(caller, rule, work)?.map_err(|denial| {
            let (caller, rule, env) = (caller.clone(), rule.clone(), self.env.clone());
            let now = env.now();
            self.store
                .write(move |tx| refuse(tx, &env, &caller, &rule, denial, now))
                .wait()
                .unwrap_or_else(|error| error)
        })
    }

    /// Changes something by the right of `rule`, decided and recorded in the transaction that changes it.
    pub(crate) fn record<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        caller: &Caller,
        rule: Rule,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Pending<T> {
        Pending::coming(self.store.decide(Urgency::Ordinary, recorded(caller.clone(), self.env.clone(), rule, work)))
    }

    /// As [`App::record`], for what revokes: it may use the reserve of a full disk. The right is looked at before, so that nobody without it spends the reserve on denials.
    pub(crate) fn revoke<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        caller: &Caller,
        rule: Rule,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Pending<T> {
        match self.decided(caller, &rule, |_, _| Ok(())) {
            Ok(Ok(())) => {
                let work = recorded(caller.clone(), self.env.clone(), rule, work);
                Pending::coming(self.store.decide(Urgency::Revoking, work))
            }
            Ok(Err(denial)) => self.denied(caller, &rule, denial),
            Err(error) => Pending::refused(error),
        }
    }

    /// Decides on a snapshot, and reads from it if the right is there.
    fn decided<T>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<T, Error>,
    ) -> Decided<T> {
        let now = self.env.now();
        self.store.read(|tx| match access::decide(tx, caller, rule, now) {
            Ok(grant) => match work(tx, &grant) {
                // What the rows forbid is a denial like any other.
                Err(error) if error.kind == ErrorKind::Denied => Ok(Err(Denial::Forbidden(grant.org, Box::new(error)))),
                done => done.map(Ok),
            },
            Err(denial) => Ok(Err(denial)),
        })
    }

    /// Records a denial and answers with it.
    fn denied<T: Send + 'static>(&self, caller: &Caller, rule: &Rule, denial: Denial) -> Pending<T> {
        let (caller, rule, env) = (caller.clone(), rule.clone(), self.env.clone());
        let now = env.now();
        let write = move |tx: &WriteTx<'_>| Err(Rejection::Recorded(refuse(tx, &env, &caller, &rule, denial, now)?));
        Pending::coming(self.store.decide(Urgency::Ordinary, write))
    }

    /// Looks up a few rows by their keys for somebody who is not a caller yet: whose credential it is, whose key may have signed.
    /// Short enough for a thread that must not block.
    pub(crate) fn pre_auth<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.store.look_up(work)
    }

    /// Remembers a wrong password, whoever tried it.
    pub(crate) fn remember_wrong_password(&self, account: AccountDigest, network: Network) -> Result<(), Error> {
        let now = self.env.now();
        self.store.write(move |tx| Ok(store::login_attempt::add(tx, account, network, now)?)).wait()
    }

    /// The credentials that stand now, in memory.
    pub(crate) fn index(&self) -> &Index {
        self.store.index()
    }

    /// Calls `listener` with the id of the audit log's last entry after each commit that added some. It must only pass the word on.
    pub fn subscribe(&self, listener: impl Fn(i64) + Send + 'static) {
        self.store.subscribe(listener);
    }

    /// The present moment, as the server sees it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.env.now()
    }

    /// The id of a new request.
    #[must_use]
    pub fn request_id(&self) -> String {
        self.env.id::<uuid::Uuid>().to_string()
    }

    /// Whether a change reaches the disk now.
    pub fn probe(&self) -> Result<(), Error> {
        let now = self.env.now();
        self.store.write(move |tx| Ok(store::server::probe(tx, now)?)).wait()
    }

    /// How busy the writer has been.
    #[must_use]
    pub fn writer_metrics(&self) -> WriterMetrics {
        self.store.writer_metrics()
    }

    /// The store's file.
    #[must_use]
    pub fn database(&self) -> &std::path::Path {
        self.store.path()
    }

    /// What the store takes and what it has.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.store.storage()
    }
}
