//! The engine for the server itself and for the command line: actions without a caller's right, which are recorded all
//! the same.

use std::sync::Arc;

use super::access::Grant;
use super::app::App;
use super::caller::{Caller, LocalAdministrator};
use super::environment::Environment;
use super::error::Error;
use super::limits::Limits;
use super::record::{append, append_all};
use super::rule::Rule;
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, OrgId};
use crate::domain::statistics::Counted;
use crate::domain::time::Time;
use crate::store::api_key::touch;
use crate::store::touched::LastUse;
use crate::store::{self, ReadTx, Store, WriteTx};

/// The right to act without a rule. Each [`App`] has exactly one, created with it. It cannot be reached from the app,
/// so the code that serves requests does not have it.
pub struct System {
    // Private, so that only this file can create one.
    app: Arc<App>,
}

/// Creates the engine on an open store: the part that serves requests, and the part that acts for the server itself.
pub fn start(store: Store, env: Environment, limits: Limits) -> Result<(Arc<App>, System), Error> {
    let app = Arc::new(App::new(store, env, limits)?);
    Ok((Arc::clone(&app), System { app }))
}

impl System {
    /// Returns the app of the same store.
    #[must_use]
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Returns the proof that a request comes from the server's administrator. Whoever asks for it has checked that.
    #[must_use]
    pub const fn local_administrator(&self) -> LocalAdministrator {
        LocalAdministrator(())
    }

    /// Returns the previous schema version, if opening the store upgraded it.
    pub(crate) fn upgraded_from(&self) -> Option<i32> {
        self.app.store.upgraded_from()
    }

    /// Reads from one snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.app.store.read(work)
    }

    /// Makes a change that belongs to no single organization, and records it in the server's own chain.
    pub(crate) fn write<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, Time) -> Result<(T, E), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (env, now) = (self.app.env.clone(), self.app.now());
        let write = move |tx: &WriteTx<'_>| {
            let (value, events) = work(tx, now)?;
            append_all(tx, &env, &Caller::system(), None, events, now)?;
            Ok(value)
        };
        self.app.store.write(write).wait()
    }

    /// As [`System::write`], using the disk reserve if needed, so that a full disk does not keep the server from
    /// starting.
    pub(crate) fn write_reserved(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<Vec<Event>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (env, now) = (self.app.env.clone(), self.app.now());
        let write = move |tx: &WriteTx<'_>| {
            let events = work(tx)?;
            append_all(tx, &env, &Caller::system(), None, events, now).map(drop)
        };
        self.app.store.write_reserved(write).wait()
    }

    /// Makes changes on behalf of the server in organizations, and records them in their chains. This is safe without a
    /// rule: its only outside input is the result of webhook attempts, and it grants no right to anyone.
    pub(crate) fn write_for_orgs<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, &Environment, Time) -> Result<(T, Vec<(OrgId, Event)>), Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (env, now) = (self.app.env.clone(), self.app.now());
        let write = move |tx: &WriteTx<'_>| {
            let (value, events) = work(tx, &env, now)?;
            for (org, event) in events {
                append(tx, &env, &Caller::system(), Some(org), &event, now)?;
            }
            Ok(value)
        };
        self.app.store.write(write).wait()
    }

    /// Makes a change in an organization for the administrator at the command line.
    pub(crate) fn administer<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        org: OrgId,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.app.record(&Caller::system(), Rule::Administers(org), work).wait()
    }

    /// As [`System::administer`], for revocations, which may use the disk reserve.
    pub(crate) fn administer_reserved<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        org: OrgId,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.app.revoke(&Caller::system(), Rule::Administers(org), work).wait()
    }

    /// Records in a chain what retention removes from it, with the removal itself last, and then advances the trim
    /// point. The schema requires this order.
    pub(crate) fn trim(
        &self,
        chain: Option<OrgId>,
        last: store::trim_point::TrimPoint,
        events: impl FnOnce(&WriteTx<'_>) -> Result<Vec<Event>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (env, now) = (self.app.env.clone(), self.app.now());
        let write = move |tx: &WriteTx<'_>| {
            append_all(tx, &env, &Caller::system(), chain, events(tx)?, now)?;
            Ok(store::trim_point::advance(tx, chain, last)?)
        };
        self.app.store.write(write).wait()
    }

    /// Deletes up to `most` entries at or before a chain's trim point. Returns their number.
    pub(crate) fn purge(&self, chain: Option<OrgId>, most: u32) -> Result<usize, Error> {
        self.app.store.write(move |tx| Ok(store::trim_point::purge(tx, chain, most)?)).wait()
    }

    /// Adds to the counts of an hour. Like all counts, they have no audit entry.
    pub(crate) fn write_counts(&self, hour: Time, counts: Vec<(OrgId, Counted, i64)>) -> Result<(), Error> {
        let add = move |tx: &WriteTx<'_>| {
            let mut counts = counts.into_iter();
            counts.try_for_each(|(org, counted, count)| store::hourly_count::add(tx, org, hour, counted, count))
        };
        Ok(self.app.store.write(add).wait()?)
    }

    /// Removes the counts of the first hour of all, if it is before `time`.
    pub(crate) fn remove_counts(&self, time: Time) -> Result<(), Error> {
        Ok(self.app.store.write(move |tx| store::hourly_count::remove_hour(tx, time)).wait()?)
    }

    /// Writes when and from where API keys were last used. This is not an action of a caller, so it has no audit entry.
    pub(crate) fn remember_uses(&self, uses: Vec<(ApiKeyId, LastUse)>) -> Result<(), Error> {
        let write = move |tx: &WriteTx<'_>| uses.into_iter().try_for_each(|(key, used)| touch(tx, key, used));
        Ok(self.app.store.write(write).wait()?)
    }
}
