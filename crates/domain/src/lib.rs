//! The rules of the market as pure functions: no input or output, no async, no clock.
//!
//! The contracts are the law; this crate restates it once, so that the indexer can fold events, the API can say who may do what, and
//! tests can compare the two languages on every input. Used by every other crate of the workspace.

mod account;
mod agent;
mod agent_status;
mod amount;
mod conditions;
mod fold;
mod ids;
mod inconsistency;
mod ladder;
pub mod options;
mod parameters;
mod refusal;
mod reputation;
pub mod rules;
mod run;
mod run_state;
mod spelling;
mod terms;
mod time;
mod waiting;

pub use account::{AccountError, parse_account};
pub use agent::{Agent, AgentEvent, SlashEntry, StakeRecord, TrackRecord};
pub use agent_status::AgentStatus;
pub use amount::{AmountError, Usdc};
pub use ids::{AgentId, RunId};
pub use inconsistency::Inconsistency;
pub use parameters::{EscrowParameters, Parameters, StakeParameters};
pub use refusal::Refusal;
pub use run::{Claim, Payment, Run, RunEvent, Submission};
pub use run_state::RunState;
pub use spelling::UnknownWord;
pub use terms::{NewRun, Terms};
pub use time::{Seconds, Timestamp};
pub use waiting::Turn;
