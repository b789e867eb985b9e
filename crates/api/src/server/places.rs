//! Places for connections: so many altogether, so many for one address, and room for a new one where others only wait.
//!
//! A connection that listens to events has its place among the listeners instead, who have limits of their own.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::idle::Pulse;
use crate::{Config, client::Client};

/// One connection in so many gives way at once when there is no place left, so that each look at all of them makes room for many.
const GIVE_WAY: usize = 16;

/// Who has a place.
#[derive(Debug)]
pub(super) struct Places {
    total: usize,
    per_address: u32,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    connections: HashMap<u64, Held>,
    by_address: HashMap<IpAddr, u32>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    pulse: Pulse,
    /// Nothing where the address is not limited.
    address: Option<IpAddr>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The address has as many as it may.
    Address {
        /// How many that is.
        limit: u32,
    },
    /// Everybody is busy.
    All,
}

/// The place of one connection; free again when dropped, or left.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
}

impl Places {
    /// As a server is told.
    pub(super) fn of(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            total: config.connections.total.max(1) as usize,
            per_address: config.connections.per_address,
            taken: Mutex::default(),
        })
    }

    /// A place for a connection with `client`, which `pulse` watches. An address that speaks for many has no limit of its own.
    pub(super) fn take(self: &Arc<Self>, client: Client, is_limited: bool, pulse: &Pulse) -> Result<Place, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let address = is_limited.then_some(client.address);
        if address.is_some_and(|address| taken.by_address.get(&address).is_some_and(|count| *count >= self.per_address)) {
            return Err(Full::Address { limit: self.per_address });
        }
        if taken.connections.len() >= self.total && !taken.make_room() {
            return Err(Full::All);
        }
        let id = taken.next;
        taken.next += 1;
        taken.connections.insert(id, Held { pulse: pulse.clone(), address });
        if let Some(address) = address {
            *taken.by_address.entry(address).or_default() += 1;
        }
        Ok(Place { places: Arc::clone(self), id })
    }
}

impl Taken {
    /// Ends the connections on which nothing has been asked for the longest time. Whether there were any.
    fn make_room(&mut self) -> bool {
        let waiting = self.connections.iter().filter_map(|(id, held)| Some((held.pulse.waits_since()?, *id)));
        let mut waiting: Vec<_> = waiting.collect();
        let enough = waiting.len().min(self.connections.len().div_ceil(GIVE_WAY));
        if enough == 0 {
            return false;
        }
        waiting.select_nth_unstable(enough - 1);
        for (_, id) in waiting.into_iter().take(enough) {
            if let Some(held) = self.leave(id) {
                held.pulse.give_up();
            }
        }
        true
    }

    fn leave(&mut self, id: u64) -> Option<Held> {
        let held = self.connections.remove(&id)?;
        if let Some(address) = held.address
            && let Some(count) = self.by_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
        Some(held)
    }
}

impl Place {
    /// Makes it free. The connection goes on as long as its answer does.
    pub(super) fn leave(&self) {
        self.places.taken.lock().unwrap_or_else(PoisonError::into_inner).leave(self.id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{room::Room, server::idle::Patience};

    fn places(total: usize, per_address: u32) -> Arc<Places> {
        Arc::new(Places { total, per_address, taken: Mutex::default() })
    }

    fn pulse() -> Pulse {
        let (head, idle, write) = (Duration::from_secs(60), Duration::from_secs(60), Duration::from_secs(60));
        Pulse::new(Patience { head, idle, write }, &Room::new(0))
    }

    fn client(last: u8) -> Client {
        Client::of([203, 0, 113, last].into())
    }

    #[test]
    fn an_address_has_so_many_and_others_have_theirs() {
        let places = places(10, 2);
        let held = [places.take(client(1), true, &pulse()).unwrap(), places.take(client(1), true, &pulse()).unwrap()];
        assert_eq!(places.take(client(1), true, &pulse()).unwrap_err(), Full::Address { limit: 2 });
        let other = places.take(client(2), true, &pulse()).unwrap();
        let neighbour = |address: &str| Client::of(address.parse().unwrap());
        let network = [
            places.take(neighbour("2001:db8::1"), true, &pulse()).unwrap(),
            places.take(neighbour("2001:db8::2"), true, &pulse()).unwrap(),
        ];
        assert!(places.take(neighbour("2001:db8::3"), true, &pulse()).is_err(), "a /64 is one customer's");
        let proxy: Vec<_> = (0..3).map(|_| places.take(client(9), false, &pulse()).unwrap()).collect();
        held[0].leave();
        drop(places.take(client(1), true, &pulse()).unwrap());
        drop((held, other, network, proxy));
        let taken = places.taken.lock().unwrap();
        assert!(taken.by_address.is_empty() && taken.connections.is_empty(), "{taken:?}");
    }

    #[tokio::test]
    async fn where_all_are_taken_those_that_wait_longest_give_way_and_no_answer_does() {
        let places = places(3, 10);
        let pulses = [pulse(), pulse(), pulse()];
        let _answering = pulses[0].answering();
        let held: Vec<_> = pulses.iter().map(|pulse| places.take(client(1), true, pulse).unwrap()).collect();
        let newest = pulse();
        let _fourth = places.take(client(2), true, &newest).unwrap();
        pulses[1].stops().await;
        assert_eq!((pulses[0].waits_since().is_some(), pulses[2].waits_since().is_some()), (false, true));
        let _busy = (pulses[2].answering(), newest.answering());
        assert_eq!(places.take(client(3), true, &pulse()).unwrap_err(), Full::All);
        drop(held);
    }
}
