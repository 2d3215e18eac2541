//! What does the server do that nobody asks for, and what does its administrator do beside it? Without a rule, and recorded all the same.

use std::sync::Arc;

use super::access::Grant;
use super::app::App;
use super::caller::Caller;
use super::environment::Environment;
use super::error::Error;
use super::limits::Limits;
use super::record::{append, append_all};
use super::rule::Rule;
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, OrgId};
use crate::domain::time::Time;
use crate::store::api_key::touch;
use crate::store::touched::Used;
use crate::store::{self, ReadTx, Store, WriteTx};

/// The right to act without a rule. There is one for each [`App`], made with it, and nothing leads from an app to it: whoever
/// answers requests has the app alone.
pub struct System {
    // Private, so that only this file makes one.
    app: Arc<App>,
}

/// Puts the engine on an open store: what answers requests, and what acts by itself.
pub fn start(store: Store, env: Environment, limits: Limits) -> Result<(Arc<App>, System), Error> {
    let app = Arc::new(App::new(store, env, limits)?);
    Ok((Arc::clone(&app), System { app }))
}

impl System {
    /// The app of the same store.
    #[must_use]
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The version of the schema before this opening upgraded it, if it did.
    pub(crate) fn upgraded_from(&self) -> Option<i32> {
        self.app.store.upgraded_from()
    }

    /// Reads from one snapshot.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.app.store.read(work)
    }

    /// Does what concerns no single organization, and records it in the server's own chain.
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

    /// As [`System::write`], from the reserve of a full disk: what the server has to say of itself must not keep it from starting.
    pub(crate) fn write_reserved(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<Vec<Event>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let (env, now) = (self.app.env.clone(), self.app.now());
        let write = move |tx: &WriteTx<'_>| {
            let events = work(tx)?;
            append_all(tx, &env, &Caller::system(), None, events, now).map(drop)
        };
        self.app.store.revoke(write).wait()
    }

    /// Does what the server does by itself for organizations, and records it in their chains. It is sound without a rule since
    /// it takes nothing from outside but what came of a try, and gives no right to anybody.
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

    /// Changes something of an organization as its administrator at the command line.
    pub(crate) fn administer<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        org: OrgId,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.app.record(&Caller::system(), Rule::Administers(org), work).wait()
    }

    /// As [`System::administer`], for what revokes: it may use the reserve of a full disk.
    pub(crate) fn administer_reserved<T: Send + 'static, E: IntoIterator<Item = Event>>(
        &self,
        org: OrgId,
        work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.app.revoke(&Caller::system(), Rule::Administers(org), work).wait()
    }

    /// Records in a chain what retention removes of it, the removal itself last, and lets go of it: in this order, as the
    /// schema demands.
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

    /// Removes some of the entries that a chain's trim point has let go of, and gives how many.
    pub(crate) fn purge(&self, chain: Option<OrgId>, most: u32) -> Result<usize, Error> {
        self.app.store.write(move |tx| Ok(store::trim_point::purge(tx, chain, most)?)).wait()
    }

    /// Writes when and from where API keys were last used, which is no action of a caller and has no entry.
    pub(crate) fn remember_uses(&self, uses: Vec<(ApiKeyId, Used)>) -> Result<(), Error> {
        let write = move |tx: &WriteTx<'_>| uses.into_iter().try_for_each(|(key, used)| touch(tx, key, used));
        Ok(self.app.store.write(write).wait()?)
    }
}
