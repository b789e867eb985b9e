//! What happens: one run that is delivered and paid, and one whose agent lets a week pass and is slashed.

use alloy::{network::TransactionBuilder, providers::Provider, rpc::types::TransactionRequest, signers::local::PrivateKeySigner};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{Call, Revert};
use clawpay_cli::output::progress;
use clawpay_domain::{AgentId, Refusal, RunId, Usdc};
use clawpay_tests::{OPERATOR, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    cast::{Cast, POSTER_BEGINS_WITH, WORKER_BEGINS_WITH},
    expected::{FIRST_REWARD, SECOND_REWARD, STAKE, SUBMISSION_TIMEOUT},
    market::{Done, Market},
    movements::Purposes,
};

/// A story being told.
#[derive(Debug)]
pub(crate) struct Story<'a> {
    stack: &'a Stack,
    market: &'a Market,
    cast: &'a Cast,
    purposes: Purposes,
}

impl<'a> Story<'a> {
    /// Nothing has happened yet.
    pub(crate) fn new(stack: &'a Stack, market: &'a Market, cast: &'a Cast) -> Self {
        Self { stack, market, cast, purposes: Purposes::new() }
    }

    /// Tells all of it, and answers what each transaction was for.
    pub(crate) async fn tell(mut self) -> Result<Purposes> {
        let Cast { poster, builder, dawdler } = self.cast;
        self.hand_out(poster, POSTER_BEGINS_WITH).await?;
        self.hand_out(builder, WORKER_BEGINS_WITH).await?;
        self.hand_out(dawdler, WORKER_BEGINS_WITH).await?;
        let first_agent = self.register(builder, "register agent 1").await?;
        let second_agent = self.register(dawdler, "register agent 2").await?;
        self.stake(builder, first_agent, "stake for agent 1").await?;
        self.stake(dawdler, second_agent, "stake for agent 2").await?;

        let paid = self.post(FIRST_REWARD, "post run 1").await?;
        self.claim(builder, paid, first_agent, "claim run 1").await?;
        self.act(builder, paid, "submit", json!({ "deliverableURI": "ipfs://a-parser-with-tests" }), "submit run 1").await?;
        self.act(poster, paid, "approve", json!({}), "approve run 1").await?;

        let slashed = self.post(SECOND_REWARD, "post run 2").await?;
        self.claim(dawdler, slashed, second_agent, "claim run 2").await?;
        self.slash_too_early(slashed).await?;
        progress("  seven days pass");
        self.stack.warp(SUBMISSION_TIMEOUT).await?;
        self.act(poster, slashed, "slash", json!({}), "slash run 2").await?;
        Ok(self.purposes)
    }

    /// Test money, which on a real chain everybody brings along.
    async fn hand_out(&mut self, to: &PrivateKeySigner, amount: Usdc) -> Result<()> {
        let receipt = self.stack.actor(OPERATOR).await?.mint(to.address(), amount).await?;
        self.purposes.insert(receipt.transaction_hash, "test money");
        Ok(())
    }

    async fn register(&mut self, owner: &PrivateKeySigner, what_for: &'static str) -> Result<AgentId> {
        let body = json!({ "walletAddress": owner.address(), "agentURI": "ipfs://an-agent" });
        let done = self.perform(owner, "/api/agents/register", body, what_for).await?;
        done.answer["agent"]["id"].as_u64().map(AgentId).with_context(|| format!("no agent id in {}", done.answer))
    }

    async fn stake(&mut self, owner: &PrivateKeySigner, agent: AgentId, what_for: &'static str) -> Result<()> {
        let body = json!({ "walletAddress": owner.address(), "amount": STAKE });
        self.perform(owner, &format!("/api/agents/{agent}/stake"), body, what_for).await.map(drop)
    }

    async fn post(&mut self, reward: Usdc, what_for: &'static str) -> Result<RunId> {
        let poster = &self.cast.poster;
        let deadline = (OffsetDateTime::now_utc() + Duration::days(30)).format(&Rfc3339)?;
        let body = json!({
            "posterAddress": poster.address(), "reward": reward, "deadline": deadline, "ipfsHash": "ipfs://what-is-to-be-done"
        });
        let done = self.perform(poster, "/api/runs", body, what_for).await?;
        done.answer["run"]["bountyId"].as_u64().map(RunId).with_context(|| format!("no run id in {}", done.answer))
    }

    async fn claim(&mut self, owner: &PrivateKeySigner, run: RunId, agent: AgentId, what_for: &'static str) -> Result<()> {
        self.act(owner, run, "claim", json!({ "agentId": agent }), what_for).await
    }

    /// A slash before its time: the API refuses to prepare it, and the contract would refuse a poster who goes around the API.
    async fn slash_too_early(&self, run: RunId) -> Result<()> {
        progress(format_args!("  poster: slash run {run} at once: refused, as it must be"));
        let poster = self.cast.poster.address();
        let body = json!({ "walletAddress": poster });
        self.market.expect_refusal(&format!("/api/runs/{run}/slash"), &body, StatusCode::CONFLICT, "too_early").await?;

        let call = Call::Slash { run };
        let request = TransactionRequest::default()
            .with_from(poster)
            .with_to(call.contract(&self.stack.deployment.contracts))
            .with_input(call.calldata());
        let refusal = self.stack.provider().call(request).await.err().context("the contract lets the poster slash at once")?;
        let data = refusal.as_error_resp().and_then(|response| response.as_revert_data()).unwrap_or_default();
        ensure!(
            matches!(Revert::decode(&data), Revert::Refusal(Refusal::TooEarly { .. })),
            "the contract should find it too early to slash run {run}, but says: {refusal}"
        );
        Ok(())
    }

    /// Any verb on a run.
    async fn act(&mut self, who: &PrivateKeySigner, run: RunId, verb: &str, mut body: Value, what_for: &'static str) -> Result<()> {
        body["walletAddress"] = json!(who.address());
        self.perform(who, &format!("/api/runs/{run}/{verb}"), body, what_for).await.map(drop)
    }

    async fn perform(&mut self, who: &PrivateKeySigner, path: &str, body: Value, what_for: &'static str) -> Result<Done> {
        let done = self.market.perform(who, path, body).await.with_context(|| format!("cannot {what_for}"))?;
        let message = done.answer["message"].as_str().with_context(|| format!("no message in {}", done.answer))?;
        progress(format_args!("  {}: {what_for}: {message}", self.cast.name(who.address(), &self.stack.deployment.contracts)));
        self.purposes.extend(done.transactions.iter().map(|hash| (*hash, what_for)));
        Ok(done)
    }
}
