//! From what a wallet wants to the call that does it: where verbs, rules and words meet.

use alloy::primitives::{Address, U256};
use clawpay_bindings::{Call, Contracts};
use clawpay_domain::{
    Agent, AgentId, NewRun, Parameters, Refusal, Run, RunId, Timestamp, Usdc,
    rules::{self, Action, Circumstances},
};

use super::{Facts, Intent, Payment, Warning};
use crate::text::IsoDate;

/// A call that the rules allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The call, with what it expects to find on chain.
    pub call: Call,
    /// What it takes from the signer.
    pub pays: Option<Payment>,
    /// What signing it does, in a sentence.
    pub sentence: String,
    /// From when on the rules will not allow it any more.
    pub until: Option<Timestamp>,
    /// What its signer may not have meant.
    pub warnings: Vec<Warning>,
}

impl Plan {
    fn new(call: Call, sentence: impl Into<String>) -> Self {
        Self { call, pays: None, sentence: sentence.into(), until: None, warnings: Vec::new() }
    }

    fn paying(self, amount: Usdc, spender: Address) -> Self {
        Self { pays: Some(Payment { amount, spender }), ..self }
    }

    fn until(self, until: Option<Timestamp>) -> Self {
        Self { until, ..self }
    }

    fn warning(mut self, warning: Option<Warning>) -> Self {
        self.warnings.extend(warning);
        self
    }
}

/// What the rules are asked with.
struct Asker<'a> {
    caller: Address,
    facts: &'a Facts,
    now: Timestamp,
    parameters: &'a Parameters,
}

/// Asks the rules whether `intent` is allowed at `now`, and if so by which call. What a call expects to find is what the index holds, so
/// that the chain refuses anything else.
pub(crate) fn plan(intent: &Intent, facts: &Facts, now: Timestamp, parameters: &Parameters, market: &Contracts) -> Result<Plan, Refusal> {
    let asker = Asker { caller: intent.wallet, facts, now, parameters };
    let due_at = IsoDate(now + parameters.escrow.submission_timeout);
    let review_by = IsoDate(now + parameters.escrow.review_period);
    let call = intent.call.clone();
    let mut plan = match &intent.call {
        Call::Create(run) => {
            let escrowed = asker.offer(run)?;
            Plan::new(call, format!("Signing writes down a run that pays {} USDC; funding it takes {escrowed} USDC.", run.reward))
                .until(Some(run.deadline))
        }
        Call::CreateAndFund(run) => {
            let escrowed = asker.offer(run)?;
            let (reward, deadline) = (run.reward, IsoDate(run.deadline));
            Plan::new(call, format!("Signing escrows {escrowed} USDC and opens a run that pays {reward} USDC, claimable until {deadline}."))
                .paying(escrowed, market.run_escrow)
                .until(Some(run.deadline))
        }
        Call::Fund { run: id } => {
            let run = asker.allow(*id, |_| Action::Fund)?;
            let (escrowed, deadline) = (run.terms.escrowed(), run.terms.deadline);
            Plan::new(call, format!("Signing escrows {escrowed} USDC and opens run {id}, claimable until {}.", IsoDate(deadline)))
                .paying(escrowed, market.run_escrow)
                .until(Some(deadline))
        }
        Call::Cancel { run: id } => {
            let refund = asker.allow(*id, |_| Action::Cancel)?.escrowed();
            Plan::new(call, format!("Signing withdraws run {id} and returns {refund} USDC to its poster."))
        }
        Call::Claim { run: id, agent, .. } => {
            let expected = |run: &Run| intent.expected.unwrap_or_else(|| run.terms_word());
            let run = asker.allow(*id, |run| Action::Claim { agent: *agent, expected_terms: expected(run) })?;
            let at_risk = parameters.stake.stake_at_risk;
            Plan::new(
                Call::Claim { run: *id, agent: *agent, expected_terms: run.terms_word() },
                format!("Signing commits {at_risk} USDC of agent {agent}'s stake and claims run {id}; deliver by {due_at}."),
            )
            .until(Some(run.terms.deadline))
        }
        Call::Start { run: id } => {
            let run = asker.allow(*id, |_| Action::Start)?;
            Plan::new(call, format!("Signing says that work on run {id} has begun.")).until(run.due_at)
        }
        Call::Submit { run: id, deliverable_uri } => {
            let deliverable_uri = deliverable_uri.clone().into_bytes().into();
            let run = asker.allow(*id, |_| Action::Submit { deliverable_uri })?;
            Plan::new(call, format!("Signing delivers run {id}; after {review_by} anyone can finalize it in place of a silent poster."))
                .until(run.due_at)
        }
        Call::RequestRevision { run: id, feedback, .. } => {
            let expected = |run: &Run| intent.expected_deadline(run.review_by);
            let bytes = feedback.clone().into_bytes().into();
            let run = asker.allow(*id, |run| Action::RequestRevision { expected_review_by: expected(run), feedback: bytes })?;
            Plan::new(
                Call::RequestRevision { run: *id, expected_review_by: expected(run), feedback: feedback.clone() },
                format!("Signing sends run {id} back to its agent, which has until {due_at} to deliver again."),
            )
            .until(run.review_by)
        }
        Call::Approve { run: id, .. } => {
            let expected = |run: &Run| intent.expected_deadline(run.review_by);
            let run = asker.allow(*id, |run| Action::Approve { expected_review_by: expected(run) })?;
            Plan::new(
                Call::Approve { run: *id, expected_review_by: expected(run) },
                format!("Signing accepts the work on run {id} and pays {} USDC to the wallet that claimed it.", run.terms.reward),
            )
        }
        Call::Reject { run: id, .. } => {
            let expected = |run: &Run| intent.expected_deadline(run.review_by.or(run.due_at));
            let run = asker.allow(*id, |run| Action::Reject { expected_deadline: expected(run) })?;
            Plan::new(
                Call::Reject { run: *id, expected_deadline: expected(run) },
                format!("Signing rejects run {id} and returns {} USDC to its poster.", run.escrowed()),
            )
            .until(run.review_by)
        }
        Call::Finalize { run: id } => {
            let reward = asker.allow(*id, |_| Action::Finalize)?.terms.reward;
            Plan::new(
                call,
                format!("Signing approves run {id} for its silent poster and pays {reward} USDC to the wallet that claimed it."),
            )
        }
        Call::Slash { run: id } => {
            let run = asker.allow(*id, |_| Action::Slash)?;
            let slashed = run.claim.map_or(Usdc::ZERO, |claim| claim.stake_at_risk);
            let refund = run.escrowed();
            Plan::new(call, format!("Signing returns {refund} USDC to the poster of run {id}, and {slashed} USDC of its agent's stake."))
        }
        Call::Register { .. } => Plan::new(call, "Signing registers a new agent that belongs to the signer."),
        Call::Stake { agent, amount } => {
            let Agent { owner, record, .. } = asker.agent(*agent)?;
            let is_foreign = *owner != Some(intent.wallet);
            if is_foreign && !intent.allow_foreign {
                return Err(Refusal::NotOwner { agent: *agent, caller: intent.wallet, owner: owner.unwrap_or_default() });
            }
            rules::stake(*amount, record.stake)?;
            let (stake, minimum) = (record.stake.saturating_add(*amount), parameters.stake.minimum_stake);
            Plan::new(call, format!("Signing deposits {amount} USDC as agent {agent}'s stake; only the agent's owner can withdraw it."))
                .paying(*amount, market.agent_stake)
                .warning(is_foreign.then(|| Warning::foreign_agent(*agent)))
                .warning((stake < minimum).then(|| Warning::below_minimum_stake(*agent, *amount, stake, minimum)))
        }
        Call::Unstake { agent, amount } => {
            rules::unstake(asker.agent(*agent)?, *amount, intent.wallet, now, &parameters.stake)?;
            Plan::new(call, format!("Signing withdraws {amount} USDC of agent {agent}'s stake to its owner."))
        }
        // Who else than its owner may do this to an agent, only the registry knows.
        Call::SetAgentUri { agent, .. } => {
            asker.agent(*agent)?;
            Plan::new(call, format!("Signing changes where agent {agent} is described."))
        }
        Call::SetMetadata { agent, key, .. } => {
            asker.agent(*agent)?;
            Plan::new(call, format!("Signing sets {key:?} in agent {agent}'s metadata."))
        }
        Call::SetAgentWallet { agent, new_wallet, consent } => {
            asker.agent(*agent)?;
            Plan::new(
                call,
                format!(
                    "Signing makes {new_wallet} agent {agent}'s wallet: it can claim runs for the agent, and is paid for those it claims."
                ),
            )
            .until(consent.deadline.try_into().ok().map(Timestamp))
        }
        Call::UnsetAgentWallet { agent } => {
            asker.agent(*agent)?;
            Plan::new(call, format!("Signing leaves agent {agent} without a wallet of its own; its owner acts for it."))
        }
        Call::PayCredit { recipient, .. } => {
            let amount = facts.credit.map_or_else(|| "what".to_owned(), |amount| format!("the {amount} USDC that"));
            Plan::new(call, format!("Signing sends {amount} the contract owes {recipient} to that account, and to no other."))
        }
        Call::ApproveUsdc { spender, amount } => Plan::new(call, format!("Signing lets {spender} take {amount} USDC.")),
    };
    plan.warnings.extend(Warning::of_call(&intent.call, facts));
    Ok(plan)
}

impl Intent {
    /// The deadline that the signer has looked at: by its word, or else `indexed`. A word that is no time is the time of no submission.
    fn expected_deadline(&self, indexed: Option<Timestamp>) -> Timestamp {
        let looked_at = |word: U256| Timestamp(word.try_into().unwrap_or(u64::MAX));
        self.expected.map_or_else(|| indexed.unwrap_or_default(), looked_at)
    }
}

impl<'a> Asker<'a> {
    /// What the escrow takes for an offer that may be written down.
    fn offer(&self, run: &NewRun) -> Result<Usdc, Refusal> {
        rules::create(run, self.now, &self.parameters.escrow)?;
        Ok(run.reward.saturating_add(rules::fee(run.reward, &self.parameters.escrow)))
    }

    fn agent(&self, id: AgentId) -> Result<&'a Agent, Refusal> {
        self.facts.agent.as_ref().map(|record| &record.agent).ok_or(Refusal::AgentNotFound { agent: id })
    }

    /// The run, if the action is allowed on it.
    fn allow(&self, id: RunId, action: impl FnOnce(&Run) -> Action) -> Result<&'a Run, Refusal> {
        let Self { caller, facts, now, parameters } = *self;
        let run = facts.run.as_ref().map(|record| &record.run).ok_or(Refusal::RunNotFound { run: id })?;
        let agent = facts.agent.as_ref().map(|record| &record.agent);
        let refusals = rules::refusals(run, &action(run), &Circumstances { caller, agent, now, parameters });
        refusals.into_iter().next().map_or(Ok(run), Err)
    }
}
