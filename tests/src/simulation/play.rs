//! People at play: what a random transaction emits. Mostly what the contracts would emit, by the domain's rules; sometimes what they never
//! would, because an index must survive that too.

use alloy::{
    primitives::{Address, B256, Bytes, LogData, U256, keccak256},
    sol_types::SolEvent,
};
use clawpay_bindings::{AgentRegistry as Registry, AgentStake as Stake, Contracts, RunEscrow as Escrow, TestUSDC};
use clawpay_domain::{
    Agent, AgentId, NewRun, Payment, Run, RunEvent, RunId, RunState, Terms, Timestamp, Usdc,
    rules::{self, Action, Circumstances},
};

use super::{
    dice::Dice,
    ledger::{Emission, Ledger},
};

const ACCOUNTS: u8 = 6;
/// Stands in a text for bytes that are no UTF-8.
const NOT_TEXT: &str = "~~~~~~~~";
const TRIES: u32 = 6;

/// What the next transaction emits, given what happened before it.
pub(crate) fn transaction(dice: &mut Dice, contracts: &Contracts, ledger: &Ledger, now: Timestamp) -> Vec<Emission> {
    let mut player = Player { dice, contracts, ledger, now };
    if player.dice.one_in(12) {
        return player.nonsense();
    }
    for _ in 0..TRIES {
        if let Some(emissions) = player.turn() {
            return emissions;
        }
    }
    player.register()
}

struct Player<'a> {
    dice: &'a mut Dice,
    contracts: &'a Contracts,
    ledger: &'a Ledger,
    now: Timestamp,
}

impl Player<'_> {
    fn turn(&mut self) -> Option<Vec<Emission>> {
        match self.dice.below(12) {
            0 => Some(self.register()),
            1 => self.stake(),
            2 => self.unstake(),
            3 => self.identity(),
            4 | 5 => self.create(),
            _ => self.act(),
        }
    }

    fn register(&mut self) -> Vec<Emission> {
        let id = (1..).map(AgentId).find(|id| !self.ledger.agents.contains_key(id)).unwrap_or(AgentId::MAX);
        let (agent, owner) = (U256::from(id.0), self.account());
        let uri = self.text();
        let mut emissions = vec![
            self.registry(&Registry::Transfer { from: Address::ZERO, to: owner, tokenId: agent }),
            self.registry(&Registry::Registered { agentId: agent, agentURI: uri, owner }),
            self.wallet(id, owner.to_vec()),
        ];
        if !self.dice.one_in(4) {
            let amount = Usdc::whole(self.dice.between(10, 60));
            emissions.push(self.paid(owner, self.contracts.agent_stake, amount));
            emissions.push(self.staked(id, owner, amount, amount, Usdc::ZERO));
        }
        emissions
    }

    fn stake(&mut self) -> Option<Vec<Emission>> {
        let agent = self.agent()?;
        let from = self.account();
        let largest = self.dice.one_in(30) && agent.record.stake == Usdc::ZERO;
        let amount = if largest { Usdc(U256::MAX) } else { Usdc::base_units(self.dice.between(1, 40_000_000)) };
        let stake = agent.record.stake.checked_add(amount)?;
        let owed = agent.record.owed.saturating_sub(amount);
        Some(vec![self.paid(from, self.contracts.agent_stake, amount), self.staked(agent.id, from, amount, stake, owed)])
    }

    fn unstake(&mut self) -> Option<Vec<Emission>> {
        let agent = self.agent()?;
        let to = agent.owner?;
        let amount = Usdc::base_units(self.dice.between(1, 30_000_000));
        rules::unstake(&agent, amount, to, self.now, &self.ledger.parameters.stake).ok()?;
        let stake = agent.record.stake.checked_sub(amount)?;
        let unstaked = Stake::Unstaked { agentId: U256::from(agent.id.0), to, amount: amount.0, stake: stake.0 };
        Some(vec![emission(self.contracts.agent_stake, &unstaked), self.paid(self.contracts.agent_stake, to, amount)])
    }

    /// Something about who an agent is.
    fn identity(&mut self) -> Option<Vec<Emission>> {
        let agent = self.agent()?;
        let id = U256::from(agent.id.0);
        let owner = agent.owner?;
        Some(match self.dice.below(4) {
            0 => {
                let uri = self.text();
                vec![self.registry(&Registry::URIUpdated { agentId: id, newURI: uri, updatedBy: owner })]
            }
            1 => {
                let to = self.account();
                vec![self.registry(&Registry::Transfer { from: owner, to, tokenId: id }), self.wallet(agent.id, Vec::new())]
            }
            2 => {
                let wallet = self.account();
                vec![self.wallet(agent.id, wallet.to_vec())]
            }
            _ => vec![self.metadata(agent.id, "colour", b"red".to_vec())],
        })
    }

    fn create(&mut self) -> Option<Vec<Emission>> {
        let id = (1..).map(RunId).find(|id| !self.ledger.runs.contains_key(id))?;
        let reward = Usdc::base_units(self.dice.between(1_000_000, 500_000_000));
        let rules = &self.ledger.parameters.escrow;
        let terms = Terms {
            poster: self.account(),
            reward,
            fee: rules::fee(reward, rules),
            deadline: Timestamp(self.now.0 + self.dice.between(1, 20 * 86_400)),
            max_revisions: u8::try_from(self.dice.below(4)).unwrap_or_default(),
            content_uri: Bytes::new(),
        };
        let content = self.text();
        rules::create(&NewRun { content_uri: content.clone().into_bytes().into(), ..NewRun::from(&terms) }, self.now, rules).ok()?;
        let created = Escrow::RunCreated {
            runId: U256::from(id.0),
            poster: terms.poster,
            reward: terms.reward.0,
            fee: terms.fee.0,
            deadline: U256::from(terms.deadline.0),
            maxRevisions: U256::from(terms.max_revisions),
            contentURI: content,
        };
        let mut emissions = vec![emission(self.contracts.run_escrow, &created)];
        if !self.dice.one_in(3) {
            emissions.push(self.paid(terms.poster, self.contracts.run_escrow, terms.escrowed()));
            emissions.push(self.of_run(id, &RunEvent::Funded { amount: terms.escrowed() })?);
        }
        Some(emissions)
    }

    /// Whatever fits a run's state, by an account that may do it.
    fn act(&mut self) -> Option<Vec<Emission>> {
        let runs = Vec::from_iter(self.ledger.runs.values().rev().take(6));
        if runs.is_empty() {
            return None;
        }
        let run = &self.dice.pick(&runs).run;
        let expected = run.review_by.or(run.due_at).unwrap_or_default();
        let agent = match run.claim {
            Some(claim) => self.ledger.agents.get(&claim.agent).map(|row| row.agent.clone()),
            None => self.agent(),
        };
        let feedback = Bytes::from(self.text().into_bytes());
        let fitting = match run.state {
            RunState::Draft => vec![Action::Fund, Action::Fund, Action::Cancel],
            RunState::Open => {
                let claim = Action::Claim { agent: agent.as_ref()?.id, expected_terms: run.terms_word() };
                vec![claim.clone(), claim.clone(), claim, Action::Cancel]
            }
            RunState::Claimed => vec![Action::Start, Action::Submit { deliverable_uri: feedback }, Action::Slash],
            RunState::InProgress => vec![Action::Submit { deliverable_uri: feedback }, Action::Slash],
            RunState::Submitted => vec![
                Action::RequestRevision { expected_review_by: expected, feedback },
                Action::Approve { expected_review_by: expected },
                Action::Reject { expected_deadline: expected },
                Action::Finalize,
            ],
            RunState::RevisionRequested => {
                vec![Action::Submit { deliverable_uri: feedback }, Action::Reject { expected_deadline: expected }]
            }
            RunState::Approved | RunState::Rejected | RunState::Slashed | RunState::Cancelled => return None,
        };
        let action = self.dice.pick(&fitting).clone();
        let caller = match &action {
            Action::Claim { .. } => agent.as_ref()?.owner?,
            Action::Start | Action::Submit { .. } => run.claim?.wallet,
            Action::Fund
            | Action::Cancel
            | Action::RequestRevision { .. }
            | Action::Approve { .. }
            | Action::Reject { .. }
            | Action::Finalize
            | Action::Slash => run.terms.poster,
        };
        let circumstances = Circumstances { caller, agent: agent.as_ref(), now: self.now, parameters: &self.ledger.parameters };
        let events = rules::decide(run, &action, &circumstances).ok()?;
        let mut emissions = Vec::new();
        for event in &events {
            emissions.push(self.of_run(run.id, event)?);
            emissions.extend(self.payments(run, event));
        }
        Some(emissions)
    }

    /// What no honest contract emits, or none but the contracts' owner could.
    fn nonsense(&mut self) -> Vec<Emission> {
        let escrow = self.contracts.run_escrow;
        let run = RunId(self.dice.between(1, self.ledger.runs.len() as u64 + 2));
        let agent = AgentId(self.dice.between(1, self.ledger.agents.len() as u64 + 2));
        let word = |number: u64| B256::from(U256::from(number));
        let raw = |contract, topics: Vec<B256>, data: Vec<u8>| Emission { contract, log: LogData::new_unchecked(topics, data.into()) };
        let amount = Usdc::base_units(self.dice.below(100_000_000));
        let account = self.account();
        let one = match self.dice.below(12) {
            0 => self.of_run(run, &RunEvent::Funded { amount }),
            1 => self.of_run(run, &RunEvent::Started),
            2 => self.of_run(run, &RunEvent::Cancelled { refund: amount }),
            3 => self.of_run(run, &RunEvent::Claimed { agent, wallet: account, stake_at_risk: amount, due_at: self.now }),
            4 => self.of_run(run, &RunEvent::Slashed { agent, refund: amount, slashed: amount }),
            5 => Some(raw(escrow, vec![Escrow::RunSubmitted::SIGNATURE_HASH, word(run.0)], vec![1, 2, 3])),
            6 => Some(raw(escrow, vec![Escrow::RunStarted::SIGNATURE_HASH, B256::repeat_byte(0xff)], Vec::new())),
            7 => Some(raw(escrow, vec![Escrow::RunFunded::SIGNATURE_HASH], vec![0; 32])),
            8 => Some(raw(escrow, vec![B256::from(U256::from(self.dice.next())), word(run.0)], b"\0 nobody's event \xff".to_vec())),
            9 => Some(raw(self.contracts.agent_stake, Vec::new(), vec![7; 5])),
            10 => Some(self.metadata(agent, "agentWallet", vec![1; 32])),
            _ => Some(self.staked(agent, account, amount, Usdc(U256::MAX), Usdc::ZERO)),
        };
        one.into_iter().collect()
    }

    /// A run's event, in its contract's encoding.
    fn of_run(&self, run: RunId, event: &RunEvent) -> Option<Emission> {
        let run = U256::from(run.0);
        let id = |agent: &AgentId| U256::from(agent.0);
        let second = |at: &Timestamp| U256::from(at.0);
        let text = |text: &Bytes| String::from_utf8_lossy(text).into_owned();
        let escrow = self.contracts.run_escrow;
        Some(match event {
            RunEvent::Created { .. } => return None,
            RunEvent::Funded { amount } => emission(escrow, &Escrow::RunFunded { runId: run, amount: amount.0 }),
            RunEvent::Cancelled { refund } => emission(escrow, &Escrow::RunCancelled { runId: run, refund: refund.0 }),
            RunEvent::Claimed { agent, wallet, stake_at_risk, due_at } => emission(
                escrow,
                &Escrow::RunClaimed {
                    runId: run,
                    agentId: id(agent),
                    wallet: *wallet,
                    stakeAtRisk: stake_at_risk.0,
                    dueAt: second(due_at),
                },
            ),
            RunEvent::Started => emission(escrow, &Escrow::RunStarted { runId: run }),
            RunEvent::Submitted { review_by, deliverable_uri } => {
                emission(escrow, &Escrow::RunSubmitted { runId: run, reviewBy: second(review_by), deliverableURI: text(deliverable_uri) })
            }
            RunEvent::RevisionRequested { revision, due_at, feedback } => emission(
                escrow,
                &Escrow::RevisionRequested { runId: run, revision: U256::from(*revision), dueAt: second(due_at), feedback: text(feedback) },
            ),
            RunEvent::Approved(Payment { agent, wallet, reward, fee }) => {
                emission(escrow, &Escrow::RunApproved { runId: run, agentId: id(agent), wallet: *wallet, reward: reward.0, fee: fee.0 })
            }
            RunEvent::Finalized(Payment { agent, wallet, reward, fee }) => {
                emission(escrow, &Escrow::RunFinalized { runId: run, agentId: id(agent), wallet: *wallet, reward: reward.0, fee: fee.0 })
            }
            RunEvent::Rejected { agent, refund } => {
                emission(escrow, &Escrow::RunRejected { runId: run, agentId: id(agent), refund: refund.0 })
            }
            RunEvent::Slashed { agent, refund, slashed } => {
                emission(escrow, &Escrow::RunSlashed { runId: run, agentId: id(agent), refund: refund.0, slashed: slashed.0 })
            }
        })
    }

    /// The token's logs of an event: of a contract that no indexer asks for.
    fn payments(&self, run: &Run, event: &RunEvent) -> Vec<Emission> {
        let escrow = self.contracts.run_escrow;
        let poster = run.terms.poster;
        match event {
            RunEvent::Funded { amount } => vec![self.paid(poster, escrow, *amount)],
            RunEvent::Cancelled { refund } | RunEvent::Rejected { refund, .. } => vec![self.paid(escrow, poster, *refund)],
            RunEvent::Approved(paid) | RunEvent::Finalized(paid) => vec![self.paid(escrow, paid.wallet, paid.reward)],
            RunEvent::Slashed { refund, slashed, .. } => {
                vec![self.paid(self.contracts.agent_stake, poster, *slashed), self.paid(escrow, poster, *refund)]
            }
            RunEvent::Created { .. }
            | RunEvent::Claimed { .. }
            | RunEvent::Started
            | RunEvent::Submitted { .. }
            | RunEvent::RevisionRequested { .. } => Vec::new(),
        }
    }

    fn paid(&self, from: Address, to: Address, amount: Usdc) -> Emission {
        emission(self.contracts.usdc, &TestUSDC::Transfer { from, to, value: amount.0 })
    }

    fn staked(&self, agent: AgentId, from: Address, amount: Usdc, stake: Usdc, owed: Usdc) -> Emission {
        let staked = Stake::Staked { agentId: U256::from(agent.0), from, amount: amount.0, stake: stake.0, owed: owed.0 };
        emission(self.contracts.agent_stake, &staked)
    }

    fn wallet(&self, agent: AgentId, wallet: Vec<u8>) -> Emission {
        self.metadata(agent, "agentWallet", wallet)
    }

    fn metadata(&self, agent: AgentId, key: &str, value: Vec<u8>) -> Emission {
        self.registry(&Registry::MetadataSet {
            agentId: U256::from(agent.0),
            indexedMetadataKey: keccak256(key),
            metadataKey: key.to_owned(),
            metadataValue: value.into(),
        })
    }

    fn registry<E: SolEvent>(&self, event: &E) -> Emission {
        emission(self.contracts.agent_registry, event)
    }

    fn account(&mut self) -> Address {
        Address::repeat_byte(0xa0 + u8::try_from(self.dice.below(ACCOUNTS.into())).unwrap_or_default())
    }

    fn agent(&mut self) -> Option<Agent> {
        let agents = Vec::from_iter(self.ledger.agents.values());
        (!agents.is_empty()).then(|| self.dice.pick(&agents).agent.clone())
    }

    fn text(&mut self) -> String {
        (*self.dice.pick(&["ipfs://bafy", "x", "two\nlines", "a NUL \0 in it", "ümläut ✓", NOT_TEXT, "\"quoted\", \\ and {}"])).to_owned()
    }
}

fn emission<E: SolEvent>(contract: Address, event: &E) -> Emission {
    let log = event.encode_log_data();
    let (topics, data) = log.split();
    let mut data = data.to_vec();
    // Solidity's strings are bytes, Rust's are not.
    if let Some(at) = data.windows(NOT_TEXT.len()).position(|bytes| bytes == NOT_TEXT.as_bytes()) {
        data[at..at + NOT_TEXT.len()].copy_from_slice(b"\xff\xfe\xc3(\0\xc0\x80\xf5");
    }
    Emission { contract, log: LogData::new_unchecked(topics, data.into()) }
}
