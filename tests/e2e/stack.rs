//! The fixture itself: what every other test here relies on.

use clawpay_domain::{RunState, Seconds, Usdc};
use clawpay_tests::Stack;

#[tokio::test]
async fn a_run_goes_from_posted_to_paid_on_a_fresh_chain() -> anyhow::Result<()> {
    let stack = Stack::node().await?;
    let poster = stack.funded_actor(1, Usdc::whole(105)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;

    let run = poster.post(stack.offer(Usdc::whole(100)).await?).await?;
    worker.claim(run, agent).await?;
    worker.submit(run, "ipfs://deliverable").await?;
    poster.approve(run).await?;

    assert_eq!(poster.run(run).await?.state, RunState::Approved.index());
    assert_eq!(poster.balance().await?, Usdc::ZERO);
    assert_eq!(worker.balance().await?, Usdc::whole(100));
    Ok(())
}

#[tokio::test]
async fn chain_time_passes_by_exactly_what_was_asked() -> anyhow::Result<()> {
    let stack = Stack::node().await?;
    let before = stack.now().await?;
    stack.mine_at(before + Seconds::days(7)).await?;
    assert_eq!(stack.now().await?, before + Seconds::days(7));
    Ok(())
}

#[tokio::test]
async fn a_database_answers_and_ends_with_its_stack() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    let url: url::Url = stack.database_url()?.parse()?;
    let address = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(stack);
    assert!(std::net::TcpStream::connect(&address).is_err());
    Ok(())
}

#[tokio::test]
async fn no_page_of_a_browser_may_ask_the_local_node() -> anyhow::Result<()> {
    const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":[]}"#;
    let stack = Stack::node().await?;
    let client = reqwest::Client::new();
    for origin in ["https://page.example", "http://127.0.0.1:3000", "null"] {
        let preflight = client
            .request(reqwest::Method::OPTIONS, stack.rpc_url())
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
            .await?;
        let allowed = preflight.headers().get("access-control-allow-origin");
        assert!(allowed.is_none_or(|allowed| allowed != "*" && allowed != origin), "{origin}: {allowed:?}");
        // What a browser sends without asking first does nothing.
        let simple = client.post(stack.rpc_url()).header("origin", origin).header("content-type", "text/plain").body(BODY).send().await?;
        let said = simple.text().await?;
        assert!(said.contains("Invalid request"), "{origin}: {said}");
    }
    Ok(())
}
