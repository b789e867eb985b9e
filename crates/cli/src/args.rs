//! What is typed. What is meant follows from this and the environment, in the commands.

use std::path::PathBuf;

use alloy::primitives::Address;
use clap::{Args, Parser, Subcommand};
use clawpay_domain::{AmountError, Parameters, Seconds, Usdc, parse_account};

/// A marketplace where people and programs pay AI agents in USDC, held by contracts.
///
/// Settings come from the environment and .env; .env.example lists them all.
///
/// Exit codes: 0 done, or stopped when asked to; 1 something failed; 2 the command line or the environment is wrong.
#[derive(Debug, Parser)]
#[command(name = "clawpay", version, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole market on this machine: Postgres, chain, contracts, demo market, indexer and API.
    Up,
    /// Follow the chain into the database (DATABASE_URL, RPC_URL).
    Index,
    /// Serve the API from an indexed database (DATABASE_URL, RPC_URL).
    Serve,
    /// Compare every run, agent and total in the database with the contracts (DATABASE_URL, RPC_URL); exit with 1 if any differs.
    Verify(Verify),
    /// Fold all stored events anew, without a node (DATABASE_URL). API and indexer go on meanwhile.
    Reindex,
    /// Deploy the contracts (RPC_URL) and write the deployment file.
    Deploy(Box<Deploy>),
}

/// How to tell what differs.
#[derive(Clone, Copy, Debug, Args)]
pub struct Verify {
    /// One JSON object per line: each difference, then the summary.
    #[arg(long)]
    pub json: bool,
}

/// What to deploy. Rules are immutable once deployed; each has the documented default.
#[derive(Clone, Debug, Args)]
pub struct Deploy {
    /// The chain that RPC_URL should lead to. Any other is refused before anything is sent.
    #[arg(long, value_name = "ID")]
    pub chain_id: Option<u64>,
    /// The token; CLAWPAY_USDC if not given, and a new TestUSDC on a local chain.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub usdc: Option<Address>,
    /// An existing ERC-8004 identity registry instead of a new one. The account that can upgrade it is trusted with the stakes.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub agent_registry: Option<Address>,
    /// Where collected fees go; the deployer if not given.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub treasury: Option<Address>,
    /// Who may change the treasury and pause new business; the deployer if not given.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub owner: Option<Address>,
    /// Where to write the deployment file. An existing file of a live chain is never replaced.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Blocks to wait for before the contracts are checked; 0 on a local chain and 3 elsewhere if not given.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub confirmations: Option<u64>,
    #[command(flatten)]
    rules: Rules,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rules")]
struct Rules {
    /// Fee in basis points of the reward.
    #[arg(long, value_name = "BPS")]
    fee_bps: Option<u64>,
    /// Smallest reward, USDC.
    #[arg(long, value_name = "USDC", value_parser = usdc)]
    minimum_reward: Option<Usdc>,
    /// Time an agent has to submit, seconds.
    #[arg(long, value_name = "SECONDS")]
    submission_timeout: Option<u64>,
    /// Time a poster has to answer a submission, seconds.
    #[arg(long, value_name = "SECONDS")]
    review_period: Option<u64>,
    /// Most revisions a run may allow.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(0..=3))]
    max_revisions: Option<u8>,
    /// Furthest a deadline may lie ahead, seconds.
    #[arg(long, value_name = "SECONDS")]
    max_deadline_ahead: Option<u64>,
    /// Stake needed to claim any run, USDC.
    #[arg(long, value_name = "USDC", value_parser = usdc)]
    minimum_stake: Option<Usdc>,
    /// Stake committed by each run in hand, USDC.
    #[arg(long, value_name = "USDC", value_parser = usdc)]
    stake_at_risk: Option<Usdc>,
    /// Slashes after which an agent is banned.
    #[arg(long, value_name = "COUNT")]
    banned_after_slashes: Option<u64>,
    /// Uninterrupted time staked before an agent is established, seconds.
    #[arg(long, value_name = "SECONDS")]
    established_after: Option<u64>,
    /// Completions before an agent is established.
    #[arg(long, value_name = "COUNT")]
    established_completions: Option<u64>,
}

impl Deploy {
    /// The rules: the documented ones, except what was typed.
    pub fn parameters(&self) -> Parameters {
        let Parameters { mut escrow, mut stake } = Parameters::default();
        let rules = &self.rules;
        let set = |seconds: Option<u64>, default| seconds.map_or(default, Seconds);
        escrow.fee_bps = rules.fee_bps.unwrap_or(escrow.fee_bps);
        escrow.minimum_reward = rules.minimum_reward.unwrap_or(escrow.minimum_reward);
        escrow.submission_timeout = set(rules.submission_timeout, escrow.submission_timeout);
        escrow.review_period = set(rules.review_period, escrow.review_period);
        escrow.max_revisions = rules.max_revisions.unwrap_or(escrow.max_revisions);
        escrow.max_deadline_ahead = set(rules.max_deadline_ahead, escrow.max_deadline_ahead);
        stake.minimum_stake = rules.minimum_stake.unwrap_or(stake.minimum_stake);
        stake.stake_at_risk = rules.stake_at_risk.unwrap_or(stake.stake_at_risk);
        stake.banned_after_slashes = rules.banned_after_slashes.unwrap_or(stake.banned_after_slashes);
        stake.established_after = set(rules.established_after, stake.established_after);
        stake.established_completions = rules.established_completions.unwrap_or(stake.established_completions);
        Parameters { escrow, stake }
    }
}

fn address(text: &str) -> Result<Address, String> {
    parse_account(text).map_err(|error| error.to_string())
}

fn usdc(text: &str) -> Result<Usdc, AmountError> {
    Usdc::parse_decimal(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn deploy(arguments: &[&str]) -> Deploy {
        match Arguments::try_parse_from(["clawpay", "deploy"].iter().chain(arguments)).unwrap().command {
            Command::Deploy(deploy) => *deploy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn rules_not_typed_are_the_documented_ones() {
        assert_eq!(deploy(&[]).parameters(), Parameters::default());
    }

    #[test]
    fn each_rule_can_be_typed() {
        let typed = deploy(&[
            "--fee-bps=1",
            "--minimum-reward=2.5",
            "--submission-timeout=3",
            "--review-period=4",
            "--max-revisions=2",
            "--max-deadline-ahead=6",
            "--minimum-stake=7",
            "--stake-at-risk=0.000008",
            "--banned-after-slashes=9",
            "--established-after=10",
            "--established-completions=11",
        ])
        .parameters();
        assert_eq!((typed.escrow.fee_bps, typed.escrow.minimum_reward), (1, Usdc::base_units(2_500_000)));
        assert_eq!((typed.escrow.submission_timeout, typed.escrow.review_period), (Seconds(3), Seconds(4)));
        assert_eq!((typed.escrow.max_revisions, typed.escrow.max_deadline_ahead), (2, Seconds(6)));
        assert_eq!((typed.stake.minimum_stake, typed.stake.stake_at_risk), (Usdc::whole(7), Usdc::base_units(8)));
        assert_eq!((typed.stake.banned_after_slashes, typed.stake.established_after), (9, Seconds(10)));
        assert_eq!(typed.stake.established_completions, 11);
    }

    #[test]
    fn bad_amounts_and_addresses_are_refused() {
        for bad in ["--minimum-stake=1.0000001", "--minimum-stake=-1", "--usdc=0x12", "--max-revisions=4"] {
            assert!(Arguments::try_parse_from(["clawpay", "deploy", bad]).is_err(), "{bad}");
        }
    }
}
