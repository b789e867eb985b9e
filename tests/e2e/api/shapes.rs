//! Answers in the shapes of the market's reference: every field there, of its type, with the meaning it has there.

use alloy::primitives::Address;
use anyhow::Result;
use clawpay_domain::{Seconds, Usdc};
use serde_json::{Value, json};

use super::served::{Served, account};

/// Fails unless `value` has each of these members, of that type. More members are fine.
fn require_shape(value: &Value, members: &[(&str, &str)]) {
    for (name, kind) in members {
        let member = value.get(name).unwrap_or_else(|| panic!("{name} is missing in {value:#}"));
        let is_nullable = kind.ends_with('?');
        let matches = match kind.trim_end_matches('?') {
            "id" => member.is_u64(),
            "number" => member.is_u64(),
            "bool" => member.is_boolean(),
            "text" => member.is_string(),
            "amount" => member.as_str().is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())),
            "date" => member.as_str().is_some_and(is_iso_date),
            "address" => member.as_str().is_some_and(|text| Address::parse_checksummed(text, None).is_ok()),
            "hash" => member.as_str().is_some_and(|text| text.len() == 66),
            "object" => member.is_object(),
            "list" => member.is_array(),
            other => panic!("no such kind: {other}"),
        };
        assert!(matches || is_nullable && member.is_null(), "{name} is no {kind} but {member}");
    }
}

/// `2024-01-20T12:00:00.000Z`.
fn is_iso_date(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z";
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(|(b, f)| if f == b'0' { b.is_ascii_digit() } else { b == f })
}

const LISTED_RUN: [(&str, &str); 8] = [
    ("bountyId", "id"),
    ("posterAddress", "address"),
    ("ipfsHash", "text"),
    ("reward", "amount"),
    ("deadline", "date"),
    ("state", "text"),
    ("claimedBy", "id?"),
    ("createdAt", "date"),
];

const RUN: [(&str, &str); 13] = [
    ("bountyId", "id"),
    ("posterAddress", "address"),
    ("ipfsHash", "text"),
    ("reward", "amount"),
    ("deadline", "date"),
    ("state", "text"),
    ("claimedBy", "id?"),
    ("claimedByWallet", "address?"),
    ("stake", "amount?"),
    ("deliverableHash", "text?"),
    ("claimedAt", "date?"),
    ("submittedAt", "date?"),
    ("createdAt", "date"),
];

const RUN_HISTORY: [(&str, &str); 18] = [
    ("termsWord", "hash?"),
    ("progressWord", "hash?"),
    ("fee", "amount"),
    ("maxRevisions", "number"),
    ("revisions", "number"),
    ("feedback", "text?"),
    ("dueAt", "date?"),
    ("reviewBy", "date?"),
    ("fundedAt", "date?"),
    ("settledAt", "date?"),
    ("finalizedBySilence", "bool"),
    ("claimable", "bool"),
    ("slashable", "bool"),
    ("finalizable", "bool"),
    ("txHash", "hash"),
    ("updatedBlock", "number"),
    ("finality", "text"),
    ("inconsistency", "text?"),
];

#[tokio::test]
async fn runs_have_the_shapes_of_the_reference() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = served.stack.staked_agent(2).await?;
    let offer = served.stack.offer(Usdc::whole(100)).await?;
    let open = poster.post(offer.clone()).await?;
    let claimed = poster.post(offer.clone()).await?;
    worker.claim(claimed, agent).await?;
    let submitted = poster.post(offer).await?;
    worker.claim(submitted, agent).await?;
    worker.submit(submitted, "ipfs://QmWork").await?;
    served.settle().await?;

    let list = served.read("/api/runs?page=1&limit=20&state=OPEN&minReward=100").await?;
    assert_eq!(list["pagination"], json!({ "page": 1, "limit": 20, "total": 1, "totalPages": 1, "next": null, "previous": null }));
    let run = &list["runs"][0];
    require_shape(run, &LISTED_RUN);
    require_shape(run, &RUN_HISTORY);
    assert_eq!((&run["bountyId"], &run["reward"], &run["claimedBy"]), (&json!(open.0), &json!("100000000"), &Value::Null));

    let run = served.read(&format!("/api/runs/{open}")).await?;
    require_shape(&run, &RUN);
    for name in ["claimedBy", "claimedByWallet", "stake", "deliverableHash", "claimedAt", "submittedAt"] {
        assert_eq!(run[name], Value::Null, "{name}");
    }
    require_shape(&run["poster"], &[("address", "address"), ("created", "number"), ("paid", "amount")]);
    assert_eq!((&run["claimable"], &run["ipfsHash"]), (&json!(true), &json!("ipfs://content")));

    let run = served.read(&format!("/api/runs/{claimed}")).await?;
    require_shape(&run, &RUN);
    assert_eq!((&run["state"], &run["claimedBy"], &run["stake"]), (&json!("CLAIMED"), &json!(agent.0), &json!("10000000")));
    assert_eq!(run["claimedByWallet"], account(2).to_checksum(None));
    assert_eq!((&run["deliverableHash"], &run["submittedAt"]), (&Value::Null, &Value::Null));

    let run = served.read(&format!("/api/runs/{submitted}")).await?;
    require_shape(&run, &RUN);
    assert_eq!((&run["deliverableHash"], &run["dueAt"]), (&json!("ipfs://QmWork"), &Value::Null));
    require_shape(&run, &[("reviewBy", "date"), ("submittedAt", "date"), ("claimedAt", "date")]);
    Ok(())
}

#[tokio::test]
async fn eligibility_and_claims_have_the_shapes_of_the_reference() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    let poor = served.stack.actor(3).await?.register("ipfs://poor").await?;
    let run = poster.post(served.stack.offer(Usdc::whole(100)).await?).await?;
    served.settle().await?;

    let path = format!("/api/runs/{run}/claim-eligibility");
    let yes = served.read(&format!("{path}?agentId={agent}")).await?;
    assert_eq!(
        (&yes["eligible"], &yes["reasons"], &yes["reasonCodes"], &yes["agent"], &yes["run"]),
        (
            &json!(true),
            &json!([]),
            &json!([]),
            &json!({ "id": agent.0, "status": "PROVISIONAL", "stakedAmount": "20000000", "hasMinStake": true }),
            &json!({ "id": run.0, "state": "OPEN", "reward": "100000000" }),
        )
    );
    require_shape(&yes["poster"], &[("address", "address"), ("funded", "number")]);

    let no = served.read(&format!("{path}?agentId={poor}")).await?;
    assert_eq!(
        (&no["eligible"], &no["agent"]["status"], &no["agent"]["hasMinStake"]),
        (&json!(false), &json!("UNVERIFIED"), &json!(false))
    );
    let (reasons, codes) = (no["reasons"].as_array().unwrap(), no["reasonCodes"].as_array().unwrap());
    assert_eq!(codes[0], "AGENT_UNVERIFIED");
    assert_eq!(reasons.len(), codes.len());
    assert!(reasons.iter().all(|reason| reason.as_str().is_some_and(|text| text.contains(' '))), "{reasons:?}");

    let claim = json!({ "agentId": agent.0, "walletAddress": account(2) });
    let claimed = served.act(2, &format!("/api/runs/{run}/claim"), &claim).await?;
    assert_eq!((&claimed["success"], &claimed["message"]), (&json!(true), &json!("Run claimed successfully.")));
    require_shape(&claimed["run"], &RUN);
    require_shape(&claimed["agent"], &[("id", "id"), ("status", "text"), ("stakedAmount", "amount")]);
    assert_eq!(claimed["status"], "done", "a done claim is not waiting for anything");

    let after = served.read(&format!("{path}?agentId={agent}")).await?;
    assert_eq!((&after["eligible"], &after["reasonCodes"]), (&json!(false), &json!(["WRONG_STATE"])));
    Ok(())
}

#[tokio::test]
async fn agents_and_their_stakes_have_their_shapes() -> Result<()> {
    let served = Served::start().await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    served.settle().await?;

    let shape = [
        ("id", "id"),
        ("status", "text"),
        ("stakedAmount", "amount"),
        ("hasMinStake", "bool"),
        ("owner", "address?"),
        ("wallet", "address?"),
        ("agentURI", "text"),
        ("registeredAt", "date?"),
        ("canClaimRuns", "bool"),
        ("reputation", "object"),
    ];
    let list = served.read("/api/agents").await?;
    require_shape(&list["agents"][0], &shape);
    assert_eq!(list["pagination"], json!({ "page": 1, "limit": 20, "total": 1, "totalPages": 1, "next": null, "previous": null }));
    let one = served.read(&format!("/api/agents/{agent}")).await?;
    require_shape(&one, &shape);
    assert_eq!(one["owner"], account(2).to_checksum(None));
    assert_eq!((&one["agentURI"], &one["reputation"]["score"]), (&json!("ipfs://agent"), &json!(50)));
    assert_eq!(served.read(&format!("/api/agents?account={}", account(2))).await?["pagination"]["total"], 1);
    assert_eq!(served.read(&format!("/api/agents?account={}", account(3))).await?["pagination"]["total"], 0);

    let stake = served.read(&format!("/api/agents/{agent}/stake")).await?;
    require_shape(&stake, &[("stakedAt", "date?")]);
    let mut stake = stake;
    stake.as_object_mut().unwrap().remove("stakedAt");
    assert_eq!(
        stake,
        json!({
            "agentId": agent.0, "status": "PROVISIONAL", "isStaked": true, "stakedAmount": "20000000", "committedAmount": "0",
            "freeAmount": "20000000", "owedAmount": "0", "withdrawableAmount": "20000000", "minimumStake": "20000000",
            "canClaimRuns": true, "slashHistory": [],
        })
    );
    Ok(())
}

#[tokio::test]
async fn an_empty_market_answers_too() -> Result<()> {
    let served = Served::start().await?;
    let runs = served.read("/api/runs").await?;
    assert_eq!(
        runs,
        json!({ "runs": [], "pagination": { "page": 1, "limit": 20, "total": 0, "totalPages": 0, "next": null, "previous": null } })
    );
    assert_eq!(served.read("/api/agents").await?["agents"], json!([]));

    let config = served.read("/api/config").await?;
    let contracts = served.stack.deployment.contracts;
    assert_eq!(config["chainId"], 31337);
    assert_eq!(
        config["contracts"],
        json!({
            "usdc": contracts.usdc.to_checksum(None), "agentRegistry": contracts.agent_registry.to_checksum(None),
            "agentStake": contracts.agent_stake.to_checksum(None), "runEscrow": contracts.run_escrow.to_checksum(None),
            "forwarder": contracts.forwarder.to_checksum(None),
        })
    );
    assert_eq!(
        config["parameters"],
        json!({
            "feeBps": 500, "minimumReward": "1000000", "submissionTimeout": 604_800, "reviewPeriod": 604_800, "maxRevisions": 3,
            "maxDeadlineAhead": 31_536_000, "minimumStake": "20000000", "stakeAtRisk": "10000000", "bannedAfterSlashes": 3,
            "establishedAfter": 2_592_000, "establishedCompletions": 5,
        })
    );
    assert_eq!(config["deploymentBlock"], served.stack.deployment.deployment_block);

    let stats = served.read("/api/stats").await?;
    assert_eq!((&stats["runs"], &stats["escrowed"], &stats["runsByState"]["SLASHED"]), (&json!(0), &json!("0"), &json!(0)));
    let record = served.read(&format!("/api/posters/{}", account(5))).await?;
    assert_eq!((&record["created"], &record["averageRevisions"]), (&json!(0), &Value::Null));
    assert_eq!(served.read("/healthz").await?["status"], "ok");
    assert_eq!(served.read("/readyz").await?["status"], "ready");
    Ok(())
}

#[tokio::test]
async fn every_read_says_which_block_it_reflects() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mine(3).await?;
    served.settle().await?;
    let head = served.stack.head().await?;
    for path in ["/api/runs", "/api/agents", "/api/config", "/api/stats", "/api/status", &format!("/api/posters/{}", account(1))] {
        let answer = served.get(path).await?;
        assert_eq!(answer.headers["x-indexed-block"], head.to_string().as_str(), "{path}");
        assert_eq!(answer.body.get("stale"), None, "{path}");
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    let status = served.read("/api/status").await?;
    require_shape(&status, &[("chainId", "number"), ("head", "number"), ("lag", "number"), ("stalenessMs", "number")]);
    require_shape(&status["indexedBlock"], &[("number", "number"), ("hash", "hash"), ("timestamp", "date")]);
    assert_eq!((&status["indexedBlock"]["number"], &status["lag"]), (&json!(head), &json!(0)));
    assert_eq!(status.get("finalizedState"), Some(&Value::Null), "nothing is final yet");
    Ok(())
}

#[tokio::test]
async fn totals_are_those_of_the_contracts() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = served.stack.staked_agent(2).await?;
    let offer = served.stack.offer(Usdc::whole(100)).await?;
    let paid = poster.post(offer.clone()).await?;
    worker.claim(paid, agent).await?;
    worker.submit(paid, "ipfs://x").await?;
    poster.approve(paid).await?;
    poster.post(offer.clone()).await?;
    poster.draft(offer).await?;
    served.stack.warp(Seconds::days(1)).await?;
    served.settle().await?;
    let stats = served.read("/api/stats").await?;
    let expected = json!({
        "runs": 3, "posters": 1, "agents": 1, "escrowed": "105000000", "paid": "100000000", "fees": "5000000", "staked": "20000000",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&stats[name], value, "{name}");
    }
    let escrow = served.stack.deployment.contracts.run_escrow;
    let held = clawpay_cli::wallet::read(
        served.stack.provider(),
        served.stack.deployment.contracts.usdc,
        &clawpay_bindings::TestUSDC::balanceOfCall { account: escrow },
    )
    .await?;
    assert_eq!(held, alloy::primitives::U256::from(110_000_000), "escrowed and fees are what the escrow holds");
    Ok(())
}

#[tokio::test]
async fn text_that_is_not_utf8_is_shown_and_refuses_nothing() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.actor(1).await?;
    let mut offer = served.stack.offer(Usdc::whole(1)).await?;
    offer.content_uri = "ipfs://AB\0".into();
    let mut calldata = clawpay_bindings::Call::Create(offer).calldata().to_vec();
    let position = calldata.windows(2).position(|bytes| bytes == b"AB").unwrap();
    calldata[position] = 0xff;
    poster.wallet().send(served.stack.deployment.contracts.run_escrow, calldata.into()).await?;
    served.settle().await?;
    assert_eq!(served.read("/api/runs/1").await?["ipfsHash"], "ipfs://\u{fffd}B\0");
    assert_eq!(served.read("/api/runs?q=1").await?["pagination"]["total"], 1);
    Ok(())
}
