//! What an account can do with a run, as the API says and as it then does.

use anyhow::{Context, Result};
use clawpay_domain::{Seconds, Usdc};
use serde_json::{Value, json};

use super::served::{Served, account, signer, with};

fn action<'a>(actions: &'a Value, verb: &str) -> Result<&'a Value> {
    let found = actions["actions"].as_array().context("actions")?.iter().find(|action| action["verb"] == verb);
    found.with_context(|| format!("{verb} in {actions:#}"))
}

#[tokio::test]
async fn every_verb_says_whether_until_when_and_what_it_moves() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let second = worker.register("ipfs://second").await?;
    let mut offer = stack.offer(Usdc::whole(100)).await?;
    offer.max_revisions = 0;
    let run = poster.post(offer).await?;
    served.settle().await?;
    let of = async |wallet: u32| served.read(&format!("/api/runs/{run}/actions?wallet={}", account(wallet))).await;

    let actions = of(2).await?;
    let claims: Vec<_> = actions["actions"].as_array().context("actions")?.iter().filter(|action| action["verb"] == "claim").collect();
    assert_eq!(claims.len(), 2, "one for each agent of the wallet");
    let claim = |id: u64| claims.iter().find(|claim| claim["agentId"] == id).copied().context("a claim");
    assert_eq!((&claim(agent.0)?["allowed"], &claim(agent.0)?["until"]), (&json!(true), &actions["run"]["deadline"]));
    assert_eq!(claim(agent.0)?["moves"], json!([{ "from": "stake", "to": "committed", "amount": "10000000" }]));
    assert_eq!(claim(second.0)?["reasonCodes"], json!(["AGENT_UNVERIFIED", "STAKE_COMMITTED"]));
    let asked = served.read(&format!("/api/runs/{run}/actions?wallet={}&agentId={}", account(9), agent.0)).await?;
    assert_eq!(action(&asked, "claim")?["reasonCodes"], json!(["NOT_AGENT"]));
    assert_eq!(action(&of(9).await?, "claim")?["reasonCodes"], json!(["AGENT_NOT_FOUND"]));

    // What is said to be allowed is prepared, and what is not is refused with the first of its codes.
    let agrees = async |wallet: u32| -> Result<()> {
        let actions = of(wallet).await?;
        for said in actions["actions"].as_array().context("actions")? {
            let verb = said["verb"].as_str().context("verb")?;
            let body = match verb {
                "claim" => {
                    with(&signer(wallet), "agentId", if said["agentId"].is_null() { json!(agent.0) } else { said["agentId"].clone() })
                }
                "submit" => with(&signer(wallet), "deliverableURI", json!("ipfs://x")),
                "request-revision" => with(&signer(wallet), "feedback", json!("")),
                _ => signer(wallet),
            };
            if verb == "claim" && said["agentId"].is_null() {
                continue;
            }
            let answer = served.post(&format!("/api/runs/{run}/{verb}"), &body).await?;
            assert_eq!(answer.status.as_u16() == 202, said["allowed"] == true, "{verb} by {wallet}: {said:#} {:#}", answer.body);
            if said["allowed"] == false {
                let code = answer.body["code"].as_str().context("code")?.to_uppercase();
                assert_eq!(said["reasonCodes"][0], code, "{verb} by {wallet}");
            }
        }
        Ok(())
    };
    for wallet in [1, 2, 9] {
        agrees(wallet).await?;
    }
    worker.claim(run, agent).await?;
    served.settle().await?;
    let actions = of(1).await?;
    assert_eq!((&action(&actions, "slash")?["allowed"], &action(&actions, "slash")?["from"]), (&json!(false), &actions["run"]["dueAt"]));
    for wallet in [1, 2, 9] {
        agrees(wallet).await?;
    }
    worker.submit(run, "ipfs://x").await?;
    served.settle().await?;
    let approve = action(&of(1).await?, "approve")?.clone();
    assert_eq!(
        approve["moves"],
        json!([
            { "from": "escrow", "to": "agent", "amount": "100000000" },
            { "from": "escrow", "to": "platform", "amount": "5000000" },
            { "from": "committed", "to": "stake", "amount": "10000000" },
        ])
    );
    for wallet in [1, 2, 9] {
        agrees(wallet).await?;
    }
    stack.warp(Seconds::days(7)).await?;
    served.settle().await?;
    assert_eq!(action(&of(9).await?, "finalize")?["allowed"], true);
    for wallet in [1, 2, 9] {
        agrees(wallet).await?;
    }
    served.get(&format!("/api/runs/{run}/actions")).await?.require_field(400, "missing_field", "wallet")?;
    served.get(&format!("/api/runs/999/actions?wallet={}", account(1))).await?.require(404, "run_not_found")?;
    let unknown = format!("/api/runs/{run}/actions?wallet={}&agentId=999", account(1));
    served.get(&unknown).await?.require(404, "agent_not_found")?;
    Ok(())
}

#[tokio::test]
async fn what_was_looked_at_is_what_is_acted_on() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let run = poster.post(stack.offer(Usdc::whole(100)).await?).await?;
    let other = poster.post(stack.offer(Usdc::whole(50)).await?).await?;
    served.settle().await?;
    let word = async |run: &str, name: &str| Ok::<_, anyhow::Error>(served.read(&format!("/api/runs/{run}")).await?[name].clone());
    let claim = |word: Value| with(&with(&signer(2), "agentId", json!(agent.0)), "termsWord", word);
    let (run, other) = (run.to_string(), other.to_string());
    let path = format!("/api/runs/{run}/claim");
    served.post(&path, &claim(word(&other, "termsWord").await?)).await?.require(409, "terms_changed")?;
    served.prepare(&path, &claim(word(&run, "termsWord").await?)).await?;
    served.post(&path, &claim(json!("0x12"))).await?.require_field(400, "invalid_value", "termsWord")?;

    worker.claim(clawpay_domain::RunId(run.parse()?), agent).await?;
    served.settle().await?;
    let before = word(&run, "progressWord").await?;
    // The word is the deadline in force: it changes with the second.
    stack.warp(Seconds(1)).await?;
    worker.submit(clawpay_domain::RunId(run.parse()?), "ipfs://x").await?;
    served.settle().await?;
    let path = format!("/api/runs/{run}/approve");
    served.post(&path, &with(&signer(1), "progressWord", before)).await?.require(409, "submission_changed")?;
    served.prepare(&path, &with(&signer(1), "progressWord", word(&run, "progressWord").await?)).await?;
    Ok(())
}
