//! Which events are asked for? By who acted, by what they acted on, where, and by what happened to it.

/// Which events are asked for; `None` is any.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Who did it.
    pub actor_id: Option<String>,
    /// What it is about, as a [`Context`](super::Context)'s number.
    pub context: Option<u8>,
    /// The id of what it is about.
    pub context_id: Option<String>,
    /// The project it happened in.
    pub project: Option<String>,
    /// What happened, as a [`Change`](super::Change)'s number.
    pub change: Option<u8>,
}
