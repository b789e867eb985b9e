//! What happens to the chain, to the node and to the indexer, written down before anything starts: a pure function of the seed.

use clawpay_bindings::Contracts;
use clawpay_domain::Parameters;
use clawpay_indexer::{FinalizedHeaders, ShorterChain};

use super::{
    dice::Dice,
    provider::{self, Provider},
    tree::{BlockId, Content, Tree},
};

/// Longest branch that a fork replaces at once.
const DEEPEST: u64 = 14;

/// A scenario.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) setting: Setting,
    /// All blocks that any view will show.
    pub(crate) tree: Tree,
    /// What the node shows at first.
    pub(crate) first: View,
    /// After each, faults pause and the database must equal the reference.
    pub(crate) acts: Vec<Vec<Step>>,
    /// Whether it ends with a chain that has lost a finalized block.
    pub(crate) ends_in_betrayal: Option<View>,
}

/// What stays the same throughout.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) deployment_block: u64,
    pub(crate) finality: Finality,
    pub(crate) finalized_headers: FinalizedHeaders,
    pub(crate) shorter_chain: ShorterChain,
    pub(crate) serves_receipts: bool,
    pub(crate) serves_batches: bool,
    /// How the node puts its refusals.
    pub(crate) provider: &'static Provider,
    /// Largest range of `eth_getLogs`, in blocks.
    pub(crate) range_limit: Option<u64>,
    /// Most logs in one answer to a range of more than one block.
    pub(crate) result_limit: Option<usize>,
    /// One answer in so many is wrong in some way; none, if 0.
    pub(crate) faults: u64,
    /// Whether a second indexer stands by.
    pub(crate) standby: bool,
}

/// How the node tells what is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finality {
    /// It knows the tags.
    Tags,
    /// It does not: so many blocks on top.
    Confirmations(u64),
}

/// What an honest and up-to-date node says.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) tip: BlockId,
    pub(crate) safe: Option<u64>,
    pub(crate) finalized: Option<u64>,
    /// No block up to this height is ever replaced.
    pub(crate) floor: u64,
    /// Tips of other branches that a confused node may take for the chain's.
    pub(crate) others: Vec<BlockId>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// So many requests after the one before it.
    pub(crate) after: u64,
    pub(crate) what: String,
    pub(crate) change: Change,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The chain has changed.
    Chain(View),
    /// An indexer dies, so many polls of its future later, and another is started in its place.
    Kill { polls: u64 },
    /// Postgres ends the writer's connections.
    CutDatabase,
}

impl Script {
    /// The scenario of a seed.
    pub(crate) fn new(seed: u64, contracts: Contracts, parameters: Parameters) -> Self {
        let setting = Setting::new(&mut Dice::new(seed, "setting"));
        let tree = Tree::new(contracts, parameters);
        let tip = tree.genesis();
        let mut author = Author { dice: Dice::new(seed, "script"), setting, tree, tip, finalized: 0, highest: 0, leaves: Vec::new() };
        let deployed = author.setting.deployment_block;
        let history = if author.dice.one_in(3) { author.dice.between(20, 70) } else { author.dice.between(0, 8) };
        author.grow(deployed + history);
        author.finalize();
        let first = author.view();
        let acts = (0..author.dice.between(1, 2)).map(|_| (0..author.dice.between(2, 8)).map(|_| author.step()).collect()).collect();
        let ends_in_betrayal = (author.dice.one_in(12)).then(|| author.betray()).flatten();
        Self { setting: author.setting, tree: author.tree, first, acts, ends_in_betrayal }
    }
}

impl Setting {
    fn new(dice: &mut Dice) -> Self {
        let finality = if dice.one_in(4) { Finality::Confirmations(dice.between(3, 16)) } else { Finality::Tags };
        let lost = finality == Finality::Tags && dice.one_in(8);
        Self {
            deployment_block: dice.between(1, 5),
            finality,
            finalized_headers: if dice.one_in(5) { FinalizedHeaders::WithEvents } else { FinalizedHeaders::Every },
            shorter_chain: if lost { ShorterChain::BlocksAreLost } else { ShorterChain::NodeIsBehind },
            serves_receipts: !dice.one_in(4),
            serves_batches: !dice.one_in(6),
            provider: dice.pick(&provider::PROVIDERS),
            range_limit: dice.one_in(3).then(|| dice.between(1, 20)),
            result_limit: dice.one_in(4).then(|| dice.index(30) + 1),
            faults: *dice.pick(&[0, 40, 15, 8, 4]),
            standby: dice.one_in(5),
        }
    }
}

/// Writes a script.
struct Author {
    dice: Dice,
    setting: Setting,
    tree: Tree,
    tip: BlockId,
    finalized: u64,
    /// Highest block that was ever shown.
    highest: u64,
    /// Shown tips that nothing shown builds on.
    leaves: Vec<BlockId>,
}

impl Author {
    fn step(&mut self) -> Step {
        let pace = *self.dice.pick(&[1, 4, 12, 40]);
        let after = self.dice.between(1, pace);
        let (what, change) = match self.dice.below(20) {
            0 | 1 => {
                let polls = self.dice.below(40);
                (format!("the indexer is killed {polls} polls later"), Change::Kill { polls })
            }
            2 => ("Postgres ends the writer's connection".to_owned(), Change::CutDatabase),
            choice => {
                let what = match choice {
                    3..=7 => self.fork(),
                    8 | 9 => self.go_back(),
                    10 if self.setting.shorter_chain == ShorterChain::BlocksAreLost => self.lose(),
                    11 => {
                        let blocks = self.dice.between(10, 40);
                        self.grow(blocks)
                    }
                    12 | 13 => "only finality moves".to_owned(),
                    _ => {
                        let blocks = self.dice.between(1, 4);
                        self.grow(blocks)
                    }
                };
                self.finalize();
                let view = self.view();
                let what = format!("{what}: head {}, finalized {:?}, floor {}", self.head(), view.finalized, view.floor);
                (what, Change::Chain(view))
            }
        };
        Step { after, what, change }
    }

    fn head(&self) -> u64 {
        self.tree.number(self.tip)
    }

    /// The chain goes on.
    fn grow(&mut self, blocks: u64) -> String {
        for _ in 0..blocks {
            self.mine(None);
        }
        format!("{blocks} more blocks")
    }

    /// A branch replaces the last blocks: shorter, as long or longer; of new transactions, of none, or of the same in another order.
    fn fork(&mut self) -> String {
        let deepest = self.head().saturating_sub(self.floor()).min(DEEPEST);
        if deepest == 0 {
            return self.grow(1);
        }
        let depth = if self.dice.one_in(2) { self.dice.between(1, deepest.min(3)) } else { self.dice.between(1, deepest) };
        let base = self.head() - depth;
        // There is no market on a chain that ends before its deployment.
        let least = self.setting.deployment_block.saturating_sub(base).max(1);
        let length = match self.dice.below(3) {
            0 => self.dice.between(least, depth.max(least)),
            1 => depth.max(least),
            _ => depth.max(least) + self.dice.between(1, 4),
        };
        let replaced = self.tree.branch(self.tip, base + 1);
        let mut contents = match self.dice.below(3) {
            0 => vec![Content::Played(0); replaced.len()],
            1 => {
                let mut transactions: Vec<_> = replaced.iter().flat_map(|&id| self.tree.at(id).transactions.clone()).collect();
                self.dice.shuffle(&mut transactions);
                let share = transactions.len() / replaced.len() + 1;
                let mut shares = transactions.chunks(share).map(<[_]>::to_vec);
                let at = replaced.iter().map(|&id| self.tree.at(id).block.timestamp);
                at.map(|at| Content::Mined(shares.next().unwrap_or_default(), at)).collect()
            }
            _ => Vec::new(),
        }
        .into_iter();
        self.tip = self.tree.ancestor(self.tip, base).unwrap_or(self.tip);
        for _ in 0..length {
            let content = contents.next().filter(|_| self.head() + 1 >= self.setting.deployment_block);
            self.mine(content);
        }
        format!("{depth} blocks give way to {length}")
    }

    /// A branch that was left comes back.
    fn go_back(&mut self) -> String {
        let floor = self.floor();
        let returns: Vec<_> =
            self.leaves.iter().copied().filter(|&leaf| leaf != self.tip && self.tree.shared(leaf, self.tip) >= floor).collect();
        if returns.is_empty() {
            return self.fork();
        }
        self.tip = *self.dice.pick(&returns);
        let blocks = self.dice.below(3);
        self.grow(blocks);
        format!("back to another branch and {blocks} more blocks")
    }

    /// The last blocks are lost, and nothing takes their place.
    fn lose(&mut self) -> String {
        let least = self.floor().max(self.setting.deployment_block);
        let lost = self.dice.below(6).min(self.head().saturating_sub(least));
        self.tip = self.tree.ancestor(self.tip, self.head() - lost).unwrap_or(self.tip);
        format!("{lost} blocks are lost")
    }

    /// A branch replaces finalized blocks, which must never happen.
    fn betray(&mut self) -> Option<View> {
        let floor = self.floor().min(self.head());
        let deployed = self.setting.deployment_block;
        if self.setting.finality != Finality::Tags || floor <= deployed {
            return None;
        }
        let length = self.head() - floor + 3;
        self.tip = self.tree.ancestor(self.tip, floor - 1)?;
        for _ in 0..length {
            self.mine(None);
        }
        Some(View { others: Vec::new(), ..self.view() })
    }

    fn mine(&mut self, content: Option<Content>) {
        let is_market = self.head() + 1 >= self.setting.deployment_block;
        let played = if !is_market || self.dice.one_in(3) { 0 } else { self.dice.between(1, 4) };
        self.tip = self.tree.extend(&mut self.dice, self.tip, content.unwrap_or(Content::Played(played)));
    }

    fn finalize(&mut self) {
        let head = self.head();
        if self.finalized < head && self.dice.one_in(2) {
            let most = self.dice.between(self.finalized, head);
            self.finalized = self.dice.between(self.finalized, most);
        }
    }

    /// No block up to here is replaced from now on.
    fn floor(&self) -> u64 {
        match self.setting.finality {
            Finality::Tags => self.finalized,
            Finality::Confirmations(depth) => self.highest.saturating_sub(depth),
        }
    }

    /// Shows the chain as it is now.
    fn view(&mut self) -> View {
        let head = self.head();
        self.highest = self.highest.max(head);
        let (safe, finalized) = match self.setting.finality {
            Finality::Tags => (Some(self.dice.between(self.finalized.min(head), head)), Some(self.finalized)),
            Finality::Confirmations(_) => (None, None),
        };
        let (tip, floor) = (self.tip, self.floor());
        self.leaves.retain(|&leaf| self.tree.ancestor(tip, self.tree.number(leaf)) != Some(leaf));
        let others = self.leaves.iter().copied().filter(|&leaf| self.tree.shared(leaf, tip) >= floor).collect();
        self.leaves.push(tip);
        View { tip, safe, finalized, floor, others }
    }
}
