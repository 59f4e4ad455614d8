//! Who is in a house that makes room: whoever has waited longest for a head gives way to a
//! newcomer.
//!
//! A client that opens connections and says half of a head on each (slowloris) fills a house for
//! the time of a head, again and again. Who comes with a whole head is served here all the same: it
//! would take as many newcomers as there are places to send it away again.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use crate::activity::Activity;

/// The connections of one door.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    guests: Mutex<Vec<Guest>>,
}

#[derive(Debug)]
struct Guest {
    activity: Weak<Activity>,
    leave: CancellationToken,
}

impl Crowd {
    /// Adds a connection, which ends when `leave` is cancelled.
    pub(crate) fn enter(&self, activity: &Arc<Activity>, leave: &CancellationToken) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|guest| guest.activity.strong_count() > 0);
        guests.push(Guest {
            activity: Arc::downgrade(activity),
            leave: leave.clone(),
        });
    }

    /// Ends the connection that has waited longest for a head, rather one that has begun it or
    /// never sent one than one that rests between two. None ends whose request is being answered.
    pub(crate) fn make_room(&self) {
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = guests.iter().filter(|guest| !guest.leave.is_cancelled());
        let waiting = waiting.filter_map(|guest| Some((guest.activity.upgrade()?.waits()?, guest)));
        if let Some((_, guest)) = waiting.min_by_key(|(since, _)| *since) {
            guest.leave.cancel();
        }
    }
}
