//! What the operator still pays for today, so that nothing is offered that would be refused.
//!
//! Looked at again after a few seconds, for all who ask meanwhile. Whether a job is paid for is decided when it is taken on, under a lock; this
//! is only for those who must know before.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use clawpay_bindings::Call;
use clawpay_store::{Chain, Spent, SpentOnSigner, SubmittedTransactions};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    config::RelayOptions,
    error::{ApiError, RelayShare},
    node::{Fees, Node},
};

/// How long what was seen is good.
const FRESH: Duration = Duration::from_secs(2);
/// Longest that a request waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Less gas than any verb of the market takes by itself.
const LEAST_GAS: u64 = 50_000;
/// Gas that it takes, beside what is relayed, to check who signed it.
const GAS_TO_RELAY: u64 = 50_000;

/// Of the operator's day, what was last seen.
#[derive(Debug, Default)]
pub(crate) struct RelayFunds(Mutex<Seen>);

/// What was seen, and until when that is good.
#[derive(Debug, Default)]
struct Seen {
    good_until: Option<Instant>,
    left: Option<FundsLeft>,
}

/// What is left of the operator's day, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FundsLeft {
    /// For one more verb.
    any: U256,
    /// For one more registration.
    registrations: U256,
    /// What a transaction may cost beside its gas.
    data_fee: U256,
    /// What gas costs, wei each.
    gas_price: U256,
}

/// Who pays, how much, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayPurse<'a> {
    /// The operator's account and its limits.
    pub options: &'a RelayOptions,
    /// Where jobs are written down.
    pub notes: &'a SubmittedTransactions,
    /// What was last seen.
    pub funds: &'a RelayFunds,
}

impl RelayPurse<'_> {
    /// What is left, or was when database and node last said so; nothing before they have. Those who want to know at the same time wait for one
    /// asking.
    pub(crate) async fn left(&self, node: &Node, chain: &Chain) -> Option<FundsLeft> {
        let mut seen = self.funds.0.lock().await;
        if seen.good_until.is_some_and(|until| Instant::now() < until) {
            return seen.left;
        }
        match timeout(PATIENCE, self.look(node, chain)).await {
            Ok(Ok(left)) => seen.left = Some(left),
            Ok(Err(error)) => error.log(),
            Err(_) => ApiError::Overdue.log(),
        }
        seen.good_until = Some(Instant::now() + FRESH);
        seen.left
    }

    /// Whether one more job of `signer` is within its share of the day. What cannot be told now is decided when it is posted.
    pub(crate) async fn has_share(&self, signer: Address, is_registration: bool) -> bool {
        match timeout(PATIENCE, self.notes.spent_on(self.options.key.address(), signer)).await {
            Ok(Ok(spent)) => within_share(self.options, &spent, is_registration).is_ok(),
            Ok(Err(error)) => {
                ApiError::from(error).log();
                true
            }
            Err(_) => true,
        }
    }

    /// Lets the next one who asks look again.
    pub(crate) async fn forget(&self) {
        self.funds.0.lock().await.good_until = None;
    }

    async fn look(&self, node: &Node, chain: &Chain) -> Result<FundsLeft, ApiError> {
        let account = self.options.key.address();
        let asked = async {
            // Chains without a base fee may not know the question.
            let priority_fee = async { Ok(node.priority_fee().await) };
            tokio::try_join!(node.require_chain(chain.chain_id), node.head(), priority_fee, node.ether_balance(account))
        };
        let asked = async { Ok::<_, ApiError>(asked.await?) };
        let spent = async { Ok(self.notes.spent(account).await?) };
        let (((), head, priority_fee, ether), spent) = tokio::try_join!(asked, spent)?;
        let fees = match head.base_fee {
            Some(base_fee) => Fees::dynamic(base_fee, priority_fee?),
            None => node.legacy_fees().await?,
        };
        Ok(FundsLeft::of(self.options, spent, ether, fees.most()))
    }
}

impl FundsLeft {
    /// After `spent`, where the account has `ether`.
    fn of(options: &RelayOptions, spent: Spent, ether: U256, gas_price: U256) -> Self {
        let any = options.budget_per_day.saturating_sub(spent.wei).min(ether);
        let registrations = options.registrations_budget_per_day().saturating_sub(spent.for_registrations).min(any);
        Self { any, registrations, data_fee: spent.largest_data_fee, gas_price }
    }

    /// Whether one more `call` that uses so much gas is paid for.
    pub(crate) fn pay_for(&self, call: &Call, gas: u64) -> bool {
        let left = if matches!(call, Call::Register { .. }) { self.registrations } else { self.any };
        self.cost(gas) <= left
    }

    /// The most wei that it may cost to relay a call that uses so much gas.
    fn cost(&self, gas: u64) -> U256 {
        let gas = gas.saturating_add(GAS_TO_RELAY);
        U256::from(gas.saturating_add(gas / 4)).saturating_mul(self.gas_price).saturating_add(self.data_fee)
    }

    /// Whether no verb at all is paid for any more.
    pub(crate) fn are_used_up(&self) -> bool {
        self.cost(LEAST_GAS) > self.any
    }
}

/// Whether one more job is within what its signer may have relayed in a day.
pub(crate) fn within_share(options: &RelayOptions, spent: &SpentOnSigner, is_registration: bool) -> Result<(), ApiError> {
    let registrations = if is_registration { spent.registrations } else { 0 };
    for (used, limit, of) in [
        (spent.jobs, options.signer_per_day, RelayShare::Transactions),
        (registrations, options.signer_registrations_per_day, RelayShare::Registrations),
        (spent.reverts, options.signer_reverts_per_day, RelayShare::Reverts),
        // All of it may revert, if what was signed cannot all be paid for.
        (spent.reverts.saturating_add(spent.waiting), options.signer_reverts_per_day, RelayShare::Waiting),
    ] {
        if used >= u64::from(limit) {
            return Err(ApiError::RelayQuota { limit, of });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::signers::local::PrivateKeySigner;

    use super::*;

    fn left(spent: u64, for_registrations: u64, ether: u64) -> FundsLeft {
        let options =
            RelayOptions { budget_per_day: U256::from(4_000_000), ..RelayOptions::new(PrivateKeySigner::from_slice(&[1; 32]).unwrap()) };
        let spent =
            Spent { wei: U256::from(spent), for_registrations: U256::from(for_registrations), largest_data_fee: U256::from(10_000) };
        FundsLeft::of(&options, spent, U256::from(ether), U256::from(10))
    }

    #[test]
    fn what_is_left_is_the_least_of_budget_and_account() {
        let start = Call::Start { run: clawpay_domain::RunId(1) };
        let plenty = u64::MAX;
        // A quarter more than 269,200 and 50,000 is 399,000, at 10 wei each, and 10,000 for the data.
        assert!(left(0, 0, plenty).pay_for(&start, 269_200) && !left(0, 0, plenty).pay_for(&start, 269_201));
        assert!(left(2_740_000, 0, plenty).pay_for(&start, 50_000) && !left(2_740_000, 0, plenty).are_used_up());
        assert!(left(2_740_001, 0, plenty).are_used_up() && left(0, 0, 1_259_999).are_used_up() && !left(0, 0, 1_260_000).are_used_up());
    }

    #[test]
    fn registrations_leave_three_quarters_of_the_budget_to_others() {
        let (register, start) = (Call::Register { agent_uri: String::new() }, Call::Start { run: clawpay_domain::RunId(1) });
        assert!(left(0, 0, u64::MAX).pay_for(&register, 29_200) && !left(0, 0, u64::MAX).pay_for(&register, 29_201));
        let used_up = left(1_000_000, 1_000_000, u64::MAX);
        assert!(!used_up.pay_for(&register, 1) && used_up.pay_for(&start, 189_200) && !used_up.are_used_up());
    }
}
