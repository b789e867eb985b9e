//! What is refused, with which status and code, in which order.

use anyhow::Result;
use clawpay_domain::{AgentId, RunId, Seconds, Usdc};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::served::{Served, account, signer, with};

fn claim(agent: u64, wallet: u32) -> Value {
    json!({ "agentId": agent, "walletAddress": account(wallet) })
}

fn offer() -> Value {
    json!({ "posterAddress": account(1), "reward": "100000000", "deadline": "2020-01-01T00:00:00Z", "ipfsHash": "ipfs://x", "draft": true })
}

#[tokio::test]
async fn requests_of_the_wrong_form_are_refused_before_anything_is_looked_up() -> Result<()> {
    let served = Served::start().await?;
    let send = async |method: Method, path: &str, kind: Option<&str>, body: String| {
        let mut request = served.request(method, path).body(body);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        served.send(request).await
    };
    let json_type = Some("application/json");

    let nothing = served.get("/api/nothing").await?;
    nothing.require(404, "unknown_path")?;
    for there in ["/llms.txt", "/docs", "/openapi.json"] {
        assert!(nothing.body["detail"].as_str().unwrap().contains(there), "{}", nothing.body);
    }
    served.get("/").await?.require(404, "unknown_path")?;
    for (method, path, allow) in [
        (Method::DELETE, "/api/runs", "GET,HEAD,POST"),
        (Method::PUT, "/api/runs/1", "GET,HEAD"),
        (Method::GET, "/api/runs/1/claim", "POST"),
        (Method::POST, "/api/config", "GET,HEAD"),
        (Method::GET, "/api/transactions", "POST"),
    ] {
        let answer = send(method, path, None, String::new()).await?;
        answer.require(405, "method_not_allowed")?;
        assert_eq!(answer.headers["allow"], allow, "{path}");
    }
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")] {
        send(Method::POST, "/api/runs/1/claim", kind, claim(1, 2).to_string()).await?.require(415, "unsupported_media_type")?;
    }
    let charset = Some("application/json; charset=utf-8");
    send(Method::POST, "/api/runs/1/claim", charset, claim(1, 2).to_string()).await?.require(404, "run_not_found")?;
    for body in ["", "{", "[]", "null", "\"x\"", "{\"agentId\":1,}"] {
        send(Method::POST, "/api/runs/1/claim", json_type, body.to_owned()).await?.require(400, "malformed_json")?;
    }

    let twice = r#"{"walletAddress":"0x1","agentId":1,"agentId":2}"#;
    send(Method::POST, "/api/runs/1/claim", json_type, twice.to_owned()).await?.require_field(400, "duplicate_field", "agentId")?;
    let permit = r#"{"permit":{"deadline":"1","deadline":"2","signature":"0x"}}"#;
    send(Method::POST, "/api/runs", json_type, permit.to_owned()).await?.require_field(400, "duplicate_field", "deadline")?;
    send(Method::POST, "/api/runs/1/claim", json_type, format!("\u{feff}{}", claim(1, 2))).await?.require(404, "run_not_found")?;

    let compressed = served.request(Method::POST, "/api/runs/1/claim").header("content-encoding", "gzip").json(&claim(1, 2));
    served.send(compressed).await?.require(415, "unsupported_media_type")?;

    let padded = |length: usize| {
        let body = claim(1, 2).to_string();
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    send(Method::POST, "/api/runs/1/claim", json_type, padded(64 * 1024)).await?.require(404, "run_not_found")?;
    send(Method::POST, "/api/runs/1/claim", json_type, padded(64 * 1024 + 1)).await?.require(413, "body_too_large")?;
    Ok(())
}

#[tokio::test]
async fn ids_and_addresses_in_paths_are_checked() -> Result<()> {
    let served = Served::start().await?;
    for id in ["abc", "-1", "+1", "1.0", "0x1", "18446744073709551616", "%FF", "1%20"] {
        served.get(&format!("/api/runs/{id}")).await?.require_field(400, "invalid_value", "id")?;
        served.get(&format!("/api/agents/{id}/stake")).await?.require_field(400, "invalid_value", "id")?;
        served.post(&format!("/api/runs/{id}/slash"), &signer(1)).await?.require_field(400, "invalid_value", "id")?;
    }
    for id in ["0", "1", "9223372036854775807", "9223372036854775808", "18446744073709551615"] {
        for path in [format!("/api/runs/{id}"), format!("/api/runs/{id}/events"), format!("/api/runs/{id}/claim-eligibility?agentId=1")] {
            served.get(&path).await?.require(404, "run_not_found")?;
        }
        served.get(&format!("/api/agents/{id}")).await?.require(404, "agent_not_found")?;
        served.get(&format!("/api/agents/{id}/stake")).await?.require(404, "agent_not_found")?;
        for verb in ["fund", "cancel", "start", "approve", "reject", "slash", "finalize"] {
            served.post(&format!("/api/runs/{id}/{verb}"), &signer(1)).await?.require(404, "run_not_found")?;
        }
        let amount = with(&signer(1), "amount", json!("1"));
        served.post(&format!("/api/agents/{id}/stake"), &amount).await?.require(404, "agent_not_found")?;
        served.post(&format!("/api/agents/{id}/unstake"), &amount).await?.require(404, "agent_not_found")?;
    }
    for address in ["0x12", "me.eth", "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"] {
        served.get(&format!("/api/posters/{address}")).await?.require_field(400, "invalid_value", "address")?;
    }
    served.get("/api/runs/1/claim-eligibility").await?.require_field(400, "missing_field", "agentId")?;
    served.post("/api/runs/1/slash?force=1", &signer(1)).await?.require_field(400, "unknown_field", "force")?;
    served.get("/api/runs/1/claim-eligibility?agentId=x").await?.require_field(400, "invalid_value", "agentId")?;
    Ok(())
}

#[tokio::test]
async fn bodies_are_checked_field_by_field() -> Result<()> {
    let served = Served::start().await?;
    let mixed = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    for (path, body, code, field) in [
        ("/api/runs/1/claim", json!({}), "missing_field", "walletAddress"),
        ("/api/runs/1/claim", json!({ "walletAddress": account(2) }), "missing_field", "agentId"),
        ("/api/runs/1/claim", with(&claim(1, 2), "agentId", json!("1")), "invalid_value", "agentId"),
        ("/api/runs/1/claim", with(&claim(1, 2), "agentId", json!(-1)), "invalid_value", "agentId"),
        ("/api/runs/1/claim", with(&claim(1, 2), "agentId", json!(1.5)), "invalid_value", "agentId"),
        ("/api/runs/1/claim", with(&claim(1, 2), "agentId", json!(null)), "invalid_value", "agentId"),
        ("/api/runs/1/claim", with(&claim(1, 2), "walletAddress", json!(mixed)), "invalid_value", "walletAddress"),
        ("/api/runs/1/claim", with(&claim(1, 2), "walletAddress", json!(7)), "invalid_value", "walletAddress"),
        ("/api/runs/1/claim", with(&claim(1, 2), "force", json!(true)), "unknown_field", "force"),
        ("/api/runs/1/slash", with(&signer(1), "agentId", json!(1)), "unknown_field", "agentId"),
        ("/api/runs/1/submit", signer(2), "missing_field", "deliverableURI"),
        ("/api/runs/1/submit", with(&signer(2), "deliverableURI", json!("")), "invalid_value", "deliverableURI"),
        ("/api/runs/1/submit", with(&signer(2), "deliverableURI", json!("x".repeat(2049))), "invalid_value", "deliverableURI"),
        ("/api/runs/1/request-revision", with(&signer(1), "feedback", json!("x".repeat(2049))), "invalid_value", "feedback"),
        ("/api/agents/register", with(&signer(1), "agentURI", json!("x".repeat(8193))), "invalid_value", "agentURI"),
        ("/api/agents/1/stake", with(&signer(1), "amount", json!("20.5")), "invalid_value", "amount"),
        ("/api/agents/1/stake", with(&signer(1), "amount", json!("-1")), "invalid_value", "amount"),
        ("/api/agents/1/stake", with(&signer(1), "amount", json!(20)), "invalid_value", "amount"),
        ("/api/runs", with(&offer(), "reward", json!("1.5")), "invalid_value", "reward"),
        ("/api/runs", with(&offer(), "reward", json!(100)), "invalid_value", "reward"),
        ("/api/runs", with(&offer(), "reward", json!("9".repeat(79))), "invalid_value", "reward"),
        ("/api/runs", with(&offer(), "deadline", json!("tomorrow")), "invalid_value", "deadline"),
        ("/api/runs", with(&offer(), "deadline", json!(1_800_000_000)), "invalid_value", "deadline"),
        ("/api/runs", with(&offer(), "ipfsHash", json!("")), "invalid_value", "ipfsHash"),
        ("/api/runs", with(&offer(), "draft", json!("yes")), "invalid_value", "draft"),
        ("/api/runs", with(&offer(), "maxRevisions", json!(256)), "invalid_value", "maxRevisions"),
        ("/api/runs", with(&offer(), "fee", json!("1")), "unknown_field", "fee"),
        ("/api/runs/1/claim", with(&claim(1, 2), "signedTransactions", json!(["zz"])), "invalid_value", "signedTransactions[0]"),
        ("/api/runs/1/claim", with(&claim(1, 2), "signedTransactions", json!([])), "invalid_value", "signedTransactions"),
        ("/api/runs/1/claim", with(&claim(1, 2), "transactionHash", json!("0x12")), "invalid_value", "transactionHash"),
    ] {
        served.post(path, &body).await?.require_field(400, code, field)?;
    }
    let refused = served.post("/api/runs", &json!({ "draft": true })).await?;
    refused.require_field(400, "missing_field", "posterAddress")?;
    assert_eq!(refused.body["fields"], json!(["posterAddress", "reward", "deadline", "ipfsHash"]));
    let refused = served.post("/api/runs/1/claim", &with(&claim(1, 2), "agentId", json!("1"))).await?;
    assert_eq!(refused.body["detail"], "agentId: expected a whole number from 0, and got the text \"1\"");
    for (path, body, detail) in [
        (
            "/api/runs",
            with(&offer(), "reward", json!(20)),
            "reward: amounts are texts of base units, and not numbers: \"20\" is 0.00002 USDC",
        ),
        (
            "/api/runs",
            with(&offer(), "reward", json!("12 USDC")),
            "reward: amounts are texts of base units, whole and without a unit: 12 USDC",
        ),
        (
            "/api/runs",
            with(&offer(), "signedTransaction", json!("0x")),
            "signedTransaction is not known here; did you mean signedTransactions?",
        ),
        (
            "/api/runs/1/claim",
            with(&claim(1, 2), "transactionHash", json!("0x1")),
            "transactionHash: must be 32 bytes as hex, 0x and 64 digits",
        ),
        ("/api/runs/1/claim", with(&claim(1, 2), "termsWord", json!("0x1")), "termsWord: must be 32 bytes as hex, 0x and 64 digits"),
    ] {
        let refused = served.post(path, &body).await?;
        assert!(refused.body["detail"].as_str().unwrap().starts_with(detail), "{} is not {detail}", refused.body);
    }
    // The signer's account has two names.
    let mut named = offer();
    named["walletAddress"] = named["posterAddress"].take();
    named.as_object_mut().unwrap().remove("posterAddress");
    served.post("/api/runs", &named).await?.require_field(400, "deadline_out_of_range", "deadline")?;
    let both = with(&offer(), "walletAddress", json!(account(2)));
    served.post("/api/runs", &both).await?.require_field(400, "invalid_value", "walletAddress")?;
    Ok(())
}

#[tokio::test]
async fn offers_outside_the_rules_are_refused_by_field() -> Result<()> {
    let served = Served::start().await?;
    let now = served.stack.now().await?;
    let date = |seconds: u64| {
        let at = time::OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
        json!(at.format(&time::format_description::well_known::Rfc3339).unwrap())
    };
    let good = with(&offer(), "deadline", date((now + Seconds::days(30)).0));
    served.prepare("/api/runs", &good).await?;
    for (field, value, code) in [
        ("reward", json!("999999"), "reward_out_of_range"),
        ("reward", json!("0"), "reward_out_of_range"),
        ("reward", json!("72057594037927936"), "reward_out_of_range"),
        ("deadline", json!("2020-01-01T00:00:00Z"), "deadline_out_of_range"),
        ("deadline", date((now + Seconds::days(367)).0), "deadline_out_of_range"),
        ("maxRevisions", json!(4), "too_many_revisions"),
    ] {
        served.post("/api/runs", &with(&good, field, value)).await?.require_field(400, code, field)?;
    }
    for (field, value) in [("reward", json!("1000000")), ("reward", json!("72057594037927935")), ("maxRevisions", json!(3))] {
        served.prepare("/api/runs", &with(&good, field, value)).await?;
    }
    let twenty = served.post("/api/runs", &with(&good, "reward", json!("20"))).await?;
    assert!(twenty.body["detail"].as_str().unwrap().ends_with("\"20\" is 0.00002 USDC; 20 USDC is \"20000000\""), "{}", twenty.body);
    let funded = with(&good, "draft", json!(false));
    let refused = served.post("/api/runs", &funded).await?;
    refused.require(422, "insufficient_usdc")?;
    assert_eq!((&refused.body["asked"], &refused.body["available"]), (&json!("105000000"), &json!("0")));
    Ok(())
}

#[tokio::test]
async fn a_claim_is_refused_in_the_order_of_the_reference() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(10_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let poor = stack.actor(3).await?.register("ipfs://poor").await?;
    let own = poster.register("ipfs://own").await?;
    poster.stake(own, Usdc::whole(20)).await?;
    let open = poster.post(stack.offer(Usdc::whole(1)).await?).await?;
    let draft = poster.draft(stack.offer(Usdc::whole(1)).await?).await?;
    let mut short = stack.offer(Usdc::whole(1)).await?;
    short.deadline = stack.now().await? + Seconds(1_000);
    let expired = poster.post(short).await?;
    let taken: Vec<RunId> = {
        let mut taken = Vec::new();
        for _ in 0..2 {
            let run = poster.post(stack.offer(Usdc::whole(1)).await?).await?;
            worker.claim(run, agent).await?;
            taken.push(run);
        }
        taken
    };
    stack.warp(Seconds(1_000)).await?;
    served.settle().await?;
    let try_claim =
        async |run: RunId, agent: AgentId, wallet| served.post(&format!("/api/runs/{run}/claim"), &claim(agent.0, wallet)).await;

    // Malformed before unknown, the run before the agent, the agent before the run's state.
    served.post("/api/runs/999/claim", &json!({ "agentId": 999, "walletAddress": "0x1" })).await?.require(400, "invalid_value")?;
    try_claim(RunId(999), AgentId(999), 2).await?.require(404, "run_not_found")?;
    try_claim(draft, AgentId(999), 2).await?.require(404, "agent_not_found")?;
    // The run's state before who asks.
    let refused = try_claim(draft, poor, 9).await?;
    refused.require(400, "wrong_state")?;
    assert_eq!((&refused.body["state"], &refused.body["accepted"]), (&json!("DRAFT"), &json!(["OPEN"])));
    for (claimant, wallet, is_yours) in [(agent, 2, true), (poor, 2, true), (poor, 3, false)] {
        let refused = try_claim(taken[0], claimant, wallet).await?;
        refused.require(400, "wrong_state")?;
        assert_eq!((&refused.body["claimedBy"], &refused.body["yours"]), (&json!(agent.0), &json!(is_yours)), "{}", refused.body);
        assert_eq!(refused.body["detail"].as_str().unwrap().contains("your own claim"), is_yours, "{}", refused.body);
    }
    assert_eq!(try_claim(draft, poor, 9).await?.body.get("claimedBy"), None);
    try_claim(expired, poor, 9).await?.require(400, "deadline_passed")?;
    // Who asks before what the agent is.
    try_claim(open, poor, 9).await?.require(403, "not_agent")?;
    try_claim(open, agent, 1).await?.require(403, "not_agent")?;
    try_claim(open, own, 1).await?.require(403, "poster_cannot_claim")?;
    let refused = try_claim(open, poor, 3).await?;
    refused.require(403, "agent_unverified")?;
    let way_out = format!("POST /api/agents/{poor}/stake");
    assert!(refused.body["detail"].as_str().unwrap().contains(&way_out), "{}", refused.body);
    let eligibility = served.read(&format!("/api/runs/{open}/claim-eligibility?agentId={poor}")).await?;
    let reason = eligibility["reasons"][0].as_str().unwrap();
    assert!(reason.contains("it has staked 0 USDC, and 20 USDC are needed") && reason.contains(&way_out), "{reason}");
    let refused = try_claim(open, agent, 2).await?;
    refused.require(403, "stake_committed")?;
    assert_eq!((&refused.body["asked"], &refused.body["available"]), (&json!("10000000"), &json!("0")));

    stack.warp(Seconds::days(7)).await?;
    poster.slash(taken[0]).await?;
    served.settle().await?;
    try_claim(open, agent, 2).await?.require(403, "agent_frozen")?;
    poster.slash(taken[1]).await?;
    stack.mint(account(2), Usdc::whole(40)).await?;
    worker.stake(agent, Usdc::whole(40)).await?;
    let third = poster.post(stack.offer(Usdc::whole(1)).await?).await?;
    worker.claim(third, agent).await?;
    stack.warp(Seconds::days(7)).await?;
    poster.slash(third).await?;
    served.settle().await?;
    try_claim(open, agent, 2).await?.require(403, "agent_banned")?;
    let eligibility = served.read(&format!("/api/runs/{open}/claim-eligibility?agentId={agent}")).await?;
    assert_eq!(eligibility["reasonCodes"], json!(["AGENT_BANNED"]));
    Ok(())
}

#[tokio::test]
async fn other_verbs_ask_first_whose_run_it_is_and_then_where_it_stands() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let run = poster.draft(stack.offer(Usdc::whole(100)).await?).await?;
    served.settle().await?;
    let act = async |verb: &str, wallet: u32| {
        let body = match verb {
            "submit" => with(&signer(wallet), "deliverableURI", json!("ipfs://x")),
            "request-revision" => with(&signer(wallet), "feedback", json!("")),
            _ => signer(wallet),
        };
        served.post(&format!("/api/runs/{run}/{verb}"), &body).await
    };

    for verb in ["fund", "cancel", "approve", "request-revision"] {
        act(verb, 9).await?.require(403, "not_poster")?;
    }
    for verb in ["approve", "request-revision", "reject", "slash", "finalize"] {
        act(verb, 1).await?.require(409, "wrong_state")?;
    }
    for verb in ["start", "submit"] {
        act(verb, 2).await?.require(409, "wrong_state")?;
    }

    poster.fund(run).await?;
    worker.claim(run, agent).await?;
    served.settle().await?;
    for verb in ["start", "submit"] {
        act(verb, 9).await?.require(403, "not_run_agent")?;
    }
    act("fund", 1).await?.require(409, "wrong_state")?;
    act("cancel", 1).await?.require(409, "wrong_state")?;
    act("slash", 1).await?.require(409, "too_early")?;
    act("slash", 9).await?.require(409, "too_early")?;

    worker.start(run).await?;
    served.settle().await?;
    act("start", 9).await?.require(403, "not_run_agent")?;
    act("start", 2).await?.require(409, "wrong_state")?;

    worker.submit(run, "ipfs://x").await?;
    served.settle().await?;
    act("submit", 9).await?.require(403, "not_run_agent")?;
    act("submit", 2).await?.require(409, "wrong_state")?;
    act("reject", 9).await?.require(403, "not_poster")?;
    act("reject", 1).await?.require(409, "revisions_left")?;
    act("finalize", 9).await?.require(409, "too_early")?;
    for feedback in ["a", "b", "c"] {
        poster.request_revision(run, feedback).await?;
        worker.submit(run, "ipfs://y").await?;
    }
    served.settle().await?;
    act("request-revision", 1).await?.require(409, "no_revisions_left")?;
    served.prepare(&format!("/api/runs/{run}/reject"), &signer(1)).await?;
    stack.warp(Seconds::days(7)).await?;
    served.settle().await?;
    act("reject", 1).await?.require(409, "too_late")?;
    act("request-revision", 1).await?.require(409, "too_late")?;
    served.prepare(&format!("/api/runs/{run}/approve"), &signer(1)).await?;
    served.prepare(&format!("/api/runs/{run}/finalize"), &signer(9)).await?;

    let mut short = stack.offer(Usdc::whole(1)).await?;
    short.deadline = stack.now().await? + Seconds(1_000);
    let expired = poster.draft(short).await?;
    stack.warp(Seconds(1_000)).await?;
    served.settle().await?;
    served.post(&format!("/api/runs/{expired}/fund"), &signer(1)).await?.require(409, "deadline_passed")?;
    Ok(())
}

#[tokio::test]
async fn what_may_be_a_mistake_is_warned_of() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let mut final_offer = stack.offer(Usdc::whole(1)).await?;
    final_offer.max_revisions = 0;
    let run = poster.post(final_offer).await?;
    served.settle().await?;
    let at = time::OffsetDateTime::from_unix_timestamp((stack.now().await? + Seconds::days(30)).0.try_into()?)?;
    let offer = with(&offer(), "deadline", json!(at.format(&time::format_description::well_known::Rfc3339)?));
    let offered = |uri: &str| with(&offer, "ipfsHash", json!(uri));
    let card = |uri: &str| with(&signer(2), "agentURI", json!(uri));
    let of_agent = format!("/api/agents/{agent}/uri");
    let none: [&str; 0] = [];
    for (path, body, codes) in [
        ("/api/runs", offered("hello"), &["UNREADABLE"] as &[&str]),
        ("/api/runs", offered("data:application/json,{broken"), &["UNREADABLE"]),
        ("/api/runs", with(&offered("hello"), "draft", json!(false)), &["UNREADABLE"]),
        ("/api/runs", offered("ipfs://x"), &none),
        ("/api/agents/register", card("agent"), &["UNREADABLE"]),
        ("/api/agents/register", card(""), &none),
        (&of_agent, card("agent"), &["UNREADABLE"]),
        (&format!("/api/runs/{run}/claim"), claim(agent.0, 2), &["NO_REVISIONS"]),
    ] {
        let prepared = served.prepare(path, &body).await?;
        assert_eq!(prepared["warningCodes"], json!(codes), "{path} {body} {prepared:#}");
    }
    worker.claim(run, agent).await?;
    served.settle().await?;
    let delivered = with(&signer(2), "deliverableURI", json!("done!"));
    assert_eq!(served.prepare(&format!("/api/runs/{run}/submit"), &delivered).await?["warningCodes"], json!(["UNREADABLE"]));

    // A draft is not yet an offer, and the answer says what makes it one.
    let done = served.act(1, "/api/runs", &offered("ipfs://x")).await?;
    let number = &done["run"]["bountyId"];
    let message = format!("Run created successfully. It is a draft: POST /api/runs/{number}/fund escrows its money and opens it.");
    assert_eq!(done["message"], message);
    Ok(())
}

#[tokio::test]
async fn stakes_move_within_the_rules_only() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    served.settle().await?;
    let post = async |verb: &str, wallet: u32, amount: &str| {
        served.post(&format!("/api/agents/{agent}/{verb}"), &with(&signer(wallet), "amount", json!(amount))).await
    };
    post("stake", 1, "1").await?.require(403, "not_owner")?;
    let foreign = with(&with(&signer(1), "amount", json!("1")), "allowForeign", json!(true));
    let prepared = served.prepare(&format!("/api/agents/{agent}/stake"), &foreign).await?;
    assert_eq!(prepared["warningCodes"], json!(["FOREIGN_AGENT"]), "{prepared:#}");
    let poor = poster.register("ipfs://poor").await?;
    served.settle().await?;
    let twenty = with(&signer(1), "amount", json!("20"));
    let prepared = served.prepare(&format!("/api/agents/{poor}/stake"), &twenty).await?;
    assert_eq!(prepared["warningCodes"], json!(["BELOW_MINIMUM_STAKE"]), "{prepared:#}");
    let warning = prepared["warnings"][0].as_str().unwrap();
    assert!(warning.ends_with("\"20\" is 0.00002 USDC; 20 USDC is \"20000000\""), "{warning}");
    let enough = with(&signer(1), "amount", json!("20000000"));
    assert_eq!(served.prepare(&format!("/api/agents/{poor}/stake"), &enough).await?["warningCodes"], json!([]));
    post("stake", 2, "0").await?.require_field(400, "amount_out_of_range", "amount")?;
    post("stake", 2, "18446744073709551616").await?.require_field(400, "amount_out_of_range", "amount")?;
    let refused = post("stake", 2, "1").await?;
    refused.require(422, "insufficient_usdc")?;
    assert_eq!((&refused.body["asked"], &refused.body["available"]), (&json!("1"), &json!("0")));
    post("unstake", 9, "1").await?.require(403, "not_owner")?;
    post("unstake", 2, "0").await?.require_field(400, "amount_out_of_range", "amount")?;
    let refused = post("unstake", 2, "20000001").await?;
    refused.require_field(422, "exceeds_withdrawable", "amount")?;
    assert_eq!((&refused.body["asked"], &refused.body["available"]), (&json!("20000001"), &json!("20000000")));

    let run = poster.post(stack.offer(Usdc::whole(1)).await?).await?;
    worker.claim(run, agent).await?;
    stack.warp(Seconds::days(7)).await?;
    poster.slash(run).await?;
    served.settle().await?;
    post("unstake", 2, "1").await?.require(409, "agent_frozen")?;
    Ok(())
}

#[tokio::test]
async fn what_only_the_chain_knows_is_refused_with_its_reason() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let operator = stack.actor(clawpay_tests::OPERATOR).await?;
    let contracts = stack.deployment.contracts;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let run = poster.post(stack.offer(Usdc::whole(1)).await?).await?;

    operator.wallet().call(contracts.run_escrow, &clawpay_bindings::RunEscrow::pauseCall {}).await?;
    served.settle().await?;
    served.post(&format!("/api/runs/{run}/claim"), &claim(agent.0, 2)).await?.require(422, "paused")?;
    operator.wallet().call(contracts.run_escrow, &clawpay_bindings::RunEscrow::unpauseCall {}).await?;

    let blacklist = clawpay_bindings::TestUSDC::blacklistCall { account: account(1) };
    operator.wallet().call(contracts.usdc, &blacklist).await?;
    served.settle().await?;
    let funded = json!({
        "posterAddress": account(1), "reward": "1000000", "ipfsHash": "ipfs://x",
        "deadline": served.read(&format!("/api/runs/{run}")).await?["deadline"],
    });
    let refused = served.post("/api/runs", &funded).await?;
    refused.require(422, "reverted_with_reason")?;
    assert!(refused.body["detail"].as_str().unwrap().contains("blacklisted"), "{}", refused.body);

    // The rules of the market are the same refusal whoever finds it: here the index has not seen the claim yet, nor what was delivered anew.
    let delivered = {
        let poster = stack.funded_actor(3, Usdc::whole(100)).await?;
        let delivered = poster.post(stack.offer(Usdc::whole(1)).await?).await?;
        worker.claim(delivered, agent).await?;
        worker.submit(delivered, "ipfs://first").await?;
        served.settle().await?;
        delivered
    };
    let mut served = served;
    served.indexer.take().unwrap().stop().await??;
    let stack = &served.stack;
    stack.actor(3).await?.request_revision(delivered, "again").await?;
    stack.warp(Seconds(10)).await?;
    worker.submit(delivered, "ipfs://second").await?;
    served.post(&format!("/api/runs/{delivered}/approve"), &signer(3)).await?.require(409, "submission_changed")?;
    worker.claim(run, agent).await?;
    let refused = served.post(&format!("/api/runs/{run}/claim"), &claim(agent.0, 2)).await?;
    refused.require(400, "wrong_state")?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(served.read(&format!("/api/runs/{run}")).await?["state"], "OPEN");
    Ok(())
}
