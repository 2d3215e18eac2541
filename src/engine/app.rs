//! The engine for requests: every action is authorized, executed and recorded in one transaction, or not at all.

use std::sync::{Arc, OnceLock};

use super::access::{self, Denial, Grant};
use super::caller::Caller;
use super::environment::Environment;
use super::error::{Error, ErrorKind};
use super::high_water::HighWater;
use super::hourly_counts::HourlyCounts;
use super::limits::{Limiter, Limits};
use super::pending::Pending;
use super::polls::Polls;
use super::record::{append_all, recorded, refuse, remember_use};
use super::refusals::RefusalCounts;
use super::refused_verifications::RefusedVerifications;
use super::rule::Rule;
use super::setup::Setup;
use super::verifiers::Verifiers;
use crate::crypto::sealed;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::store::index::Index;
use crate::store::login_attempt::{AccountDigest, Network};
use crate::store::{self, ReadTx, Rejection, Storage, Store, Urgency, WriteTx, WriterMetrics};

/// How long a read takes, which determines its connection.
#[derive(Clone, Copy)]
enum Length {
    /// No longer than it takes to write the response: for any thread.
    Short,
    /// Longer, such as a search: for a blocking thread, because it may also have to wait for a connection.
    Long,
}

/// What was read, or why it was denied.
type Decided<T> = Result<Result<T, Denial>, Error>;

/// An open orgkeys store with its rules and limits, independent of HTTP.
pub struct App {
    // Private to the engine, so that only `System` can read or write without a caller and a rule.
    pub(super) store: Store,
    pub(crate) env: Environment,
    pub(crate) limits: Limits,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) refusals: Arc<RefusalCounts>,
    pub(crate) refused_verifications: RefusedVerifications,
    pub(crate) hourly_counts: HourlyCounts,
    pub(crate) verifiers: Verifiers,
    pub(crate) polls: Polls,
    pub(crate) setup: Arc<Setup>,
    /// The key that encrypts webhook secrets, once the key file was read.
    pub(crate) key: OnceLock<Arc<sealed::SealingKey>>,
    /// Signed calls with an earlier timestamp are refused. Only a restore changes it, while no server runs.
    pub(crate) signed_after: Time,
}

impl App {
    /// Creates the engine on an open store, with the high-water mark that the last process stored.
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
            refused_verifications: RefusedVerifications::default(),
            hourly_counts: HourlyCounts::default(),
            verifiers: Verifiers::default(),
            polls: Polls::default(),
            setup: Arc::default(),
            key: OnceLock::new(),
            signed_after,
            env: env.with_ids_after(last_id).with_high_water(high_water),
            limits,
        })
    }

    /// Reads from a snapshot in which `caller` has the right of `rule`, and records the read before it returns the
    /// result. Only for what the response contains, because it runs on the thread that calls it, which may be an async
    /// one.
    pub(crate) fn read<T: Send + 'static, E: IntoIterator<Item = Event> + Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<(T, E), Error>,
    ) -> Pending<T> {
        let read = self.decided(Length::Short, caller, rule, |tx, grant| Ok((grant.clone(), work(tx, grant)?)));
        self.answered(caller, rule, read, |value, _| value)
    }

    /// As [`App::read`], for a read of more than the response contains. It may block.
    pub(crate) fn scan<T: Send + 'static, E: IntoIterator<Item = Event> + Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<(T, E), Error>,
    ) -> Pending<T> {
        let read = self.decided(Length::Long, caller, rule, |tx, grant| Ok((grant.clone(), work(tx, grant)?)));
        self.answered(caller, rule, read, |value, _| value)
    }

    /// As [`App::scan`], for a read that continues with [`App::consult`]. Also returns the id of its audit entry.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<(T, Event), Error>,
    ) -> Pending<(T, i64)> {
        let read = self.decided(Length::Long, caller, rule, |tx, grant| Ok((grant.clone(), work(tx, grant)?)));
        self.answered(caller, rule, read, |value, id| (value, id))
    }

    /// As [`App::scan`], for a read that would hold a snapshot for too long. Calls `work` until it returns a result,
    /// each time on a new snapshot in which the right is checked again. The read is recorded once.
    pub(crate) fn search<T: Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        mut work: impl FnMut(&ReadTx<'_>, &Grant) -> Result<Option<(T, Event)>, Error>,
    ) -> Pending<T> {
        loop {
            let slice = self.decided(Length::Long, caller, rule, |tx, grant| {
                Ok(work(tx, grant)?.map(|done| (grant.clone(), done)))
            });
            if let Some(read) = slice.map(Result::transpose).transpose() {
                return self.answered(caller, rule, read, |value, _| value);
            }
        }
    }

    /// Records a read or its denial, and returns the result.
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
            remember_use(tx, &grant)?;
            let id = append_all(tx, &env, &caller, Some(grant.org), events, grant.at)?;
            Ok(answer(value, id))
        }))
    }

    /// Reads in preparation of a recorded change, or continues a read that was recorded when it began. Only a denial is
    /// recorded. It may block.
    pub(crate) fn consult<T>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.decided(Length::Long, caller, rule, work)?.map_err(|denial| {
            let (caller, rule, env) = (caller.clone(), rule.clone(), self.env.clone());
            let now = env.now();
            self.store
                .write(move |tx| refuse(tx, &env, &caller, &rule, denial, now))
                .wait()
                .unwrap_or_else(|error| error)
        })
    }

    /// Makes a change under the right of `rule`, which is checked and recorded in the same transaction.
    pub(crate) fn record<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        caller: &Caller,
        rule: Rule,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Pending<T> {
        Pending::coming(self.store.decide(Urgency::Ordinary, recorded(caller.clone(), self.env.clone(), rule, work)))
    }

    /// As [`App::record`], for revocations, which may use the disk reserve. The right is also checked before, so that
    /// callers without it cannot use up the reserve with denials.
    pub(crate) fn revoke<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        caller: &Caller,
        rule: Rule,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Pending<T> {
        match self.decided(Length::Short, caller, &rule, |_, _| Ok(())) {
            Ok(Ok(())) => {
                let work = recorded(caller.clone(), self.env.clone(), rule, work);
                Pending::coming(self.store.decide(Urgency::MayUseReserve, work))
            }
            Ok(Err(denial)) => self.denied(caller, &rule, denial),
            Err(error) => Pending::refused(error),
        }
    }

    /// Checks the right on a snapshot, and reads from it if the right is granted.
    fn decided<T>(
        &self,
        length: Length,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<T, Error>,
    ) -> Decided<T> {
        let now = self.env.now();
        let decide = |tx: &ReadTx<'_>| match access::decide(tx, caller, rule, now) {
            Ok(grant) => match work(tx, &grant) {
                // A denial by `work` is treated like any other.
                Err(error) if error.kind == ErrorKind::Denied => Ok(Err(Denial::Forbidden(grant.org, Box::new(error)))),
                done => done.map(Ok),
            },
            Err(denial) => Ok(Err(denial)),
        };
        match length {
            Length::Short => self.store.look_up(decide),
            Length::Long => self.store.read(decide),
        }
    }

    /// Records a denial and returns it.
    fn denied<T: Send + 'static>(&self, caller: &Caller, rule: &Rule, denial: Denial) -> Pending<T> {
        let (caller, rule, env) = (caller.clone(), rule.clone(), self.env.clone());
        let now = env.now();
        let write = move |tx: &WriteTx<'_>| Err(Rejection::Recorded(refuse(tx, &env, &caller, &rule, denial, now)?));
        Pending::coming(self.store.decide(Urgency::Ordinary, write))
    }

    /// Looks up a few rows by their keys before the caller is known: whose credential it is, which keys may have
    /// signed. Short enough for an async thread.
    pub(crate) fn pre_auth<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.store.look_up(work)
    }

    /// Stores a failed password attempt.
    pub(crate) fn remember_wrong_password(&self, account: AccountDigest, network: Network) -> Result<(), Error> {
        let now = self.env.now();
        self.store.write(move |tx| Ok(store::login_attempt::add(tx, account, network, now)?)).wait()
    }

    /// Returns the in-memory index of the valid credentials.
    pub(crate) fn index(&self) -> &Index {
        self.store.index()
    }

    /// Calls `listener` with the id of the last audit entry after each commit that added entries. It runs on the
    /// writer's thread and must only pass the notification on.
    pub fn subscribe(&self, listener: impl Fn(i64) + Send + 'static) {
        self.store.subscribe(listener);
    }

    /// Counts the call of a known caller of an organization by the HTTP status of its response.
    pub fn count_call(&self, org: OrgId, status: u16) {
        self.hourly_counts.called(org, status);
    }

    /// Returns the current time, as the server trusts it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.env.now()
    }

    /// Returns a new request id.
    #[must_use]
    pub fn request_id(&self) -> String {
        self.env.id::<uuid::Uuid>().to_string()
    }

    /// Checks that a change reaches the disk now.
    pub fn probe(&self) -> Result<(), Error> {
        let now = self.env.now();
        self.store.write(move |tx| Ok(store::server::probe(tx, now)?)).wait()
    }

    /// Returns the metrics of the writer.
    #[must_use]
    pub fn writer_metrics(&self) -> WriterMetrics {
        self.store.writer_metrics()
    }

    /// Returns the path of the database file.
    #[must_use]
    pub fn database(&self) -> &std::path::Path {
        self.store.path()
    }

    /// Returns the disk space that the store uses and that is left.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.store.storage()
    }
}
