//! A signed action, into its outcome.
//!
//! Raw transactions must be the steps of this very action; they are sent. From then on the outcome counts, whichever transaction brings it
//! about: the market's own event in a mined receipt. It is waited for until it is mined, and until the index holds its block. Never does "not
//! mined yet" become "failed": that would make people pay twice. Nor is anyone asked to wait for what cannot come any more.

use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use clawpay_bindings::{AttributedCall, Call, Contracts, Revert};
use clawpay_domain::RunState;
use clawpay_store::{Chain, EventPosition, IndexedBlock, PinnedRequest, Reader, Snapshot, SubmittedTransaction, SubmittedTransactions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Facts, Intent, mismatch,
    once::require_same,
    proof::{self, Event, Witness},
    steps::{self, Expected},
    waiting::{Missing, News, Waiting},
};
use crate::{
    error::ApiError,
    feed::Hub,
    index_watch::IndexWatch,
    market::{contracts, snapshot},
    node::{BlockWatch, Node, Receipt, SentTransaction},
    transactions::{
        Looks, Place, SharedLook, Tracker, Whereabouts,
        explain::why,
        signed::{Signed, SignedTransaction},
        submit::{NOTE_PATIENCE, note, submit},
    },
};

/// Pause between two looks at what is mined and not shown yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Pause after a look that came to nothing, if nothing is heard before.
const RETRY: Duration = Duration::from_secs(5);
/// How old a look may be that another request has just made, of a transaction that this one does not send.
const JUST_NOW: Duration = Duration::from_millis(500);
/// How long a transaction that was just sent may be unknown to the node, on its way there from another.
const TRAVELS: Duration = Duration::from_secs(3);
/// How long a transaction may wait for one before it, which the same wallet may be sending just now.
const OVERTAKES: Duration = Duration::from_millis(1_500);

/// What confirming works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Confirmer<'a> {
    /// Has what is mined, and what waits.
    pub node: &'a Node,
    /// The index.
    pub reader: &'a Reader,
    /// What has been sent or seen.
    pub notes: &'a SubmittedTransactions,
    /// Tells of new blocks, and which transactions are in them.
    pub blocks: &'a BlockWatch,
    /// Tells how far the index is.
    pub index: &'a IndexWatch,
    /// Tells what happens to a run.
    pub hub: &'a Hub,
    /// What others see who wait for the same.
    pub looks: &'a Looks,
    /// Ends all waiting.
    pub shutdown: &'a CancellationToken,
    /// Longest to wait.
    pub wait: Duration,
}

/// What came of a signed action, and what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The market.
    pub chain: Chain,
    /// What the index had come to.
    pub indexed: IndexedBlock,
    /// The action's subjects, as of that block.
    pub facts: Facts,
    /// The action's transaction: the one handed in, or the one that did the action in its place.
    pub hash: B256,
    /// How far it is.
    pub progress: Progress,
}

/// How far a signed action is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has happened, and the index shows it.
    Done {
        /// What was done.
        call: Call,
        /// The block it was mined in.
        block: u64,
        /// The transaction that was handed in, if another one did the action.
        instead: Option<Instead>,
        /// Its place among several alike in its transaction.
        alike: Option<Alike>,
        /// What has become of it since, where that is not what the action leads to.
        since: Option<String>,
    },
    /// Not mined yet, or not indexed yet.
    Pending {
        /// The block it was mined in, once it is.
        block: Option<u64>,
        /// The nonce of its sender that nothing known uses, and that must be used first.
        waiting_for_nonce: Option<u64>,
    },
    /// Nothing here has heard of the transaction.
    Unknown,
    /// Another transaction was mined in the place of the one handed in, and did something else.
    Replaced {
        /// Which, where it can be found.
        by: Option<B256>,
    },
    /// The node has let go of the transaction.
    Dropped,
}

/// One of several alike things that a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alike {
    /// Which it is, counted from 1.
    pub number: usize,
    /// What all of them made or changed, in words.
    pub subjects: Vec<String>,
}

/// A transaction that was handed in and is not the one that did the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instead {
    /// Its hash.
    pub of: B256,
    /// Whether the other one is known to have its place.
    pub is_replaced: bool,
}

/// The idempotency key of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// As the client chose it.
    pub key: &'a str,
    /// What it stands for, if it came before.
    pub pinned: Option<PinnedRequest>,
    /// Whether the transaction was found by what the key stands for, and not handed in by the client.
    pub is_found: bool,
}

impl Key<'_> {
    /// What it is known by where keys are not kept.
    fn hash(&self, wallet: Address) -> B256 {
        keccak256([wallet.as_slice(), self.key.as_bytes()].concat())
    }
}

/// What is waited for.
struct Handed {
    hash: B256,
    /// Its place, once it is known.
    place: Option<Place>,
    /// Whether it was on its way when it was last looked at.
    was_seen: bool,
    /// Why it was not sent, if it was not.
    refusal: Option<ApiError>,
}

/// What one look brings.
enum Look {
    Answer(Box<Outcome>),
    Wait(Progress),
}

impl Confirmer<'_> {
    /// Verifies, sends if need be, and waits. Fails where what was signed is not the action, or was mined without effect, and where the node
    /// or the database does not answer before anything is sent.
    pub(crate) async fn confirm(&self, intent: &Intent, signed: Signed, key: Option<Key<'_>>) -> Result<Outcome, ApiError> {
        let started = Instant::now();
        let mut view = snapshot(self.reader).await?;
        // A run or agent that the action names must be known, whatever has been signed.
        let facts = Facts::load(&mut view, &intent.call).await?;
        let (chain, indexed) = (view.chain, view.indexed);
        drop(view);

        let market = contracts(&chain);
        let pinned = key.and_then(|key| key.pinned);
        let done_by = self.done_before(pinned).await?;
        let handed = match signed {
            Signed::Transactions(raw) => {
                let expected = Expected { intent, facts: &facts, chain_id: chain.chain_id, market: &market };
                let steps = steps::read(&raw, &expected)?;
                self.node.require_chain(chain.chain_id).await?;
                if let Some(key) = key {
                    self.require_pinned(key, intent, &steps, &indexed).await?;
                }
                if let Some(hash) = done_by {
                    // Nothing is done twice under one key.
                    Handed { hash, place: None, was_seen: true, refusal: None }
                } else {
                    self.send(intent, &steps, &market).await?
                }
            }
            Signed::Sent(hash) => {
                self.node.require_chain(chain.chain_id).await?;
                let by_another = done_by.zip(pinned).filter(|(done, _)| *done != hash);
                if let Some((done, pinned)) = by_another
                    && self.has_done(intent, hash, &market).await?
                {
                    let detail = format!("what the key stands for was done by {done}; hand in another transaction without the key");
                    return Err(ApiError::KeySpent { nonce: pinned.last_nonce(), detail });
                }
                // Of several steps only the first one's nonce may have been asked for.
                let asked = intent.nonce.filter(|_| steps::payee(&intent.call, &market).is_none());
                let pinned = pinned.map(|pinned| pinned.last_nonce());
                let place = pinned.or(asked).map(|nonce| Place { sender: intent.wallet, nonce });
                Handed { hash, place, was_seen: false, refusal: None }
            }
        };
        let at_first = Outcome { chain, indexed, facts, hash: handed.hash, progress: Progress::Unknown };
        let (behind_a_gap_since, is_counted, shared) = (None, false, None);
        Pursuit { with: self, intent, market, at_first, handed, key, started, behind_a_gap_since, is_counted, shared }.follow().await
    }

    /// The transaction that has done what a key stands for, if one has and the chain still has it.
    async fn done_before(&self, pinned: Option<PinnedRequest>) -> Result<Option<B256>, ApiError> {
        let Some(hash) = pinned.and_then(|pinned| pinned.done_by) else { return Ok(None) };
        Ok(self.node.receipt(hash).await?.map(|_| hash))
    }

    /// Whether a transaction has done the action itself. One that has not is another attempt at what is done by now.
    async fn has_done(&self, intent: &Intent, hash: B256, market: &Contracts) -> Result<bool, ApiError> {
        let receipt = self.node.receipt(hash).await?.filter(Receipt::succeeded);
        let events = receipt.map(|receipt| proof::of_receipt(&receipt.logs, market)).unwrap_or_default();
        Ok(!proof::find(&intent.call, intent.wallet, &events, market).is_empty())
    }

    /// Lets a key that was not there when the steps were prepared stand for them from now on. Refuses steps that are not those that it stands
    /// for: of two with nonces of their own both could be mined.
    async fn require_pinned(
        &self,
        key: Key<'_>,
        intent: &Intent,
        steps: &[SignedTransaction],
        indexed: &IndexedBlock,
    ) -> Result<(), ApiError> {
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(()) };
        let pinned = match key.pinned {
            Some(pinned) => pinned,
            None => {
                let new = PinnedRequest {
                    request: intent.identity(),
                    nonce: first.nonce,
                    steps: u8::try_from(steps.len()).map_err(|_| ApiError::Internal("an action of more steps than fit a byte"))?,
                    forwarder_nonce: None,
                    salt: B256::random(),
                    block: indexed.number,
                    block_hash: Some(indexed.hash),
                    done_by: None,
                };
                let pinned = self.notes.pin(intent.wallet, key.key, &new).await?;
                pinned.ok_or(ApiError::Internal("a key that was just kept is gone"))?
            }
        };
        require_same(&pinned, intent)?;
        if last.sender != intent.wallet || (pinned.nonce..=pinned.last_nonce()).contains(&last.nonce) {
            return Ok(());
        }
        let (nonce, expected) = (last.nonce, pinned.last_nonce());
        Err(ApiError::NotThisAction {
            field: "signedTransactions",
            detail: format!(
                "the last transaction has nonce {nonce}, and the Idempotency-Key stands for one with nonce {expected}: sign what was prepared \
                 under the key, or use a new key for what is to be done once more"
            ),
        })
    }

    /// Sends the steps in order. Whether the last one was refused is for its outcome to say: another transaction may have done the same.
    async fn send(&self, intent: &Intent, steps: &[SignedTransaction], market: &Contracts) -> Result<Handed, ApiError> {
        let can_be_tried = steps::require_no_gap(self.node, steps).await?;
        let handed = |step: &SignedTransaction, refusal: Option<ApiError>| {
            let place = Some(Place { sender: step.sender, nonce: step.nonce });
            Handed { hash: step.hash, place, was_seen: refusal.is_none(), refusal }
        };
        let Some((last, before)) = steps.split_last() else { return Err(ApiError::Internal("a list of steps is empty")) };
        if can_be_tried && let Some(refusal) = Box::pin(steps::would_fail(self.node, steps, &intent.call, market)).await {
            return Ok(handed(last, Some(refusal)));
        }
        for step in before {
            submit(self.node, self.notes, step).await?.map_err(ApiError::TransactionRefused)?;
        }
        let refusal = submit(self.node, self.notes, last).await?.err();
        Ok(handed(last, refusal.map(ApiError::TransactionRefused)))
    }
}

/// One action on its way.
struct Pursuit<'a> {
    with: &'a Confirmer<'a>,
    intent: &'a Intent,
    market: Contracts,
    /// What was known of its subjects when it was handed in.
    at_first: Outcome,
    handed: Handed,
    key: Option<Key<'a>>,
    started: Instant,
    behind_a_gap_since: Option<Instant>,
    /// Whether the node counts it as mined and does not show its receipt.
    is_counted: bool,
    shared: Option<SharedLook>,
}

impl Pursuit<'_> {
    async fn follow(mut self) -> Result<Outcome, ApiError> {
        let deadline = self.started + self.with.wait;
        let mut last = Progress::Pending { block: None, waiting_for_nonce: None };
        // From before the first look, so that nothing happens between a look and a wait.
        let run = self.at_first.facts.run.as_ref().map(|record| self.with.hub.news_of(record.run.id));
        let mut news = News::listen(self.with.blocks, self.with.index, run, self.with.shutdown);
        let mut since = if self.handed.was_seen { Instant::now() } else { self.started.checked_sub(JUST_NOW).unwrap_or(self.started) };
        loop {
            let is_last = Instant::now() >= deadline;
            let began = Instant::now();
            let failed = match self.look(since).await {
                Ok(Look::Answer(outcome)) => return Ok(*outcome),
                Ok(Look::Wait(progress)) => {
                    last = progress;
                    None
                }
                // A node or database that is away for a moment does not end the wait.
                Err(ApiError::Node(error)) if error.is_passing() => Some(Missing::Node),
                Err(ApiError::DatabaseAway) => Some(Missing::Database),
                Err(ApiError::Store(error)) => {
                    tracing::warn!(%error, "the database did not answer while an action was waited for");
                    Some(Missing::Database)
                }
                Err(error) => return Err(error),
            };
            if is_last {
                return match self.handed.refusal.take() {
                    Some(refusal) => Err(refusal),
                    None => Ok(self.answer(last).await),
                };
            }
            let until = match failed {
                // What is missing is heard of when it is back, and this is in case that it is not.
                Some(_) => began + RETRY,
                None => self.certain_at(&last).unwrap_or(deadline),
            };
            let waiting = Waiting {
                hash: self.handed.hash,
                place: self.handed.place.map(|place| (place.sender, place.nonce)),
                block: match last {
                    Progress::Pending { block, .. } => block,
                    _ => None,
                },
                looked_at: began,
                missing: failed,
                until: until.min(deadline),
            };
            match news.wait(&waiting).await {
                Some(moment) => since = moment,
                None => return Ok(self.answer(last).await),
            }
        }
    }

    /// When it is worth looking again though nothing is heard of it.
    fn certain_at(&self, progress: &Progress) -> Option<Instant> {
        match progress {
            _ if self.is_counted => Some(Instant::now() + LOOK_AGAIN),
            Progress::Pending { waiting_for_nonce: Some(_), .. } => self.behind_a_gap_since.map(|since| since + OVERTAKES),
            Progress::Pending { .. } | Progress::Done { .. } => None,
            Progress::Unknown | Progress::Dropped | Progress::Replaced { .. } => Some(self.started + TRAVELS),
        }
    }

    /// Where it is, and whether the action has happened by another transaction.
    async fn look(&mut self, since: Instant) -> Result<Look, ApiError> {
        let tracker = Tracker { node: self.with.node, notes: self.with.notes };
        let look = self.shared_look();
        let located = look.locate(&tracker, since).await?;
        self.handed.place = located.place.or(self.handed.place);
        self.is_counted = matches!(located.whereabouts, Whereabouts::Counted);
        let progress = match located.whereabouts {
            Whereabouts::Mined(receipt) => return self.mined(&receipt, located.transaction).await,
            Whereabouts::Waiting { for_nonce } => {
                if !self.handed.was_seen
                    && let Some(transaction) = &located.transaction
                {
                    tracker.remember(self.handed.hash, transaction, &self.market).await;
                }
                self.handed.was_seen = true;
                Progress::Pending { block: None, waiting_for_nonce: for_nonce }
            }
            Whereabouts::Counted | Whereabouts::LookedAfter => Progress::Pending { block: None, waiting_for_nonce: None },
            Whereabouts::Replaced { by } => {
                if let Some(look) = self.by_successor(by).await? {
                    return Ok(look);
                }
                Progress::Replaced { by }
            }
            Whereabouts::Dropped => Progress::Dropped,
            Whereabouts::Unknown if self.handed.was_seen => Progress::Dropped,
            Whereabouts::Unknown => Progress::Unknown,
        };
        if let Some(look) = self.by_history().await? {
            return Ok(look);
        }
        self.wait_or_answer(progress).await
    }

    /// What those see who wait for the same transaction.
    fn shared_look(&mut self) -> SharedLook {
        let Handed { hash, place, .. } = self.handed;
        match &self.shared {
            Some(look) if look.is_of(hash, place) => look.clone(),
            _ => self.shared.insert(self.with.looks.of(hash, place)).clone(),
        }
    }

    /// Not mined: whether that is all there is to say.
    async fn wait_or_answer(&mut self, progress: Progress) -> Result<Look, ApiError> {
        let is_behind_a_gap = matches!(progress, Progress::Pending { waiting_for_nonce: Some(_), .. });
        let behind_since = *self.behind_a_gap_since.get_or_insert_with(Instant::now);
        if !is_behind_a_gap {
            self.behind_a_gap_since = None;
        }
        let is_certain = match progress {
            Progress::Done { .. } | Progress::Replaced { by: Some(_) } => true,
            Progress::Pending { .. } => is_behind_a_gap && behind_since.elapsed() >= OVERTAKES,
            // What cannot be found may come yet.
            Progress::Unknown | Progress::Dropped | Progress::Replaced { by: None } => self.started.elapsed() >= TRAVELS,
        };
        let refusal = if matches!(progress, Progress::Pending { .. }) { None } else { self.handed.refusal.take() };
        match refusal {
            Some(refusal) => Err(refusal),
            None if is_certain => Ok(Look::Answer(Box::new(self.answer(progress).await))),
            None => Ok(Look::Wait(progress)),
        }
    }

    /// The transaction handed in is mined, or was for a moment.
    async fn mined(&self, receipt: &Receipt, transaction: Option<SentTransaction>) -> Result<Look, ApiError> {
        let hash = self.handed.hash;
        if !receipt.succeeded() {
            return Err(self.reverted(hash, receipt).await?);
        }
        self.require_after_key(receipt).await?;
        let events = proof::of_receipt(&receipt.logs, &self.market);
        if proof::find(&self.intent.call, self.intent.wallet, &events, &self.market).is_empty() {
            let detail = mismatch::explain(&self.intent.call, self.intent.wallet, &receipt.logs, &events, &self.market);
            return Err(not_this_action(detail));
        }
        Box::pin(self.settle(hash, receipt, transaction, &events, None)).await
    }

    /// Refuses a transaction that was mined before its key came: it did something else, be it the same.
    async fn require_after_key(&self, receipt: &Receipt) -> Result<(), ApiError> {
        let Some(pinned) = self.key.and_then(|key| key.pinned).filter(|pinned| receipt.block_number() <= pinned.block) else {
            return Ok(());
        };
        let kept = snapshot(self.with.reader).await?.block_hash(pinned.block).await?;
        // On a chain that has taken another way since, the blocks do not tell.
        if kept.is_none() || kept != pinned.block_hash {
            return Ok(());
        }
        let (block, came) = (receipt.block_number(), pinned.block);
        Err(not_this_action(format!(
            "the transaction was mined in block {block}, and the Idempotency-Key came after block {came}: what it did is not what the key \
             stands for. Without the key it can be handed in"
        )))
    }

    /// Another transaction has its place. If that is the same action, it is what is waited for.
    async fn by_successor(&self, by: Option<B256>) -> Result<Option<Look>, ApiError> {
        let Some(hash) = by else { return Ok(None) };
        let Some(receipt) = self.with.node.receipt(hash).await? else { return Ok(None) };
        if !receipt.succeeded() {
            return if self.is_same_call(hash).await? { Err(self.reverted(hash, &receipt).await?) } else { Ok(None) };
        }
        self.by_other(hash, &receipt, true).await
    }

    /// What is known of the run may tell of the action, whatever became of the transaction.
    async fn by_history(&self) -> Result<Option<Look>, ApiError> {
        let mut view = snapshot(self.with.reader).await?;
        let facts = Facts::load(&mut view, &self.intent.call).await?;
        let Some(run) = facts.run.as_ref().map(|record| record.run.id) else { return Ok(None) };
        let history = proof::of_history(&view.run_events(run).await?, &self.market);
        drop(view);
        let found = proof::find_last(&self.intent.call, self.intent.wallet, &history, &self.market).and_then(|event| event.transaction);
        let Some(hash) = found.filter(|hash| *hash != self.handed.hash) else { return Ok(None) };
        match self.with.node.receipt(hash).await? {
            Some(receipt) if receipt.succeeded() => match self.by_other(hash, &receipt, false).await {
                // Another account did it, or another key's transaction.
                Err(ApiError::NotThisAction { .. }) => Ok(None),
                look => look,
            },
            _ => Ok(None),
        }
    }

    async fn by_other(&self, hash: B256, receipt: &Receipt, is_replaced: bool) -> Result<Option<Look>, ApiError> {
        let events = proof::of_receipt(&receipt.logs, &self.market);
        if proof::find(&self.intent.call, self.intent.wallet, &events, &self.market).is_empty() {
            return Ok(None);
        }
        let transaction = self.with.node.transaction(hash).await?;
        let instead = Some(Instead { of: self.handed.hash, is_replaced });
        Box::pin(self.settle(hash, receipt, transaction, &events, instead)).await.map(Some)
    }

    /// The action has happened. It is answered once the index shows it.
    async fn settle(
        &self,
        hash: B256,
        receipt: &Receipt,
        transaction: Option<SentTransaction>,
        events: &[Event],
        instead: Option<Instead>,
    ) -> Result<Look, ApiError> {
        let block = receipt.block_number();
        let mut view = snapshot(self.with.reader).await?;
        if view.indexed.number < block || view.block_hash(block).await? != Some(receipt.block_hash) {
            return Ok(Look::Wait(Progress::Pending { block: Some(block), waiting_for_nonce: None }));
        }
        let Intent { call, wallet, .. } = self.intent;
        let proofs = proof::find(call, *wallet, events, &self.market);
        let nth = self.answered(hash, &proofs, instead.is_none()).await?;
        let proof = proofs.get(nth).ok_or(ApiError::Internal("a proof is gone"))?;
        let facts = match (call, proof.decoded.run, proof.decoded.agent) {
            (Call::Create(_) | Call::CreateAndFund(_), Some(run), _) => Facts::of_run(&mut view, run).await?,
            (Call::Register { .. }, _, Some(agent)) => Facts::of_agent(&mut view, agent).await?,
            _ => Facts::load(&mut view, call).await?,
        };
        let owner = match &facts.agent {
            Some(record) => view.owner_at(record.agent.id, EventPosition { block, log: proof.log_index }).await?.or(record.agent.owner),
            None => None,
        };
        let (chain, indexed) = (view.chain, view.indexed);
        drop(view);
        let witness = Witness { transaction: transaction.as_ref(), logs: &receipt.logs, owner };
        proof::require_actor(call, *wallet, &facts, &witness, &self.market).map_err(not_this_action)?;
        if let Some(transaction) = &transaction {
            // Should a reorganisation take it back, it is known what became of it.
            let Place { sender, nonce } = transaction.place();
            note(self.with.notes, &SubmittedTransaction { hash, sender, nonce }).await;
        }
        self.note_done(hash).await;
        let alike = (proofs.len() > 1).then(|| Alike { number: nth + 1, subjects: proofs.iter().map(|proof| subject(proof)).collect() });
        let since = since(call, &facts);
        let progress = Progress::Done { call: call.clone(), block, instead, alike, since };
        Ok(Look::Answer(Box::new(Outcome { chain, indexed, facts, hash, progress })))
    }

    /// Keeps what did the key's request beside the key. Where that fails, it is found anew when the key comes again.
    async fn note_done(&self, hash: B256) {
        let Some(key) = self.key else { return };
        match tokio::time::timeout(NOTE_PATIENCE, self.with.notes.note_done(self.intent.wallet, key.key, hash)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what did a key's request could not be written down"),
            Err(_) => tracing::warn!("what did a key's request was not written down in time"),
        }
    }

    /// Which of several alike events is the answer: each request that hands in the transaction gets one of its own. Where the database does
    /// not say, the first. Fails for a transaction that the client did not hand in, if it was the answer to another key: two keys whose steps
    /// were prepared before either was signed share their nonces, and only the one that asks first has been served.
    async fn answered(&self, hash: B256, proofs: &[&Event], is_handed_in: bool) -> Result<usize, ApiError> {
        if !self.intent.is_repeatable() || (proofs.len() < 2 && self.key.is_none()) {
            return Ok(0);
        }
        let positions: Vec<u32> = proofs.iter().filter_map(|proof| u32::try_from(proof.position).ok()).collect();
        let asked_as = self.key.map(|key| key.hash(self.intent.wallet));
        // What was the key's answer before, it still is.
        let is_found = |key: Key<'_>| key.is_found && key.pinned.and_then(|pinned| pinned.done_by) != Some(hash);
        let is_handed_in = is_handed_in && !self.key.is_some_and(is_found);
        match tokio::time::timeout(NOTE_PATIENCE, self.with.notes.answer(hash, &positions, asked_as)).await {
            Ok(Ok(Some((_, true)))) if !is_handed_in => Err(not_this_action(format!(
                "{hash} did the same, and was the answer to another Idempotency-Key: if it is this one's, hand in its hash"
            ))),
            Ok(Ok(Some((position, _)))) => Ok(positions.iter().position(|one| *one == position).unwrap_or_default()),
            Ok(Ok(None)) | Err(_) => Ok(0),
            Ok(Err(error)) => {
                tracing::warn!(%error, "which of several alike events was answered could not be written down");
                Ok(0)
            }
        }
    }

    /// Why it had no effect.
    async fn reverted(&self, hash: B256, receipt: &Receipt) -> Result<ApiError, ApiError> {
        let reason = match self.with.node.transaction(hash).await? {
            Some(transaction) => why(self.with.node, transaction, receipt, &self.market).await?,
            None => Revert::Unknown(Default::default()),
        };
        Ok(ApiError::Reverted { hash, block: receipt.block_number(), reason: Box::new(reason) })
    }

    async fn is_same_call(&self, hash: B256) -> Result<bool, ApiError> {
        let Some(transaction) = self.with.node.transaction(hash).await? else { return Ok(false) };
        let Some(to) = transaction.to else { return Ok(false) };
        let read = AttributedCall::read(transaction.from, to, &transaction.input, &self.market);
        Ok(read.is_ok_and(|read| read.call.is_same_action(&self.intent.call) && read.actor.is_none_or(|actor| actor == self.intent.wallet)))
    }

    /// How far it is, beside its subjects as they are now, or else as they were.
    async fn answer(&self, progress: Progress) -> Outcome {
        match self.subjects().await {
            Ok((chain, indexed, facts)) => Outcome { chain, indexed, facts, hash: self.handed.hash, progress },
            Err(error) => {
                error.log();
                Outcome { progress, ..self.at_first.clone() }
            }
        }
    }

    async fn subjects(&self) -> Result<(Chain, IndexedBlock, Facts), ApiError> {
        let mut view: Snapshot = snapshot(self.with.reader).await?;
        let facts = Facts::load(&mut view, &self.intent.call).await?;
        Ok((view.chain, view.indexed, facts))
    }
}

/// What one of several alike events made or changed.
fn subject(proof: &Event) -> String {
    match (proof.decoded.run, proof.decoded.agent) {
        (Some(run), _) => format!("run {run}"),
        (None, Some(agent)) => format!("agent {agent}"),
        (None, None) => "the same".to_owned(),
    }
}

/// What has come after the action, where a client that has just asked for it would take the answer for something else.
fn since(call: &Call, facts: &Facts) -> Option<String> {
    let state = facts.run.as_ref().map(|record| record.run.state);
    let wallet = facts.agent.as_ref().and_then(|record| record.agent.wallet);
    match (call, state) {
        (Call::Submit { .. }, Some(RunState::RevisionRequested)) => Some("changes have been asked for since then".to_owned()),
        (Call::RequestRevision { .. }, Some(RunState::Submitted)) => Some("the work has been delivered again since then".to_owned()),
        (Call::SetAgentWallet { new_wallet, .. }, _) if wallet != Some(*new_wallet) => {
            Some(wallet.map_or_else(|| "the agent has none any more".to_owned(), |wallet| format!("since then {wallet} took its place")))
        }
        (Call::UnsetAgentWallet { .. }, _) => wallet.map(|wallet| format!("the agent has got {wallet} since then")),
        (Call::PayCredit { recipient, .. }, _) => {
            let credit = facts.credit.filter(|credit| !credit.0.is_zero())?;
            Some(format!("the contract owes {recipient} another {credit} USDC since then"))
        }
        _ => None,
    }
}

fn not_this_action(detail: String) -> ApiError {
    ApiError::NotThisAction { field: "transactionHash", detail }
}
