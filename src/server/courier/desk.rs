//! Where does the courier ask? The actions on deliveries.

use std::sync::Arc;

use crate::actions::delivery::{self, Due, Hands};
use crate::domain::delivery::Tried;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::system::System;

/// What is to be carried and what came of it; a test of the courier alone has one of its own. All of it may block.
pub trait Desk: Send + Sync {
    /// As [`delivery::due`].
    fn due(&self, hands: &Hands, most: usize) -> Result<Due, Error>;
    /// As [`delivery::settle`].
    fn settle(&self, tries: Vec<Tried>) -> Result<(), Error>;
    /// The time in which deliveries are due.
    fn now(&self) -> Time;
}

/// The desk of an open server.
pub struct Office(pub Arc<System>);

impl Desk for Office {
    fn due(&self, hands: &Hands, most: usize) -> Result<Due, Error> {
        delivery::due(&self.0, hands, most)
    }

    fn settle(&self, tries: Vec<Tried>) -> Result<(), Error> {
        delivery::settle(&self.0, tries)
    }

    fn now(&self) -> Time {
        delivery::now(&self.0)
    }
}
