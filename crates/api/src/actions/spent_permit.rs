//! Why a permit does not pay.

use alloy::{
    primitives::{Bytes, Signature, U256},
    sol_types::SolStruct,
};
use clawpay_bindings::{Call, Permit, SignedPermit, TestUSDC};
use clawpay_domain::{AgentId, RunId, Timestamp};
use clawpay_store::Chain;

use super::{Intent, Payment, Preparer};
use crate::{error::ApiError, market::snapshot, text::IsoDate};

/// How many of an owner's earlier nonces a permit is looked for among.
const NONCES: usize = 32;

/// How many of the latest runs of a poster, or events of an agent, are looked through for what a permit may have paid for.
const LATEST: u32 = 50;

/// How many transactions are looked at for the permit itself.
const LOOKED_AT: usize = 8;

/// What a permit paid for.
enum Use {
    Run(RunId),
    Stake(AgentId),
}

impl Preparer<'_> {
    /// Why the token does not take `permit` for `payment` at `now`. Fails when node or database do not answer.
    pub(super) async fn permit_refusal(
        &self,
        intent: &Intent,
        permit: &SignedPermit,
        payment: Payment,
        chain: &Chain,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let owner = intent.wallet;
        let used = self.use_of(intent, permit, payment).await?;
        if let Some(used) = used {
            return Ok(match used {
                Use::Run(run) => format!("this permit was used already, by the funding of run {run}; look there before you pay again"),
                Use::Stake(agent) => {
                    format!("this permit was used already, by a deposit for agent {agent}; look there before you pay again")
                }
            });
        }
        if permit.deadline < U256::from(now.0) {
            let until = Timestamp(permit.deadline.saturating_to());
            return Ok(format!("it was good until {}, and it is {}; sign a new one", IsoDate(until), IsoDate(now)));
        }
        let domain = self.token_domain.get(self.node, chain).await?;
        let next = self.node.view(chain.usdc, &TestUSDC::noncesCall { owner }).await?;
        let (Some(domain), Some(next)) = (domain, next) else { return Ok("the token takes no permits".to_owned()) };
        let signs = |nonce: U256| {
            let message = Permit { owner, spender: payment.spender, value: payment.amount.0, nonce, deadline: permit.deadline };
            let hash = message.eip712_signing_hash(&domain);
            let signature = Signature::from_raw(&permit.signature).ok();
            signature.and_then(|signature| signature.recover_address_from_prehash(&hash).ok()) == Some(owner)
        };
        let earlier = std::iter::successors(next.checked_sub(U256::from(1)), |nonce| nonce.checked_sub(U256::from(1)));
        Ok(if earlier.take(NONCES).any(signs) {
            "this permit was used already; look at what you have paid for before you sign a new one".to_owned()
        } else {
            let Payment { amount, spender } = payment;
            format!(
                "{owner} did not sign it for {amount} USDC, {spender} and the token's nonce {next}; sign the typed data of a new answer"
            )
        })
    }

    /// What was paid with this very permit, as far as the index tells: its signature is part of the transaction that used it.
    async fn use_of(&self, intent: &Intent, permit: &SignedPermit, payment: Payment) -> Result<Option<Use>, ApiError> {
        let mut snapshot = snapshot(self.reader).await?;
        let mut candidates = Vec::new();
        if let Call::Stake { agent, .. } = intent.call {
            let events = snapshot.latest_events(agent, LATEST).await?;
            let deposits = events.into_iter().filter(|event| event.name.as_deref() == Some("Staked"));
            candidates.extend(deposits.map(|event| (event.tx_hash, Use::Stake(agent))));
        } else {
            let runs = snapshot.latest_runs(intent.wallet, LATEST).await?;
            let paid =
                runs.into_iter().map(|record| record.run).filter(|run| run.funded_at.is_some() && run.terms.escrowed() == payment.amount);
            for run in paid.take(LOOKED_AT) {
                let events = snapshot.run_events(run.id).await?;
                let funding = events.into_iter().find(|event| event.name.as_deref() == Some("RunFunded"));
                candidates.extend(funding.map(|event| (event.tx_hash, Use::Run(run.id))));
            }
        }
        candidates.truncate(LOOKED_AT);
        drop(snapshot);
        for (hash, used) in candidates {
            let transaction = self.node.transaction(hash).await?;
            if transaction.is_some_and(|transaction| holds(&transaction.input, &permit.signature)) {
                return Ok(Some(used));
            }
        }
        Ok(None)
    }
}

/// Whether a transaction's input carries this signature, whatever its envelope.
fn holds(input: &Bytes, signature: &Bytes) -> bool {
    signature.len() >= 64 && input.windows(signature.len()).any(|window| window == signature.as_ref())
}
