//! Lists: filters, orders, pages, and their edges.

use anyhow::Result;
use clawpay_domain::{NewRun, Seconds, Timestamp, Usdc};
use serde_json::{Value, json};

use super::served::{Served, account};

/// The ids of a page, in its order.
fn ids(list: &Value) -> Vec<u64> {
    list["runs"].as_array().unwrap().iter().map(|run| run["bountyId"].as_u64().unwrap()).collect()
}

/// Runs 1 to 7 of rewards 10, 20, ... 70 USDC: 1 OPEN and past its deadline, 2 OPEN, 3 DRAFT of account 4, 4 CLAIMED and late, 5 SUBMITTED
/// and unanswered, 6 CANCELLED, 7 OPEN with content of its own.
async fn market() -> Result<(Served, u64)> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;

    // Deadlines are as far apart as the runs' numbers, so that no order depends on when a block was mined.
    let offer = async |reward: Usdc, days: u64| -> Result<NewRun> {
        let offer = stack.offer(reward).await?;
        Ok(NewRun { deadline: stack.now().await? + Seconds::days(days), ..offer })
    };
    poster.post(offer(Usdc::whole(10), 1).await?).await?;
    poster.post(offer(Usdc::whole(20), 20).await?).await?;
    stack.actor(4).await?.draft(offer(Usdc::whole(30), 30).await?).await?;
    let late = poster.post(offer(Usdc::whole(40), 40).await?).await?;
    worker.claim(late, agent).await?;
    let unanswered = poster.post(offer(Usdc::whole(50), 50).await?).await?;
    worker.claim(unanswered, agent).await?;
    worker.submit(unanswered, "ipfs://work").await?;
    let cancelled = poster.post(offer(Usdc::whole(60), 60).await?).await?;
    poster.cancel(cancelled).await?;
    stack.warp(Seconds::days(7)).await?;
    let other = offer(Usdc::base_units(70_000_001), 70).await?;
    poster.post(NewRun { content_uri: "https://example.org/50%_off".into(), ..other }).await?;
    served.settle().await?;
    Ok((served, agent.0))
}

#[tokio::test]
async fn every_filter_selects_what_it_says() -> Result<()> {
    let (served, agent) = market().await?;
    let (poster, drafter, worker) = (account(1), account(4), account(2));
    for (query, expected) in [
        (String::new(), vec![7, 6, 5, 4, 3, 2, 1]),
        ("state=OPEN".into(), vec![7, 2, 1]),
        ("state=IN_PROGRESS".into(), vec![]),
        ("state=OPEN,CLAIMED".into(), vec![7, 4, 2, 1]),
        ("state=OPEN&state=CLAIMED".into(), vec![7, 4, 2, 1]),
        ("state=CLAIMED,IN_PROGRESS,CLAIMED".into(), vec![4]),
        ("state=DRAFT,OPEN,CANCELLED&sort=oldest".into(), vec![1, 2, 3, 6, 7]),
        ("state=SUBMITTED,CLAIMED&sort=reward_asc".into(), vec![4, 5]),
        (format!("state=OPEN,CANCELLED,DRAFT&poster={poster}&maxReward=60"), vec![6, 2, 1]),
        (format!("poster={poster}"), vec![7, 6, 5, 4, 2, 1]),
        (format!("poster={}", poster.to_string().to_lowercase()), vec![7, 6, 5, 4, 2, 1]),
        (format!("poster={drafter}&state=DRAFT"), vec![3]),
        (format!("agentId={agent}"), vec![5, 4]),
        ("agentId=18446744073709551615".into(), vec![]),
        ("minReward=50".into(), vec![7, 6, 5]),
        ("minReward=50.000001".into(), vec![7, 6]),
        ("maxReward=20".into(), vec![2, 1]),
        ("minReward=70.000001&maxReward=70.000001".into(), vec![7]),
        ("claimable=true".into(), vec![7, 2]),
        ("claimable=false".into(), vec![6, 5, 4, 3, 1]),
        ("claimable=True".into(), vec![7, 2]),
        ("claimable=False".into(), vec![6, 5, 4, 3, 1]),
        ("slashable=true".into(), vec![4]),
        ("slashable=false&state=CLAIMED".into(), vec![]),
        ("finalizable=true".into(), vec![5]),
        ("q=6".into(), vec![6]),
        ("q=99999999999999999999".into(), vec![]),
        (format!("q={drafter}"), vec![3]),
        (format!("q={worker}"), vec![5, 4]),
        ("q=https://".into(), vec![7]),
        ("q=https://example.org/50%25_off".into(), vec![7]),
        ("q=%25".into(), vec![]),
        ("q=ipfs://content&state=CANCELLED".into(), vec![6]),
    ] {
        let list = served.read(&format!("/api/runs?{query}")).await?;
        assert_eq!(ids(&list), expected, "{query}");
        assert_eq!(list["pagination"]["total"], expected.len(), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn what_time_allows_is_filtered_as_each_run_shows_it() -> Result<()> {
    let (served, _) = market().await?;
    let all = served.read("/api/runs").await?;
    for name in ["claimable", "slashable", "finalizable"] {
        for wanted in [true, false] {
            let selected = ids(&served.read(&format!("/api/runs?{name}={wanted}")).await?);
            let shown: Vec<_> = all["runs"].as_array().unwrap().iter().filter(|run| run[name] == wanted).collect();
            assert_eq!(selected.len(), shown.len(), "{name}={wanted}");
            assert!(shown.iter().all(|run| selected.contains(&run["bountyId"].as_u64().unwrap())), "{name}={wanted}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_time_allows_changes_in_the_very_second_of_its_deadline() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let offer = stack.offer(Usdc::whole(10)).await?;
    let open = poster.post(NewRun { deadline: stack.now().await? + Seconds::days(5), ..offer.clone() }).await?;
    let late = poster.post(offer.clone()).await?;
    worker.claim(late, agent).await?;
    let unanswered = poster.post(offer).await?;
    worker.claim(unanswered, agent).await?;
    worker.submit(unanswered, "ipfs://work").await?;
    let deadlines = [
        (open, "claimable", poster.run(open).await?.deadline, false),
        (late, "slashable", poster.run(late).await?.dueAt, true),
        (unanswered, "finalizable", poster.run(unanswered).await?.reviewBy, true),
    ];
    for (run, name, deadline, at_the_deadline) in deadlines {
        let deadline: u64 = deadline.to();
        for (at, expected) in [(deadline - 1, !at_the_deadline), (deadline, at_the_deadline)] {
            // Deadlines may share a second.
            if stack.now().await?.0 < at {
                stack.mine_at(Timestamp(at)).await?;
            }
            served.settle().await?;
            if stack.now().await?.0 == at {
                assert_eq!(served.read(&format!("/api/runs/{run}")).await?[name], expected, "{name} at {at}");
                assert_eq!(ids(&served.read(&format!("/api/runs?{name}={expected}&q={run}")).await?), [run.0], "{name} at {at}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_order_is_the_one_it_says() -> Result<()> {
    let (served, _) = market().await?;
    for (sort, expected) in [
        ("newest", [7, 6, 5, 4, 3, 2, 1]),
        ("oldest", [1, 2, 3, 4, 5, 6, 7]),
        ("reward_desc", [7, 6, 5, 4, 3, 2, 1]),
        ("reward_asc", [1, 2, 3, 4, 5, 6, 7]),
        ("deadline_asc", [1, 2, 3, 4, 5, 6, 7]),
        ("deadline_desc", [7, 6, 5, 4, 3, 2, 1]),
    ] {
        assert_eq!(ids(&served.read(&format!("/api/runs?sort={sort}")).await?), expected, "{sort}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_cover_the_list_once_and_end_empty() -> Result<()> {
    let (served, _) = market().await?;
    let mut seen = Vec::new();
    for page in 1..=4 {
        let list = served.read(&format!("/api/runs?page={page}&limit=2")).await?;
        assert_eq!((&list["pagination"]["total"], &list["pagination"]["totalPages"]), (&7.into(), &4.into()));
        assert_eq!((&list["pagination"]["page"], &list["pagination"]["limit"]), (&page.into(), &2.into()));
        seen.extend(ids(&list));
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    for page in ["5", "2147483647"] {
        let list = served.read(&format!("/api/runs?page={page}&limit=100")).await?;
        assert_eq!((ids(&list), &list["pagination"]["total"]), (vec![], &7.into()), "page {page}");
    }
    Ok(())
}

#[tokio::test]
async fn what_lies_too_deep_for_a_page_is_read_by_cursor_and_what_is_not_counted_is_said_to_be() -> Result<()> {
    let (Served { stack, indexer, api, .. }, _) = market().await?;
    drop(api);
    let mut served = Served::unindexed(stack, |config| config.database.look = 3).await?;
    served.indexer = indexer;
    let query = "claimable=false&sort=deadline_asc&limit=2";
    let first = served.read(&format!("/api/runs?{query}")).await?;
    assert_eq!(ids(&first), [1, 3]);
    assert_eq!(first["pagination"]["totalIsEstimate"], true, "{:#}", first["pagination"]);
    served.get(&format!("/api/runs?{query}&page=3")).await?.require_field(400, "page_too_deep", "page")?;
    let (mut found, mut part) = (ids(&first), first);
    while let Some(next) = part["pagination"]["next"].as_str() {
        part = served.read(&format!("/api/runs?cursor={next}&limit=2")).await?;
        found.extend(ids(&part));
    }
    assert_eq!(found, [1, 3, 4, 5, 6]);
    // What is counted, or found by an index, is exact.
    for (query, total) in [("state=OPEN", 3), ("claimable=true", 2), ("q=6", 1), ("q=ipfs://nothing&sort=reward_desc", 0)] {
        let list = served.read(&format!("/api/runs?{query}")).await?;
        assert_eq!((&list["pagination"]["total"], list["pagination"].get("totalIsEstimate")), (&total.into(), None), "{query}");
    }
    // Without a filter a page is found by its number, however deep.
    assert_eq!(ids(&served.read("/api/runs?limit=1&page=7").await?), [1]);
    Ok(())
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() -> Result<()> {
    let served = Served::start().await?;
    let wrong = "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    for (query, code, field) in [
        ("limit=0", "invalid_value", "limit"),
        ("limit=101", "invalid_value", "limit"),
        ("limit=-1", "invalid_value", "limit"),
        ("limit=ten", "invalid_value", "limit"),
        ("limit=", "invalid_value", "limit"),
        ("limit=99999999999999999999", "invalid_value", "limit"),
        ("page=0", "invalid_value", "page"),
        ("page=-1", "invalid_value", "page"),
        ("page=1.5", "invalid_value", "page"),
        ("page=2147483648", "invalid_value", "page"),
        ("state=open", "invalid_value", "state"),
        ("state=", "invalid_value", "state"),
        ("state=DONE", "invalid_value", "state"),
        ("state=OPEN,", "invalid_value", "state"),
        ("state=OPEN,done", "invalid_value", "state"),
        ("minReward=100000000000", "invalid_value", "minReward"),
        ("maxReward=72057594037.927936", "invalid_value", "maxReward"),
        ("minReward=-1", "invalid_value", "minReward"),
        ("minReward=1.0000001", "invalid_value", "minReward"),
        ("minReward=1e3", "invalid_value", "minReward"),
        ("minReward=abc", "invalid_value", "minReward"),
        ("maxReward=", "invalid_value", "maxReward"),
        ("poster=0x12", "invalid_value", "poster"),
        (&format!("poster={wrong}"), "invalid_value", "poster"),
        ("agentId=-1", "invalid_value", "agentId"),
        ("agentId=1.0", "invalid_value", "agentId"),
        ("claimable=yes", "invalid_value", "claimable"),
        ("sort=best", "invalid_value", "sort"),
        ("q=", "invalid_value", "q"),
        ("foo=1", "unknown_field", "foo"),
        ("min_reward=1", "unknown_field", "min_reward"),
        ("page=1&page=2", "duplicate_field", "page"),
        ("limit=1&limit=1", "duplicate_field", "limit"),
        ("state=OPEN&state=done", "invalid_value", "state"),
    ] {
        served.get(&format!("/api/runs?{query}")).await?.require_field(400, code, field)?;
    }
    let whole = served.get("/api/runs?minReward=100000000000").await?;
    assert!(whole.body["detail"].as_str().is_some_and(|detail| detail.contains("100 is 100 USDC")), "{}", whole.body);
    served.get("/api/agents?state=OPEN").await?.require_field(400, "unknown_field", "state")?;
    served.get("/api/agents?limit=1000").await?.require_field(400, "invalid_value", "limit")?;
    for path in ["/api/runs/1", "/api/runs/1/events", "/api/agents/1", "/api/agents/1/stake", "/api/config", "/api/stats", "/api/status"] {
        served.get(&format!("{path}?verbose=1")).await?.require_field(400, "unknown_field", "verbose")?;
    }
    Ok(())
}

#[tokio::test]
async fn inline_content_is_shown_and_found_by_its_words_and_tags() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.actor(1).await?;
    let contents = [
        "data:application/json,%7B%22title%22%3A%22Sync%20a%20calendar%22%2C%22description%22%3A%22Both%20ways%22%2C%22tags%22%3A%5B%22Front%20End%22%2C%22rust%22%5D%7D",
        "data:application/json;charset=utf-8;base64,eyJ0aXRsZSI6IkNhbGVuZGFyIGFydCIsImFjY2VwdGFuY2UiOiJUd2VsdmUgbW9udGhzIn0=",
        "data:application/json,{\"title\":\"\\ud800 calendar\"}",
        "data:application/json,{\"title\":\"\\u0000rust\\u0000\",\"tags\":[\"\\u0000\"]}",
        "ipfs://calendar",
    ];
    for content in contents {
        poster.draft(NewRun { content_uri: content.into(), ..stack.offer(Usdc::whole(1)).await? }).await?;
    }
    served.settle().await?;
    for (query, expected) in [
        ("q=calendar", vec![2, 1]),
        ("q=CALENDAR,%20sync!", vec![1]),
        ("q=calendar%20months", vec![2]),
        ("q=calend", vec![]),
        ("q=front", vec![1]),
        ("q=--", vec![]),
        ("q=rust", vec![4, 1]),
        ("tag=rust", vec![1]),
        ("tag=front%20%20END", vec![1]),
        ("tag=front", vec![]),
        ("tag=%00", vec![]),
        ("tag=rust&q=calendar&state=DRAFT,OPEN", vec![1]),
        ("tag=rust&state=OPEN", vec![]),
        ("q=ipfs://cal", vec![5]),
        ("q=data:application/json;charset", vec![2]),
    ] {
        let list = served.read(&format!("/api/runs?{query}")).await?;
        assert_eq!(ids(&list), expected, "{query}");
        assert_eq!(list["pagination"]["total"], expected.len(), "{query}");
    }
    let content = |title: &str, description: Option<&str>, acceptance: Option<&str>, tags: &[&str]| {
        json!({
            "title": title, "description": description, "acceptance": acceptance, "tags": tags,
        })
    };
    for (id, expected) in [
        (1, content("Sync a calendar", Some("Both ways"), None, &["Front End", "rust"])),
        (2, content("Calendar art", None, Some("Twelve months"), &[])),
        (3, Value::Null),
        (4, content("\0rust\0", None, None, &["\0"])),
        (5, Value::Null),
    ] {
        assert_eq!(served.read(&format!("/api/runs/{id}")).await?["content"], expected, "run {id}");
    }
    Ok(())
}

#[tokio::test]
async fn agents_are_listed_by_status_and_in_every_order() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (_, provisional) = stack.staked_agent(2).await?;
    let bare = stack.actor(3).await?.register("ipfs://bare").await?;
    let (worker, busy) = stack.staked_agent(4).await?;
    stack.mint(worker.address(), Usdc::whole(30)).await?;
    worker.stake(busy, Usdc::whole(30)).await?;
    for _ in 0..5 {
        let run = poster.post(stack.offer(Usdc::whole(10)).await?).await?;
        worker.claim(run, busy).await?;
        worker.submit(run, "ipfs://work").await?;
        poster.approve(run).await?;
    }
    let (sleeper, frozen) = stack.staked_agent(5).await?;
    let late = poster.post(stack.offer(Usdc::whole(10)).await?).await?;
    sleeper.claim(late, frozen).await?;
    served.settle().await?;
    let order = async |query: &str| -> Result<Vec<u64>> {
        let list = served.read(&format!("/api/agents?{query}")).await?;
        let ids: Vec<u64> = list["agents"].as_array().unwrap().iter().map(|agent| agent["id"].as_u64().unwrap()).collect();
        assert_eq!(list["pagination"]["total"], ids.len(), "{query}");
        // The same one by one, there by cursor.
        let mut one_by_one = Vec::new();
        let mut part = served.read(&format!("/api/agents?{query}&limit=1")).await?;
        loop {
            one_by_one.extend(part["agents"].as_array().unwrap().iter().map(|agent| agent["id"].as_u64().unwrap()));
            let Some(next) = part["pagination"]["next"].as_str() else { break };
            part = served.read(&format!("/api/agents?cursor={next}&limit=1")).await?;
        }
        assert_eq!(one_by_one, ids, "{query}");
        Ok(ids)
    };
    let [provisional, bare, busy, frozen] = [provisional, bare, busy, frozen].map(|agent| agent.0);
    assert_eq!(order("sort=newest").await?, [frozen, busy, bare, provisional]);
    assert_eq!(order("sort=oldest").await?, [provisional, bare, busy, frozen]);
    assert_eq!(order("sort=stake_desc").await?, [busy, frozen, provisional, bare]);
    assert_eq!(order("sort=score_desc").await?, [busy, frozen, bare, provisional]);
    assert_eq!(order("sort=volume_desc").await?, [busy, frozen, bare, provisional]);
    assert_eq!(order("sort=completions_desc&status=PROVISIONAL,UNVERIFIED").await?, [busy, frozen, bare, provisional]);
    assert_eq!(order("status=ESTABLISHED").await?, [0; 0]);
    // Status is a matter of time, and in the very second.
    let since: u64 = {
        let list = served.read(&format!("/api/agents/{busy}/stake")).await?;
        time::OffsetDateTime::parse(list["stakedAt"].as_str().unwrap(), &time::format_description::well_known::Rfc3339)?
            .unix_timestamp()
            .try_into()?
    };
    for (at, expected) in [(since + 30 * 86_400 - 1, vec![]), (since + 30 * 86_400, vec![busy])] {
        stack.mine_at(Timestamp(at)).await?;
        served.settle().await?;
        assert_eq!(order("status=ESTABLISHED").await?, expected);
        let shown = served.read("/api/agents").await?;
        for agent in shown["agents"].as_array().unwrap() {
            let status = agent["status"].as_str().unwrap();
            assert!(order(&format!("status={status}")).await?.contains(&agent["id"].as_u64().unwrap()), "{agent}");
        }
    }
    poster.slash(late).await?;
    served.settle().await?;
    assert_eq!(order("status=FROZEN,BANNED").await?, [frozen]);
    assert_eq!(order("sort=score_desc").await?.last(), Some(&frozen));
    served.get("/api/agents?status=GOOD").await?.require_field(400, "invalid_value", "status")?;
    served.get("/api/agents?sort=best").await?.require_field(400, "invalid_value", "sort")?;
    Ok(())
}

#[tokio::test]
async fn posters_are_listed_in_every_order() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let (worker, agent) = stack.staked_agent(2).await?;
    let payer = stack.funded_actor(1, Usdc::whole(100)).await?;
    let paid = payer.post(stack.offer(Usdc::whole(50)).await?).await?;
    worker.claim(paid, agent).await?;
    worker.submit(paid, "ipfs://work").await?;
    payer.approve(paid).await?;
    let funder = stack.funded_actor(3, Usdc::whole(100)).await?;
    let drafter = stack.actor(4).await?;
    for _ in 0..2 {
        funder.post(stack.offer(Usdc::whole(10)).await?).await?;
    }
    for _ in 0..3 {
        drafter.draft(stack.offer(Usdc::whole(10)).await?).await?;
    }
    served.settle().await?;
    let accounts = |list: &Value| -> Vec<String> {
        list["posters"].as_array().unwrap().iter().map(|poster| poster["address"].as_str().unwrap().to_owned()).collect()
    };
    for (sort, first) in [("volume_desc", 1), ("funded_desc", 3), ("created_desc", 4)] {
        let list = served.read(&format!("/api/posters?sort={sort}")).await?;
        assert_eq!((accounts(&list)[0].clone(), &list["pagination"]["total"]), (account(first).to_checksum(None), &3.into()), "{sort}");
        let page = served.read(&format!("/api/posters?sort={sort}&limit=2")).await?;
        let next = page["pagination"]["next"].as_str().unwrap();
        let rest = served.read(&format!("/api/posters?cursor={next}")).await?;
        assert_eq!([accounts(&page), accounts(&rest)].concat(), accounts(&list), "{sort}");
        for poster in list["posters"].as_array().unwrap() {
            assert_eq!(&served.read(&format!("/api/posters/{}", poster["address"].as_str().unwrap())).await?, poster);
        }
    }
    Ok(())
}
