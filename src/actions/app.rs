//! How is a thing done? Authorized and recorded, in one transaction, or not at all.

mod log;
#[cfg(test)]
mod search_tests;

use std::sync::{Arc, OnceLock};

use self::log::{append, recorded, refuse, remember_use};
use super::access::{self, Denial, Grant, Rule};
use super::audit::page::Polls;
use super::caller::Caller;
use super::clock::{self, HighWater};
use super::error::{Error, Kind};
use super::limits::{Limiter, Limits};
use super::outside::Outside;
use super::pending::Pending;
use super::refusals::Refusals;
use super::signed_call::Verifiers;
use crate::crypto::sealed;
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, OrgId};
use crate::domain::time::Time;
use crate::store::api_key::touch;
use crate::store::index::Index;
use crate::store::touched::Used;
use crate::store::{self, ReadTx, Storage, Store, WriteTx, WriterFigures};

/// What was read, or why it may not be.
type Decided<T> = Result<Result<T, Denial>, Error>;

/// An open organization keys server, without a wire to it.
pub struct App {
    // Private to this file: nothing is read or written without a caller and a rule.
    store: Store,
    pub(super) outside: Outside,
    pub(super) limits: Limits,
    pub(super) limiter: Arc<Limiter>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) verifiers: Verifiers,
    pub(super) polls: Polls,
    /// What seals secrets, once the key file was read.
    pub(super) key: OnceLock<Arc<sealed::Key>>,
    /// Signed messages from before this moment are refused. Only a restore moves it, and no server runs beside one.
    pub(super) signed_after: Time,
}

impl App {
    /// Puts the actions on an open store, and records what the server has to say about its own start.
    pub fn new(store: Store, outside: Outside, limits: Limits) -> Result<Self, Error> {
        let (last, kept, last_id, signed_after) = store.read(|tx| {
            Ok::<_, Error>((
                store::audit::last_at(tx)?,
                store::clock::kept(tx)?,
                store::server::last_id_at(tx)?,
                store::server::signed_after(tx)?,
            ))
        })?;
        let high_water = HighWater::recovered(kept, last, outside.shown());
        let outside = outside.with_ids_after(last_id).with_high_water(high_water);
        let app = Self {
            store,
            limiter: Arc::new(Limiter::new(&limits)),
            refusals: Arc::default(),
            verifiers: Verifiers::default(),
            polls: Polls::default(),
            key: OnceLock::new(),
            signed_after,
            outside,
            limits,
        };
        if let Some(from) = app.store.upgraded_from() {
            app.note(move |_| Ok(vec![Event::Upgraded { from, to: store::migrate::VERSION }]))?;
        }
        clock::start(&app)?;
        Ok(app)
    }

    /// Reads from a snapshot in which `caller` has the right of `rule`, and records the read before it is answered.
    pub(super) fn read<T: Send + 'static, E: IntoIterator<Item = Event> + Send + 'static>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<(T, E), Error>,
    ) -> Pending<T> {
        let read = self.decided(caller, rule, |tx, grant| Ok((grant.clone(), work(tx, grant)?)));
        self.answered(caller, rule, read, |value, _| value)
    }

    /// As [`App::read`], for a read that goes on by [`App::consult`]: with the id of its entry.
    pub(super) fn begin<T: Send + 'static>(
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
    pub(super) fn search<T: Send + 'static>(
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
        let (caller, outside) = (caller.clone(), self.outside.clone());
        Pending::coming(self.store.write(move |tx| {
            remember_use(tx, &caller, &grant)?;
            let mut id = 0;
            for event in events {
                id = append(tx, &outside, &caller, Some(grant.org), &event, grant.at)?;
            }
            Ok(Ok(answer(value, id)))
        }))
    }

    /// Looks something up on the way to a recorded change, or goes on with a read that was recorded when it began. Only a
    /// denial is recorded.
    pub(super) fn consult<T>(
        &self,
        caller: &Caller,
        rule: &Rule,
        work: impl FnOnce(&ReadTx<'_>, &Grant) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.decided(caller, rule, work)?.map_err(|denial| {
            let (caller, rule, outside) = (caller.clone(), rule.clone(), self.outside.clone());
            let now = outside.now();
            self.store
                .write(move |tx| refuse(tx, &outside, &caller, &rule, denial, now))
                .wait()
                .unwrap_or_else(|error| error)
        })
    }

    /// Changes something by the right of `rule`, decided and recorded in the transaction that changes it.
    pub(super) fn record<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        caller: &Caller,
        rule: Rule,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Pending<T> {
        Pending::coming(self.store.write(recorded(caller.clone(), self.outside.clone(), rule, work)))
    }

    /// As [`App::record`], for what revokes: it may use the reserve of a full disk. The right is looked at before, so that nobody without it spends the reserve on denials.
    pub(super) fn revoke<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        caller: &Caller,
        rule: Rule,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Pending<T> {
        match self.decided(caller, &rule, |_, _| Ok(())) {
            Ok(Ok(())) => {
                Pending::coming(self.store.revoke(recorded(caller.clone(), self.outside.clone(), rule, work)))
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
        let now = self.outside.now();
        self.store.read(|tx| match access::decide(tx, caller, rule, now) {
            Ok(grant) => match work(tx, &grant) {
                // What the rows forbid is a denial like any other.
                Err(error) if error.kind == Kind::Denied => Ok(Err(Denial::Forbidden(grant.org, Box::new(error)))),
                done => done.map(Ok),
            },
            Err(denial) => Ok(Err(denial)),
        })
    }

    /// Records a denial and answers with it.
    fn denied<T: Send + 'static>(&self, caller: &Caller, rule: &Rule, denial: Denial) -> Pending<T> {
        let (caller, rule, outside) = (caller.clone(), rule.clone(), self.outside.clone());
        let now = outside.now();
        Pending::coming(self.store.write(move |tx| Ok(Err(refuse(tx, &outside, &caller, &rule, denial, now)?))))
    }

    /// Does what concerns no single organization, as the system, and records it in the server's own chain.
    pub(super) fn administer<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, Time) -> Result<(T, E), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (outside, now) = (self.outside.clone(), self.outside.now());
        self.store
            .write(move |tx| {
                let (value, events) = work(tx, now)?;
                for event in events {
                    append(tx, &outside, &Caller::system(), None, &event, now)?;
                }
                Ok(value)
            })
            .wait()
    }

    /// Does what the server does by itself for organizations, and records it in their chains. Nobody asks for it, so there
    /// is no rule; it is sound since it takes nothing from outside but what came of a try, and gives no right to anybody.
    pub(super) fn by_itself<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, &Outside, Time) -> Result<(T, Vec<(OrgId, Event)>), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (outside, now) = (self.outside.clone(), self.outside.now());
        self.store
            .write(move |tx| {
                let (value, events) = work(tx, &outside, now)?;
                for (org, event) in events {
                    append(tx, &outside, &Caller::system(), Some(org), &event, now)?;
                }
                Ok(value)
            })
            .wait()
    }

    /// Records what the server has to say of itself; from the reserve, so that a full disk does not keep it from starting.
    pub(super) fn note(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<Vec<Event>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (outside, now) = (self.outside.clone(), self.outside.now());
        let write = move |tx: &WriteTx<'_>| {
            for event in work(tx)? {
                append(tx, &outside, &Caller::system(), None, &event, now)?;
            }
            Ok(())
        };
        self.store.revoke(write).wait()
    }

    /// Records in a chain what retention removes of it, the removal itself last, and lets go of it: in this order, as the
    /// schema demands.
    pub(super) fn let_go(
        &self,
        chain: Option<OrgId>,
        last: store::anchor::Anchor,
        events: impl FnOnce(&WriteTx<'_>) -> Result<Vec<Event>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (outside, now) = (self.outside.clone(), self.outside.now());
        let write = move |tx: &WriteTx<'_>| {
            for event in events(tx)? {
                append(tx, &outside, &Caller::system(), chain, &event, now)?;
            }
            Ok(store::anchor::advance(tx, chain, last)?)
        };
        self.store.write(write).wait()
    }

    /// Removes some of the entries that a chain's anchor has let go of, and gives how many.
    pub(super) fn sweep(&self, chain: Option<OrgId>, most: u32) -> Result<usize, Error> {
        self.store.write(move |tx| Ok(store::anchor::sweep(tx, chain, most)?)).wait()
    }

    /// Looks up what has no caller yet: whose credential it is, whose key may have signed.
    pub(super) fn identify<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.store.read(work)
    }

    /// As [`App::identify`], for a few rows by their keys: short enough for a thread that must not block.
    pub(super) fn look_up<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.store.look_up(work)
    }

    /// Appends entries that were counted in memory.
    pub(super) fn append_counted(&self, entries: Vec<(OrgId, Event)>) -> Result<(), Error> {
        self.by_itself(move |_, _, _| Ok(((), entries)))
    }

    /// Writes when and from where API keys were last used, which is no action of a caller and has no entry.
    pub(super) fn remember_uses(&self, uses: Vec<(ApiKeyId, Used)>) -> Result<(), Error> {
        let write = move |tx: &WriteTx<'_>| uses.into_iter().try_for_each(|(key, used)| touch(tx, key, used));
        Ok(self.store.write(write).wait()?)
    }

    /// The credentials that stand now, in memory.
    pub(super) fn index(&self) -> &Index {
        self.store.index()
    }

    /// Has `ring` run with the id of the audit log's last entry after each commit that added some. It must only pass the word on.
    pub fn hear(&self, ring: impl Fn(i64) + Send + 'static) {
        self.store.hear(ring);
    }

    /// The present moment, as the server sees it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.outside.now()
    }

    /// The id of a new request.
    #[must_use]
    pub fn request_id(&self) -> String {
        self.outside.id::<uuid::Uuid>().to_string()
    }

    /// Whether a change reaches the disk now.
    pub fn probe(&self) -> Result<(), Error> {
        let now = self.outside.now();
        self.store.write(move |tx| Ok(store::server::probe(tx, now)?)).wait()
    }

    /// How busy the writer has been.
    #[must_use]
    pub fn writer_figures(&self) -> WriterFigures {
        self.store.figures()
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
