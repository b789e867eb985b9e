//! What is written is what is read, to the last unit and byte.

use alloy::primitives::{Address, B256, Bytes, U256};
use clawpay_domain::{
    Agent, AgentId, Claim, Parameters, Run, RunId, RunState, SlashEntry, StakeRecord, Submission, Terms, Timestamp, TrackRecord, Usdc,
};
use clawpay_store::{AgentRecord, Block, Chain, EventRecord, RunRecord, StateDigest, StoreError, Tags, Writer};
use clawpay_tests::Stack;

/// The largest number that a column of 64 bits holds.
const LARGEST: u64 = i64::MAX.unsigned_abs();

const START: Block = block(9, 1);

const fn block(number: u64, fill: u8) -> Block {
    Block { number, hash: B256::repeat_byte(fill), parent_hash: B256::repeat_byte(fill - 1), timestamp: Timestamp(1_700_000_000 + number) }
}

const fn tags(head: u64, finalized: Option<u64>) -> Tags {
    Tags { head, safe: None, finalized }
}

fn chain() -> Chain {
    Chain {
        chain_id: 31_337,
        genesis_hash: B256::repeat_byte(9),
        run_escrow: Address::repeat_byte(4),
        agent_stake: Address::repeat_byte(3),
        agent_registry: Address::repeat_byte(2),
        usdc: Address::repeat_byte(1),
        forwarder: Address::repeat_byte(5),
        deployment_block: 10,
        parameters: Parameters::default(),
    }
}

/// Amounts that a narrower type would lose: 0, 1, 2^64, 2^128 - 1, 2^256 - 1.
fn amounts() -> [Usdc; 5] {
    [U256::ZERO, U256::ONE, U256::ONE << 64, U256::from(u128::MAX), U256::MAX].map(Usdc)
}

fn run(id: u64, amount: Usdc, state: RunState) -> RunRecord {
    let at = Timestamp(LARGEST);
    let poison = Bytes::from_static(b"\0 \xff\xfe");
    RunRecord {
        run: Run {
            id: RunId(id),
            terms: Terms {
                poster: Address::repeat_byte(0xaa),
                reward: amount,
                fee: amount,
                deadline: at,
                max_revisions: 3,
                content_uri: poison.clone(),
            },
            state,
            claim: Some(Claim { agent: AgentId(0), wallet: Address::ZERO, stake_at_risk: amount, at }),
            submission: Some(Submission { deliverable_uri: poison.clone(), at }),
            revisions: 2,
            feedback: Some(poison),
            due_at: Some(at),
            review_by: None,
            created_at: Timestamp(0),
            funded_at: Some(at),
            settled_at: None,
            finalized_by_silence: true,
        },
        tx_hash: B256::repeat_byte(0xee),
        updated_block: 10,
        inconsistency: Some("amount is 1, expected 2".to_owned()),
    }
}

/// With nothing in it that may be missing.
fn bare(id: u64) -> RunRecord {
    let record = run(id, Usdc::ZERO, RunState::Draft);
    let run = Run { claim: None, submission: None, feedback: None, due_at: None, funded_at: None, ..record.run };
    RunRecord { run, inconsistency: None, ..record }
}

fn event(block: &Block, log_index: u64) -> EventRecord {
    let is_known = log_index.is_multiple_of(2);
    EventRecord {
        block_number: block.number,
        log_index,
        block_hash: block.hash,
        timestamp: block.timestamp,
        tx_hash: B256::repeat_byte(0xee),
        tx_index: LARGEST,
        contract: Address::repeat_byte(4),
        topics: vec![B256::repeat_byte(7); usize::try_from(log_index % 5).unwrap_or_default()],
        data: Bytes::from(vec![0; usize::try_from(log_index).unwrap_or_default()]),
        name: is_known.then(|| "RunFunded".to_owned()),
        run: is_known.then_some(RunId(LARGEST)),
        agent: (!is_known).then_some(AgentId(0)),
        refusal: (!is_known).then(|| "no run 7".to_owned()),
    }
}

#[tokio::test]
async fn every_state_and_amount_survives_the_database() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    let writer = Writer::new(&stack.database_url()?)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.expect("nobody else");
    session.initialise(&chain(), &START, &tags(12, None)).await?;
    assert_eq!(session.chain().await?, Some(chain()));

    let runs: Vec<_> =
        RunState::ALL.iter().zip(amounts().into_iter().cycle()).zip(1..).map(|((state, amount), id)| run(id, amount, *state)).collect();
    let runs: Vec<_> = runs.into_iter().chain([bare(11)]).collect();
    let agents: Vec<_> = amounts()
        .into_iter()
        .zip(0..)
        .map(|(amount, id)| {
            let record = StakeRecord {
                stake: amount,
                owed: amount,
                runs_in_hand: LARGEST,
                slashes: 2,
                completions: LARGEST,
                staked_since: Some(Timestamp(5)),
            };
            let slash_history = vec![SlashEntry { run: RunId(7), amount, at: Timestamp(6) }; 2];
            let track = TrackRecord { claimed: 1, rejected: 0, volume: amount };
            let agent = Agent { record, track, slash_history, ..Agent::unknown(AgentId(id)) };
            AgentRecord { agent, updated_block: 10, inconsistency: None }
        })
        .collect();
    let mut batch = session.begin(START.number, START.hash).await?;
    batch.save(&runs.iter().collect::<Vec<_>>(), &[], &agents.iter().collect::<Vec<_>>()).await?;
    batch.commit().await?;

    let mut batch = session.begin(START.number, START.hash).await?;
    let ids: Vec<_> = runs.iter().map(|record| record.run.id).collect();
    let mut read = batch.runs(&ids).await?;
    read.sort_by_key(|record| record.run.id);
    assert_eq!(read, runs);
    let ids: Vec<_> = agents.iter().map(|record| record.agent.id).collect();
    let mut read = batch.agents(&ids).await?;
    read.sort_by_key(|record| record.agent.id);
    assert_eq!(read, agents);
    Ok(())
}

/// Many rows are copied in, and a few are a statement's parameters: there is no telling afterwards.
#[tokio::test]
async fn many_rows_at_once_are_written_as_few_are() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    let writer = Writer::new(&stack.database_url()?)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.expect("nobody else");
    session.initialise(&chain(), &START, &tags(12, None)).await?;
    let states = RunState::ALL.iter().cycle().zip(amounts().into_iter().cycle());
    let full = states.zip((1..).step_by(2)).map(|((state, amount), id)| run(id, amount, *state));
    let runs: Vec<_> = full.zip((2..).step_by(2).map(bare)).flat_map(|(full, bare)| [full, bare]).take(500).collect();
    let events: Vec<_> = (0..500).map(|index| event(&START, index)).collect();

    for some in [0..3, 3..500] {
        let mut batch = session.begin(START.number, START.hash).await?;
        batch.save(&[], &runs[some.clone()].iter().collect::<Vec<_>>(), &[]).await?;
        batch.insert_events(some.len(), events[some].iter(), |_| Vec::new()).await?;
        batch.advance(&START, &tags(12, None)).await?;
        batch.commit().await?;
    }

    let mut batch = session.begin(START.number, START.hash).await?;
    let ids: Vec<_> = runs.iter().map(|record| record.run.id).collect();
    let mut read = batch.runs(&ids).await?;
    read.sort_by_key(|record| record.run.id);
    assert_eq!(read, runs);
    assert_eq!(batch.events_following(None, 1_000).await?, events);
    Ok(())
}

#[tokio::test]
async fn a_writer_that_is_not_where_it_thinks_it_is_writes_nothing() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    let writer = Writer::new(&stack.database_url()?)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.expect("nobody else");
    assert!(writer.try_lock().await?.is_none());
    assert!(matches!(writer.clear().await, Err(StoreError::Locked)));
    session.initialise(&chain(), &START, &tags(12, None)).await?;
    let next = block(10, 2);
    let mut batch = session.begin(START.number, START.hash).await?;
    batch.insert_blocks(&[(next, StateDigest::EMPTY)]).await?;
    batch.advance(&next, &tags(12, None)).await?;
    batch.commit().await?;

    let above = block(11, 3);
    let events: Vec<_> = (0..500).map(|index| event(&above, index)).collect();
    for (number, hash) in [(START.number, START.hash), (next.number, START.hash), (99, next.hash)] {
        let is_fenced = |refused: Result<(), StoreError>| match refused {
            Err(StoreError::Fenced { expected, found }) => (expected, found) == (number, next.number),
            _ => false,
        };
        for count in [1, 500] {
            let mut batch = session.begin(number, hash).await?;
            assert!(is_fenced(batch.insert_events(count, events.iter().take(count), |_| vec![(above, StateDigest::EMPTY)]).await));
        }
        assert!(is_fenced(session.begin(number, hash).await?.insert_blocks(&[(above, StateDigest::EMPTY)]).await));
        assert!(is_fenced(session.begin(number, hash).await?.save(&[&run(1, Usdc::ZERO, RunState::Open)], &[], &[]).await));
        assert!(is_fenced(session.begin(number, hash).await?.rewind(number, None).await.map(drop)));
        assert!(is_fenced(session.begin(number, hash).await?.advance(&above, &tags(12, None)).await));
    }
    assert_eq!(session.begin(next.number, next.hash).await?.events_following(None, 10).await?, []);
    let other = Chain { chain_id: 1, ..chain() };
    let refused = session.initialise(&other, &START, &tags(12, None)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the database holds another market: its chain id is 31337, not 1; give this one its own database");
    // Dropped, a batch has not happened.
    let mut batch = session.begin(next.number, next.hash).await?;
    batch.insert_blocks(&[(block(11, 3), StateDigest::EMPTY)]).await?;
    drop(batch);
    assert_eq!(session.block_at_or_below(99).await?, Some(next));
    Ok(())
}

#[tokio::test]
async fn rewinding_answers_what_remains_of_what_it_touched() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    let writer = Writer::new(&stack.database_url()?)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.expect("nobody else");
    session.initialise(&chain(), &START, &tags(12, None)).await?;
    let (first, second) = (block(10, 2), block(11, 3));
    let of = |block, log_index, run, agent: Option<u64>| EventRecord {
        run: Some(RunId(run)),
        agent: agent.map(AgentId),
        ..event(block, log_index)
    };
    let kept = [of(&first, 0, 1, None), of(&first, 1, 2, Some(5)), of(&first, 2, 3, None)];
    let gone = [of(&second, 0, 1, Some(5))];
    let mut batch = session.begin(START.number, START.hash).await?;
    let blocks = vec![(first, StateDigest::EMPTY), (second, StateDigest::EMPTY)];
    batch.insert_events(kept.len() + gone.len(), kept.iter().chain(&gone), |_| blocks).await?;
    batch.advance(&second, &tags(12, None)).await?;
    batch.commit().await?;

    let mut batch = session.begin(second.number, second.hash).await?;
    let rewound = batch.rewind(second.number, None).await?;
    assert_eq!((rewound.runs, rewound.agents), (vec![RunId(1)], vec![AgentId(5)]));
    assert_eq!(rewound.events, kept[..2]);
    batch.advance(&first, &tags(12, None)).await?;
    batch.commit().await?;
    assert_eq!(session.block_at_or_below(99).await?, Some(first));
    Ok(())
}

#[tokio::test]
async fn many_events_at_once_are_told_in_their_order() -> anyhow::Result<()> {
    let (_stack, url) = Stack::and_database().await?;
    let writer = Writer::new(&url)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.expect("nobody else");
    session.initialise(&chain(), &START, &tags(12, None)).await?;
    let blocks = [block(10, 2), block(11, 3)];
    let events: Vec<_> = blocks.iter().flat_map(|block| (0..100).map(|index| event(block, index))).collect();
    let mut batch = session.begin(START.number, START.hash).await?;
    batch.insert_events(events.len(), events.iter(), |_| blocks.map(|block| (block, StateDigest::EMPTY)).to_vec()).await?;
    batch.advance(&blocks[1], &tags(12, None)).await?;
    batch.commit().await?;
    assert_eq!(crate::indexer::feed_differs(&url).await?, 0);
    Ok(())
}

#[tokio::test]
async fn finality_never_runs_ahead_of_the_cursor_nor_back() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    let writer = Writer::new(&stack.database_url()?)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.expect("nobody else");
    session.initialise(&chain(), &START, &tags(12, None)).await?;
    let mut at = START;
    for (next, named, finalized) in [
        (block(10, 2), None, None),
        (block(11, 3), Some(99), Some(11)),
        (block(12, 4), Some(3), Some(11)),
        (block(13, 5), None, Some(11)),
        (block(14, 6), Some(12), Some(12)),
    ] {
        let mut batch = session.begin(at.number, at.hash).await?;
        batch.insert_blocks(&[(next, StateDigest::EMPTY)]).await?;
        batch.advance(&next, &tags(99, named)).await?;
        batch.commit().await?;
        at = next;
        let indexed = session.indexed().await?.expect("it was initialised");
        assert_eq!((indexed.finalized, indexed.safe), (finalized, finalized), "{}", next.number);
        assert_eq!(indexed.lag(), 99 - next.number);
    }
    // Headers without events that nothing can replace are not kept.
    assert_eq!(session.block_at_or_below(11).await?, None);
    Ok(())
}
