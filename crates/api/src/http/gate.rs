//! How many requests one client may make, counted.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use axum::http::HeaderValue;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

use crate::{client::Client, config::RateLimit, tally::Tally};

/// How often addresses are forgotten that have all of their burst again.
const FORGETTING: Duration = Duration::from_secs(10);

/// Counts requests by address.
#[derive(Debug)]
pub(crate) struct Gate {
    rate: RateLimit,
    pub(super) policy: HeaderValue,
    /// What was refused.
    pub(super) refusals: Tally,
    clock: DefaultClock,
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>,
}

impl Gate {
    /// With no address counted yet; nothing where there is no limit.
    pub(crate) fn new(rate: RateLimit) -> Option<Self> {
        let per_second = NonZeroU32::new(rate.per_second)?;
        let burst = NonZeroU32::new(rate.burst).unwrap_or(per_second);
        let quota = Quota::per_second(per_second).allow_burst(burst);
        // Of the draft's fields: so many requests in so many seconds.
        let policy = format!("\"address\";q={burst};w={}", burst.get().div_ceil(per_second.get()));
        Some(Self {
            rate,
            policy: HeaderValue::try_from(policy).ok()?,
            refusals: Tally::default(),
            clock: DefaultClock::default(),
            limiter: RateLimiter::dashmap(quota).with_middleware(),
        })
    }

    /// Takes one request of `client` into account: how many more it may make at once, or how long it has to wait.
    pub(crate) fn pass(&self, client: Client) -> Result<u32, Duration> {
        match self.limiter.check_key(&client.address) {
            Ok(snapshot) => Ok(snapshot.remaining_burst_capacity()),
            Err(refusal) => Err(refusal.wait_time_from(self.clock.now())),
        }
    }

    /// Seconds until an address with so many requests left has all of them again.
    pub(super) fn until_full(&self, remaining: u32) -> u32 {
        self.rate.burst.saturating_sub(remaining).div_ceil(self.rate.per_second.max(1))
    }

    /// Keeps memory to the addresses of the last moments, forever.
    pub(crate) async fn forget(&self) {
        loop {
            tokio::time::sleep(FORGETTING).await;
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(per_second: u32, burst: u32) -> Gate {
        Gate::new(RateLimit { per_second, burst, includes_loopback: true }).unwrap()
    }

    #[test]
    fn a_burst_is_let_through_and_the_next_request_waits() {
        let gate = gate(1, 3);
        let address = Client::of([192, 0, 2, 1].into());
        assert_eq!((gate.pass(address), gate.pass(address), gate.pass(address)), (Ok(2), Ok(1), Ok(0)));
        let wait = gate.pass(address).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(gate.pass(Client::of([192, 0, 2, 2].into())), Ok(2));
        assert_eq!((gate.until_full(0), gate.until_full(3)), (3, 0));
        assert_eq!(gate.policy, "\"address\";q=3;w=3");
    }

    #[test]
    fn neighbours_in_one_network_share_its_limit() {
        let gate = gate(1, 2);
        let pass = |address: &str| gate.pass(Client::of(address.parse().unwrap())).ok();
        assert_eq!((pass("2001:db8::1"), pass("2001:db8::2"), pass("2001:db8::3")), (Some(1), Some(0), None));
        assert_eq!(pass("2001:db8:0:1::1"), Some(1));
        assert_eq!((pass("::ffff:192.0.2.1"), pass("192.0.2.1"), pass("192.0.2.1")), (Some(1), Some(0), None));
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert!(Gate::new(RateLimit { per_second: 0, burst: 5, includes_loopback: true }).is_none());
    }
}
