//! Killed processes, databases and nodes that go away, nodes that lie, and events that cannot be.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    sol_types::{SolCall, SolEvent, SolValue},
};
use clawpay_bindings::{AgentRegistry, Deployment, RunEscrow};
use clawpay_cli::local::{Anvil, AnvilOptions, Toolbox};
use clawpay_domain::{RunId, Usdc};
use clawpay_indexer::Config;
use clawpay_tests::{Following, IndexDump, Indexer, Lie, LyingNode, OPERATOR, Stack, create_database, indexed_block, scratch};

use super::{assert_equals_fresh, execute, hash_at, index_process, number, run_column, trade};

#[tokio::test]
async fn an_indexer_killed_at_any_point_of_its_backfill_loses_and_repeats_nothing() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    stack.mine(150).await?;
    // One block per transaction, so that most of the time there is one to be cut short.
    let node = LyingNode::start(vec![stack.rpc_url()], Lie::RefusesRangesOver(1)).await?;
    let head = stack.head_block().await?;
    let directory = scratch()?;
    let mut under_way = 0;
    for attempt in 0..40_u64 {
        let before = indexed_block(&url).await?;
        let mut process = index_process(&stack, node.url().as_str(), &url, directory.path(), "warn")?;
        let started = Instant::now();
        while indexed_block(&url).await? == before {
            process.require_running()?;
            anyhow::ensure!(started.elapsed() < Duration::from_secs(60), "it indexes nothing: {}", process.output());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // In steps that are no multiple of its own.
        tokio::time::sleep(Duration::from_millis(attempt * 3 % 37)).await;
        // Killed.
        drop(process);
        if indexed_block(&url).await?.is_some_and(|(_, hash)| head.1 == hash) {
            break;
        }
        under_way += 1;
    }
    assert!(under_way > 0, "no kill hit a backfill under way");
    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_database_that_restarts_is_waited_for() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    // Connections are cut first; then the server itself crashes and recovers, as it does whenever one of its processes is killed.
    execute(&url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'clawpay indexer'").await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    let backend = number(&url, "SELECT pid::bigint FROM pg_stat_activity WHERE application_name = 'clawpay indexer'").await?;
    Command::new("kill").args(["-9", &backend.to_string()]).status()?;
    trade(&stack).await?;

    assert_equals_fresh(&stack, &url, "fresh").await?;
    assert!(!indexer.has_ended());
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_away_is_waited_for() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let node = LyingNode::start(vec![stack.rpc_url()], Lie::Away).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!indexer.has_ended());
    for _ in 0..2 {
        node.tell(Lie::None);
        stack.until_indexed(&url).await?;
        node.tell(Lie::Away);
        trade(&stack).await?;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    node.tell(Lie::None);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_killed_and_started_again_is_followed_on() -> anyhow::Result<()> {
    let Following { mut stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    let state = stack.provider().anvil_dump_state().await?;
    stack.node.process().kill();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let directory = scratch()?;
    let saved = directory.path().join("state.json");
    std::fs::write(saved.with_extension("json.gz"), state)?;
    anyhow::ensure!(Command::new("gzip").arg("-d").arg(saved.with_extension("json.gz")).status()?.success());
    let port = stack.rpc_url().port().unwrap_or_default();
    let options = AnvilOptions { port, directory: directory.path().to_owned(), state: Some(saved), genesis_time: None };
    stack.node = Anvil::start(&Toolbox::find()?, &options)?;
    trade(&stack).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() -> anyhow::Result<()> {
    let stack = Stack::node().await?;
    let indexer = Indexer::start(stack.index_config(), "postgres://nobody@127.0.0.1:1/nowhere")?;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!indexer.has_ended());
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn lies_that_pass_leave_the_rows_of_a_fresh_index() -> anyhow::Result<()> {
    let (stack, server) = Stack::and_database().await?;
    trade(&stack).await?;
    stack.mine(70).await?;
    trade(&stack).await?;
    let honest = stack.fresh_index("honest").await?;
    for (name, lie) in [
        ("drops", Lie::DropsALog(12)),
        ("hides", Lie::HidesLogs(12)),
        ("hides_filters", Lie::HidesLogsAndFilters(12)),
        ("truncates", Lie::TruncatesLogs(3)),
        ("repeats", Lie::RepeatsLogs(12)),
        ("reverses", Lie::ReversesLogs(12)),
        ("misplaces", Lie::MisplacesLogs(12)),
        ("changes_headers", Lie::ChangesHeaders(12)),
        ("loses_blocks", Lie::LosesBlocks(12)),
        ("narrow", Lie::RefusesRangesOver(7)),
        ("one_block", Lie::RefusesRangesOver(1)),
        ("suggests", Lie::SuggestsRangesOf(13)),
        ("results", Lie::RefusesResultsOver(20)),
    ] {
        let url = create_database(&server, name).await?;
        let node = LyingNode::start(vec![stack.rpc_url()], lie).await?;
        let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
        stack.until_indexed(&url).await.map_err(|error| error.context(name))?;
        IndexDump::read(&url).await?.assert_same(&honest);
        indexer.stop().await??;
        assert!(is_told(node.lie()), "{name} did not lie to the end");
    }
    Ok(())
}

/// Whether a counted lie was told as often as it was to be.
const fn is_told(lie: Lie) -> bool {
    !matches!(
        lie,
        Lie::DropsALog(1..)
            | Lie::HidesLogs(1..)
            | Lie::HidesLogsAndFilters(1..)
            | Lie::TruncatesLogs(1..)
            | Lie::RepeatsLogs(1..)
            | Lie::ReversesLogs(1..)
            | Lie::MisplacesLogs(1..)
            | Lie::ChangesHeaders(1..)
            | Lie::LosesBlocks(1..)
    )
}

/// What no honest node says, said of everything and without end, keeps the index where it is.
async fn never_written(lie: Lie) -> anyhow::Result<()> {
    let (Following { stack, url, indexer }, node) = Following::through_a_liar().await?;
    node.tell(lie);
    let before = stack.head().await?;
    let registrar = stack.actor(1).await?;
    for _ in 0..2 {
        registrar.register("ipfs://agent").await?;
    }
    node.until_looked_at(6).await?;
    let indexed = indexed_block(&url).await?.map(|(number, _)| number);
    assert_eq!(indexed, Some(before));
    assert!(!indexer.has_ended());

    node.tell(Lie::None);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_block_with_a_log_missing_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::DropsALog(usize::MAX)).await
}

#[tokio::test]
async fn a_block_without_its_logs_and_receipts_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::HidesLogs(usize::MAX)).await
}

#[tokio::test]
async fn a_block_whose_filter_was_emptied_too_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::HidesLogsAndFilters(usize::MAX)).await
}

#[tokio::test]
async fn a_block_whose_logs_came_twice_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::RepeatsLogs(usize::MAX)).await
}

#[tokio::test]
async fn a_block_whose_logs_are_of_another_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::MisplacesLogs(usize::MAX)).await
}

#[tokio::test]
async fn a_block_that_does_not_match_its_hash_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::ChangesHeaders(usize::MAX)).await
}

#[tokio::test]
async fn a_block_that_is_null_is_never_written() -> anyhow::Result<()> {
    never_written(Lie::LosesBlocks(usize::MAX)).await
}

#[tokio::test]
async fn a_node_that_is_asked_too_often_is_left_alone_as_long_as_it_says() -> anyhow::Result<()> {
    let (Following { stack, url, indexer }, node) = Following::through_a_liar().await?;
    node.tell(Lie::Busy(2));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = node.requests();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(node.requests(), asked, "it was not left alone");

    node.tell(Lie::BusyInWords);
    trade(&stack).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!indexer.has_ended());
    node.tell(Lie::None);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_block_that_is_unknown_for_a_moment_is_looked_for_again_by_the_same_writer() -> anyhow::Result<()> {
    const WRITER: &str = "SELECT pid::bigint FROM pg_stat_activity WHERE application_name = 'clawpay indexer'";
    let (Following { stack, url, indexer }, node) = Following::through_a_liar().await?;
    let writer = number(&url, WRITER).await?;
    node.tell(Lie::ForgetsBlocks(12));
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    assert_eq!(node.lie(), Lie::ForgetsBlocks(0));
    assert_eq!(number(&url, WRITER).await?, writer, "the lock was given up");
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn an_older_head_is_no_reorganisation() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let node = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    let older = stack.head().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    for height in [older, stack.head().await? - 1, older + 3] {
        node.tell(Lie::EndsAt(height));
        tokio::time::sleep(Duration::from_millis(600)).await;
        before.assert_same(&IndexDump::read(&url).await?);
    }
    node.tell(Lie::None);
    trade(&stack).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// Two agents register in one block, and the answer about a range ends between them: the block's filter knows no difference.
#[tokio::test]
async fn an_answer_that_ends_inside_a_block_is_noticed() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    stack.provider().anvil_set_auto_mine(false).await?;
    let registry = stack.deployment.contracts.agent_registry;
    let calldata = AgentRegistry::register_2Call { agentURI: "ipfs://agent".to_owned() }.abi_encode();
    for account in [1, 2] {
        let from = stack.actor(account).await?.address();
        let request = TransactionRequest::default().from(from).to(registry).input(calldata.clone().into());
        drop(stack.provider().send_transaction(request).await?);
    }
    stack.mine(1).await?;
    stack.provider().anvil_set_auto_mine(true).await?;
    stack.mine(100).await?;
    let node = LyingNode::start(vec![stack.rpc_url()], Lie::DropsALog(1)).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    let dump = assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(dump.count("agents"), 2);
    assert_eq!(node.lie(), Lie::DropsALog(0));
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_log_kept_back_for_good_is_never_passed() -> anyhow::Result<()> {
    let (Following { stack, url, indexer }, node) = Following::through_a_liar().await?;
    let before = indexed_block(&url).await?;
    node.tell(Lie::DropsALog(usize::MAX));
    let (_, agent) = stack.staked_agent(2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let registered = stack.head().await? - 2;
    assert!(indexed_block(&url).await?.is_some_and(|(number, _)| number < registered), "{before:?}");

    node.tell(Lie::None);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(number(&url, "SELECT id FROM agents").await?, i64::try_from(agent.0)?);
    indexer.stop().await??;
    Ok(())
}

/// Another node that shares this one's chain, and three empty blocks where this one cancels a run.
pub(super) async fn fork(stack: &Stack) -> anyhow::Result<Stack> {
    trade(stack).await?;
    let shared = stack.head().await?;
    let other = Stack::node().await?;
    let state = stack.provider().anvil_dump_state().await?;
    anyhow::ensure!(other.provider().anvil_load_state(state).await?, "the state was not taken over");
    assert_eq!(hash_at(stack, shared).await?, hash_at(&other, shared).await?);
    stack.actor(1).await?.cancel(RunId(5)).await?;
    other.mine(3).await?;
    assert_ne!(hash_at(stack, shared + 1).await?, hash_at(&other, shared + 1).await?);

    Ok(other)
}

#[tokio::test]
async fn a_block_that_does_not_build_on_the_last_is_not_written() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    let node = LyingNode::start(vec![stack.rpc_url(), other.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    // The next block is another fork's, while the last one looks as it did.
    node.tell(Lie::SplitsAt(stack.head().await?));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    before.assert_same(&IndexDump::read(&url).await?);

    node.tell(Lie::None);
    stack.mine(4).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// The node goes to another branch while the common ancestor is looked for: the last blocks asked for differ from those indexed, those below
/// them do not, and the two do not fit together.
#[tokio::test]
async fn blocks_are_not_undone_down_to_one_that_their_rivals_do_not_build_on() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    for chain in [&stack, &other] {
        chain.mine(12).await?;
    }
    let node = LyingNode::start(vec![stack.rpc_url(), other.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    let head = stack.head().await?;
    for depth in 1..10 {
        node.tell(Lie::SplitsAt(head - depth));
        node.until_looked_at(2).await?;
        before.assert_same(&IndexDump::read(&url).await?);
    }
    assert!(!indexer.has_ended());

    node.tell(Lie::None);
    stack.mine(4).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn two_nodes_on_different_forks_behind_one_address_corrupt_nothing() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    let node = LyingNode::start(vec![stack.rpc_url(), other.rpc_url()], Lie::MixesForks).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    stack.mine(2).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    node.tell(Lie::None);
    stack.mine(1).await?;

    assert!(!indexer.has_ended());
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// The blocks come from one branch and the word on what is final from another, when not even the first block indexed is on that branch.
#[tokio::test]
async fn a_first_block_is_not_replaced_against_what_is_final() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    let parted = stack.head().await?;
    let deployment = Deployment { deployment_block: parted + 1, ..stack.deployment };
    stack.mine(3).await?;
    let indexer = Indexer::start(Config::new(stack.rpc_url(), deployment), &url)?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let before = IndexDump::read(&url).await?;
    // Each node calls final what is this far below its head.
    for chain in [&stack, &other] {
        chain.mine(parted + 64 - chain.head().await?).await?;
    }
    let node = LyingNode::start(vec![other.rpc_url(), stack.rpc_url()], Lie::NamesAnotherFinal).await?;
    let indexer = Indexer::start(Config::new(node.url(), deployment), &url)?;
    node.until_looked_at(4).await?;
    before.assert_same(&IndexDump::read(&url).await?);
    assert!(!indexer.has_ended());

    node.tell(Lie::None);
    other.until_indexed(&url).await?;
    indexer.stop().await??;
    let fresh = create_database(&url, "fresh").await?;
    let indexer = Indexer::start(Config::new(other.rpc_url(), deployment), &fresh)?;
    other.until_indexed(&fresh).await?;
    indexer.stop().await??;
    IndexDump::read(&url).await?.assert_same(&IndexDump::read(&fresh).await?);
    Ok(())
}

/// Code that emits its calldata: two topics, then the data.
const EMITTER: [u8; 20] = hex!("602035600035604036038060406000376000a200");

/// Makes `contract` emit logs that its own code never would.
async fn emit(stack: &Stack, contract: Address, logs: Vec<(B256, B256, Vec<u8>)>) -> anyhow::Result<()> {
    let provider = stack.provider();
    let code = provider.get_code_at(contract).await?;
    provider.anvil_set_code(contract, Bytes::from(EMITTER)).await?;
    let from = stack.actor(OPERATOR).await?.address();
    for (signature, topic, data) in logs {
        let calldata = [signature.as_slice(), topic.as_slice(), &data].concat();
        let request =
            TransactionRequest { gas: Some(15_000_000), ..TransactionRequest::default().from(from).to(contract).input(calldata.into()) };
        let receipt = provider.send_transaction(request).await?.get_receipt().await?;
        anyhow::ensure!(receipt.status() && receipt.logs().len() == 1, "not emitted");
    }
    provider.anvil_set_code(contract, code).await?;
    Ok(())
}

#[tokio::test]
async fn events_that_cannot_be_are_kept_flagged_and_change_nothing_else() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    let open = RunId(5);
    let word = |number: u64| B256::from(U256::from(number));
    let escrow = stack.deployment.contracts.run_escrow;
    let (funded, started) = (RunEscrow::RunFunded::SIGNATURE_HASH, RunEscrow::RunStarted::SIGNATURE_HASH);
    emit(
        &stack,
        escrow,
        vec![
            // A run never created, an edge that is not one, an amount that is not its own, an id beyond all ids, data that is no encoding.
            (funded, word(99), U256::from(1).abi_encode()),
            (started, word(open.0), Vec::new()),
            (RunEscrow::RunCancelled::SIGNATURE_HASH, word(open.0), U256::from(7).abi_encode()),
            (started, B256::repeat_byte(0xff), Vec::new()),
            (RunEscrow::RunSubmitted::SIGNATURE_HASH, word(open.0), vec![1, 2, 3]),
            (B256::repeat_byte(0xab), word(1), b"\0 nobody's event \xff".to_vec()),
        ],
    )
    .await?;
    stack.mine(100).await?;

    let indexer = Indexer::start(stack.index_config(), &url)?;
    let dump = assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(number(&url, "SELECT count(*) FROM events WHERE refusal IS NOT NULL").await?, 5);
    assert_eq!(number(&url, "SELECT count(*) FROM events WHERE name IS NULL").await?, 1);
    assert_eq!(dump.count("runs"), 5);
    assert_eq!(run_column(&url, open, "state").await?.as_deref(), Some("OPEN"));
    let inconsistency = run_column(&url, open, "inconsistency").await?;
    assert!(inconsistency.is_some_and(|text| text.starts_with("event is emitted, expected")));
    assert_eq!(number(&url, "SELECT count(*) FROM runs WHERE inconsistency IS NOT NULL").await?, 1);

    // The run goes on from what can be believed.
    stack.actor(1).await?.cancel(open).await?;
    assert_equals_fresh(&stack, &url, "later").await?;
    assert_eq!(run_column(&url, open, "state").await?.as_deref(), Some("CANCELLED"));
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_flag_is_undone_with_the_event_that_raised_it() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    let fork = stack.provider().anvil_snapshot().await?;
    let started = (RunEscrow::RunStarted::SIGNATURE_HASH, B256::from(U256::from(5)), Vec::new());
    emit(&stack, stack.deployment.contracts.run_escrow, vec![started]).await?;
    stack.until_indexed(&url).await?;
    assert!(run_column(&url, RunId(5), "inconsistency").await?.is_some());
    stack.provider().anvil_revert(fork).await?;
    stack.mine(4).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(run_column(&url, RunId(5), "inconsistency").await?, None);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn text_that_is_no_text_is_kept_byte_for_byte() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    stack.staked_agent(2).await?;
    let registry = stack.deployment.contracts.agent_registry;
    let poison = [b"\0nul".to_vec(), b"\xff\xfe\xc3(".to_vec(), vec![0; 100_000]];
    let updated = AgentRegistry::URIUpdated::SIGNATURE_HASH;
    for (index, uri) in poison.into_iter().enumerate() {
        let data = (Bytes::from(uri.clone()),).abi_encode_params();
        emit(&stack, registry, vec![(updated, B256::from(U256::from(1)), data)]).await?;
        assert_equals_fresh(&stack, &url, &format!("fresh_{index}")).await?;
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await?;
        let kept: Vec<u8> = sqlx::query_scalar("SELECT uri FROM agents").fetch_one(&mut connection).await?;
        assert_eq!(kept, uri);
    }
    assert_eq!(number(&url, "SELECT count(*) FROM events WHERE refusal IS NOT NULL").await?, 0);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn stopping_takes_less_than_a_second_whatever_it_is_doing() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    stack.funded_actor(1, Usdc::whole(1)).await?;
    for _ in 0..3 {
        stack.mine(500).await?;
    }
    for pause in [0, 30, 90, 200] {
        let indexer = Indexer::start(stack.index_config(), &url)?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let asked = Instant::now();
        indexer.stop().await??;
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
    Ok(())
}
