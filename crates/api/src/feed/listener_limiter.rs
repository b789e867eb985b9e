//! How many may listen at once.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{client::Client, config::EventOptions, error::ApiError};

/// Who is listening.
#[derive(Clone, Debug)]
pub(crate) struct ListenerLimiter {
    taken: Arc<Mutex<Taken>>,
    options: EventOptions,
}

#[derive(Debug, Default)]
struct Taken {
    by_address: HashMap<IpAddr, u32>,
    all: u32,
}

/// One listener's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct ListenerPermit {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
}

/// Listeners of one address, unless the operator says otherwise.
const PER_ADDRESS: u32 = 100;

impl ListenerLimiter {
    pub(crate) fn new(options: EventOptions) -> Self {
        Self { taken: Arc::default(), options }
    }

    /// A place for `client`. One that is not limited by its address speaks for many, and is limited only if a number was set.
    pub(crate) fn take(&self, client: Client, is_limited: bool) -> Result<ListenerPermit, ApiError> {
        let address = client.address;
        let per_address = self.options.per_address.unwrap_or(if is_limited { PER_ADDRESS } else { u32::MAX });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        if of_address >= per_address || taken.all >= self.options.total {
            return Err(ApiError::TooManyListeners { limit: per_address.min(self.options.total) });
        }
        taken.all += 1;
        taken.by_address.insert(address, of_address + 1);
        Ok(ListenerPermit { taken: Arc::clone(&self.taken), address })
    }
}

impl Drop for ListenerPermit {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn listeners(per_address: Option<u32>, total: u32) -> ListenerLimiter {
        ListenerLimiter::new(EventOptions { per_address, total, ..EventOptions::default() })
    }

    #[test]
    fn a_place_is_free_again_when_its_listener_goes() {
        let (one, other) = (Client::of([203, 0, 113, 1].into()), Client::of([203, 0, 113, 2].into()));
        let listeners = listeners(Some(2), 3);
        let held = (listeners.take(one, true).unwrap(), listeners.take(one, true).unwrap());
        assert!(matches!(listeners.take(one, true), Err(ApiError::TooManyListeners { limit: 2 })));
        let third = listeners.take(other, true).unwrap();
        assert!(listeners.take(other, true).is_err(), "all listeners are taken");
        drop(third);
        drop(held);
        assert!(listeners.taken.lock().unwrap().by_address.is_empty(), "nobody is remembered");
        assert!(listeners.take(one, true).is_ok());
    }

    #[test]
    fn a_proxy_on_this_machine_speaks_for_many() {
        let listeners = listeners(None, 1_000);
        let held: Vec<_> = (0..500).map(|_| listeners.take(Client::of(Ipv4Addr::LOCALHOST.into()), false).unwrap()).collect();
        assert_eq!(held.len(), 500);
        let stranger = |last: u64| Client::of(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(last)).into());
        let held: Vec<_> = (0..PER_ADDRESS).map(|last| listeners.take(stranger(last.into()), true).unwrap()).collect();
        assert!(listeners.take(stranger(u64::MAX), true).is_err(), "a /64 is one customer's");
        drop(held);
    }
}
