//! Every verb, prepared by the API, signed by a wallet, confirmed by the API.

use alloy::primitives::U256;
use anyhow::Result;
use clawpay_domain::{Seconds, Usdc};
use serde_json::{Value, json};

use super::served::{Served, account, signer, with};

const POSTER: u32 = 1;
const WORKER: u32 = 2;

/// The body of `POST /api/runs`, claimable for 30 days.
async fn offer(served: &Served) -> Result<Value> {
    let deadline = (served.stack.now().await? + Seconds::days(30)).0;
    let deadline =
        time::OffsetDateTime::from_unix_timestamp(deadline.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?;
    Ok(json!({ "posterAddress": account(POSTER), "reward": "100000000", "deadline": deadline, "ipfsHash": "ipfs://QmContent" }))
}

/// A run's path, from the answer that created it.
fn path_of(created: &Value, verb: &str) -> String {
    format!("/api/runs/{}/{verb}", created["run"]["bountyId"])
}

/// Registers an agent of [`WORKER`] and stakes 20 USDC; its id.
async fn agent(served: &Served) -> Result<u64> {
    served.stack.mint(account(WORKER), Usdc::whole(20)).await?;
    let body = json!({ "walletAddress": account(WORKER), "agentURI": "https://agent.example/card.json" });
    let registered = served.act(WORKER, "/api/agents/register", &body).await?;
    assert_eq!(registered["message"], "Agent registered successfully.");
    assert_eq!(registered["agent"]["status"], "UNVERIFIED");
    let id = registered["agent"]["id"].as_u64().unwrap();

    let body = json!({ "walletAddress": account(WORKER), "amount": "20000000" });
    let staked = served.act(WORKER, &format!("/api/agents/{id}/stake"), &body).await?;
    assert_eq!(staked["message"], "Stake deposited successfully.");
    assert_eq!(staked["agent"], json!({ "id": id, "status": "PROVISIONAL", "stakedAmount": "20000000", "hasMinStake": true }));
    Ok(id)
}

#[tokio::test]
async fn a_run_is_drafted_funded_claimed_revised_and_paid_through_the_api() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mint(account(POSTER), Usdc::whole(105)).await?;
    let id = agent(&served).await?;

    let draft = with(&offer(&served).await?, "draft", json!(true));
    let created = served.act(POSTER, "/api/runs", &draft).await?;
    assert!(created["message"].as_str().unwrap().starts_with("Run created successfully. It is a draft: "), "{created:#}");
    assert_eq!(created["run"]["state"], "DRAFT");
    assert_eq!(created["run"]["bountyId"], 1);

    let funded = served.act(POSTER, &path_of(&created, "fund"), &signer(POSTER)).await?;
    assert_eq!((&funded["message"], &funded["run"]["state"]), (&json!("Run funded successfully."), &json!("OPEN")));

    let claim = with(&signer(WORKER), "agentId", json!(id));
    let prepared = served.prepare(&path_of(&created, "claim"), &claim).await?;
    let message = prepared["message"].as_str().unwrap();
    assert!(message.starts_with("Signing commits 10 USDC of agent 1's stake and claims run 1; deliver by 20"), "{message}");
    assert_eq!((&prepared["run"]["state"], &prepared["agent"]["id"]), (&json!("OPEN"), &json!(1)));
    assert_eq!(prepared["steps"].as_array().unwrap().len(), 1);
    let claimed = served.act(WORKER, &path_of(&created, "claim"), &claim).await?;
    assert_eq!((&claimed["message"], &claimed["run"]["state"]), (&json!("Run claimed successfully."), &json!("CLAIMED")));
    assert_eq!((&claimed["run"]["stake"], &claimed["run"]["claimedBy"]), (&json!("10000000"), &json!(1)));
    assert_eq!(claimed["agent"]["id"], 1);

    let started = served.act(WORKER, &path_of(&created, "start"), &signer(WORKER)).await?;
    assert_eq!((&started["message"], &started["run"]["state"]), (&json!("Run started successfully."), &json!("IN_PROGRESS")));

    let submit = with(&signer(WORKER), "deliverableURI", json!("ipfs://QmFirst"));
    let submitted = served.act(WORKER, &path_of(&created, "submit"), &submit).await?;
    assert_eq!((&submitted["message"], &submitted["run"]["state"]), (&json!("Work submitted successfully."), &json!("SUBMITTED")));
    assert_eq!(submitted["run"]["deliverableHash"], "ipfs://QmFirst");

    let revise = with(&signer(POSTER), "feedback", json!("Please add tests for edge cases."));
    let revised = served.act(POSTER, &path_of(&created, "request-revision"), &revise).await?;
    assert_eq!(revised["message"], "Revision requested successfully.");
    assert_eq!((&revised["run"]["state"], &revised["run"]["revisions"]), (&json!("REVISION_REQUESTED"), &json!(1)));

    let submit = with(&signer(WORKER), "deliverableURI", json!("ipfs://QmSecond"));
    served.act(WORKER, &path_of(&created, "submit"), &submit).await?;
    let approved = served.act(POSTER, &path_of(&created, "approve"), &signer(POSTER)).await?;
    assert_eq!((&approved["message"], &approved["run"]["state"]), (&json!("Run approved successfully."), &json!("APPROVED")));
    assert_eq!(approved["run"]["deliverableHash"], "ipfs://QmSecond");

    assert_eq!(served.stack.actor(POSTER).await?.balance().await?, Usdc::ZERO);
    assert_eq!(served.stack.actor(WORKER).await?.balance().await?, Usdc::whole(100));

    let body = json!({ "walletAddress": account(WORKER), "amount": "5000000" });
    let unstaked = served.act(WORKER, &format!("/api/agents/{id}/unstake"), &body).await?;
    assert_eq!((&unstaked["message"], &unstaked["agent"]["stakedAmount"]), (&json!("Stake withdrawn successfully."), &json!("15000000")));
    assert_eq!(served.stack.actor(WORKER).await?.balance().await?, Usdc::whole(105));

    let timeline = served.read("/api/runs/1/events").await?;
    let names: Vec<_> = timeline["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["RunCreated", "RunFunded", "RunClaimed", "RunStarted", "RunSubmitted", "RevisionRequested", "RunSubmitted", "RunApproved"]
    );
    Ok(())
}

#[tokio::test]
async fn a_run_is_created_and_funded_in_one_call_and_cancelled() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mint(account(POSTER), Usdc::whole(105)).await?;
    let offer = with(&offer(&served).await?, "maxRevisions", json!(0));

    let prepared = served.prepare("/api/runs", &offer).await?;
    let steps = prepared["steps"].as_array().unwrap();
    assert_eq!((&steps[0]["id"], &steps[1]["id"]), (&json!("allowance"), &json!("create-and-fund")));
    let nonce = |step: &Value| U256::from_str_radix(&step["transaction"]["nonce"].as_str().unwrap()[2..], 16).unwrap();
    assert_eq!(nonce(&steps[1]), nonce(&steps[0]) + U256::from(1));
    let data = steps[0]["transaction"]["data"].as_str().unwrap();
    assert!(data.ends_with(&format!("{:064x}", 105_000_000)), "the allowance is exact: {data}");

    let created = served.act(POSTER, "/api/runs", &offer).await?;
    assert_eq!((&created["message"], &created["run"]["state"]), (&json!("Run created and funded successfully."), &json!("OPEN")));
    assert_eq!((&created["run"]["maxRevisions"], &created["run"]["fee"]), (&json!(0), &json!("5000000")));
    let cancelled = served.act(POSTER, &path_of(&created, "cancel"), &signer(POSTER)).await?;
    assert_eq!((&cancelled["message"], &cancelled["run"]["state"]), (&json!("Run cancelled successfully."), &json!("CANCELLED")));
    assert_eq!(served.stack.actor(POSTER).await?.balance().await?, Usdc::whole(105));
    Ok(())
}

#[tokio::test]
async fn an_allowance_that_is_there_is_not_asked_for_again() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mint(account(POSTER), Usdc::whole(105)).await?;
    let allowance = clawpay_bindings::Call::ApproveUsdc { spender: served.stack.deployment.contracts.run_escrow, amount: Usdc::whole(105) };
    served.stack.actor(POSTER).await?.perform(&allowance).await?;
    served.settle().await?;
    let prepared = served.prepare("/api/runs", &offer(&served).await?).await?;
    assert_eq!(prepared["steps"].as_array().unwrap().len(), 1);
    assert_eq!(prepared["steps"][0]["id"], "create-and-fund");
    Ok(())
}

#[tokio::test]
async fn work_is_rejected_finalized_and_slashed_through_the_api() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(POSTER, Usdc::whole(1_000)).await?;
    let (worker, agent) = served.stack.staked_agent(WORKER).await?;
    let mut offer = served.stack.offer(Usdc::whole(100)).await?;
    offer.max_revisions = 0;

    let rejected = poster.post(offer.clone()).await?;
    worker.claim(rejected, agent).await?;
    worker.submit(rejected, "ipfs://poor").await?;
    served.settle().await?;
    let answer = served.act(POSTER, &format!("/api/runs/{rejected}/reject"), &signer(POSTER)).await?;
    assert_eq!((&answer["message"], &answer["run"]["state"]), (&json!("Run rejected successfully."), &json!("REJECTED")));

    let silent = poster.post(offer.clone()).await?;
    worker.claim(silent, agent).await?;
    worker.submit(silent, "ipfs://good").await?;
    let late = poster.post(offer).await?;
    worker.claim(late, agent).await?;
    served.stack.warp(Seconds::days(7)).await?;
    served.settle().await?;

    assert_eq!(served.read(&format!("/api/runs/{silent}")).await?["finalizable"], true);
    let answer = served.act(3, &format!("/api/runs/{silent}/finalize"), &signer(3)).await?;
    assert_eq!((&answer["message"], &answer["run"]["state"]), (&json!("Run finalized successfully."), &json!("APPROVED")));
    assert_eq!(answer["run"]["finalizedBySilence"], true);

    assert_eq!(served.read(&format!("/api/runs/{late}")).await?["slashable"], true);
    let answer = served.act(POSTER, &format!("/api/runs/{late}/slash"), &signer(POSTER)).await?;
    assert_eq!((&answer["message"], &answer["run"]["state"]), (&json!("Run slashed successfully."), &json!("SLASHED")));
    assert_eq!((&answer["agent"]["status"], &answer["agent"]["stakedAmount"]), (&json!("FROZEN"), &json!("10000000")));

    let stake = served.read(&format!("/api/agents/{agent}/stake")).await?;
    assert_eq!((&stake["owedAmount"], &stake["canClaimRuns"]), (&json!("10000000"), &json!(false)));
    assert_eq!(stake["slashHistory"][0]["runId"], late.0);
    let record = served.read(&format!("/api/posters/{}", account(POSTER))).await?;
    for (name, count) in
        [("created", 3), ("funded", 3), ("approved", 0), ("finalized", 1), ("rejected", 1), ("slashed", 1), ("cancelled", 0)]
    {
        assert_eq!(record[name], count, "{name}");
    }
    assert_eq!((&record["paid"], &record["averageRevisions"]), (&json!("100000000"), &json!(0)));
    Ok(())
}
