//! The contracts' `parameters()`, to the domain's and back.

use alloy_primitives::U256;
use clawpay_domain::{EscrowParameters, Seconds, StakeParameters, Usdc};
use thiserror::Error;

use crate::{agent_stake::IAgentStake, run_escrow::IRunEscrow};

/// A parameter larger than any deployment of these contracts can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("parameter {name} is {value}, which is out of range")]
pub struct ParameterOutOfRange {
    /// Its name in Solidity.
    pub name: &'static str,
    /// What the contract answers.
    pub value: U256,
}

impl TryFrom<IRunEscrow::Parameters> for EscrowParameters {
    type Error = ParameterOutOfRange;

    fn try_from(parameters: IRunEscrow::Parameters) -> Result<Self, Self::Error> {
        Ok(Self {
            fee_bps: number("feeBps", parameters.feeBps)?,
            minimum_reward: Usdc(parameters.minimumReward),
            submission_timeout: Seconds(number("submissionTimeout", parameters.submissionTimeout)?),
            review_period: Seconds(number("reviewPeriod", parameters.reviewPeriod)?),
            max_revisions: number("maxRevisions", parameters.maxRevisions)?,
            max_deadline_ahead: Seconds(number("maxDeadlineAhead", parameters.maxDeadlineAhead)?),
        })
    }
}

impl TryFrom<IAgentStake::Parameters> for StakeParameters {
    type Error = ParameterOutOfRange;

    fn try_from(parameters: IAgentStake::Parameters) -> Result<Self, Self::Error> {
        Ok(Self {
            minimum_stake: Usdc(parameters.minimumStake),
            stake_at_risk: Usdc(parameters.stakeAtRisk),
            banned_after_slashes: number("bannedAfterSlashes", parameters.bannedAfterSlashes)?,
            established_after: Seconds(number("establishedAfter", parameters.establishedAfter)?),
            established_completions: number("establishedCompletions", parameters.establishedCompletions)?,
        })
    }
}

impl From<EscrowParameters> for IRunEscrow::Parameters {
    fn from(parameters: EscrowParameters) -> Self {
        Self {
            feeBps: U256::from(parameters.fee_bps),
            minimumReward: parameters.minimum_reward.0,
            submissionTimeout: U256::from(parameters.submission_timeout.0),
            reviewPeriod: U256::from(parameters.review_period.0),
            maxRevisions: U256::from(parameters.max_revisions),
            maxDeadlineAhead: U256::from(parameters.max_deadline_ahead.0),
        }
    }
}

impl From<StakeParameters> for IAgentStake::Parameters {
    fn from(parameters: StakeParameters) -> Self {
        Self {
            minimumStake: parameters.minimum_stake.0,
            stakeAtRisk: parameters.stake_at_risk.0,
            bannedAfterSlashes: U256::from(parameters.banned_after_slashes),
            establishedAfter: U256::from(parameters.established_after.0),
            establishedCompletions: U256::from(parameters.established_completions),
        }
    }
}

fn number<N: TryFrom<U256>>(name: &'static str, value: U256) -> Result<N, ParameterOutOfRange> {
    N::try_from(value).map_err(|_| ParameterOutOfRange { name, value })
}

#[cfg(test)]
mod tests {
    use clawpay_domain::Parameters;

    use super::*;

    #[test]
    fn parameters_survive_the_way_to_the_contract_and_back() {
        let Parameters { escrow, stake } = Parameters::default();
        assert_eq!(EscrowParameters::try_from(IRunEscrow::Parameters::from(escrow)), Ok(escrow));
        assert_eq!(StakeParameters::try_from(IAgentStake::Parameters::from(stake)), Ok(stake));
    }

    #[test]
    fn a_parameter_out_of_range_is_named() {
        let mut parameters = IRunEscrow::Parameters::from(Parameters::default().escrow);
        parameters.maxRevisions = U256::from(256);
        assert_eq!(EscrowParameters::try_from(parameters), Err(ParameterOutOfRange { name: "maxRevisions", value: U256::from(256) }));
    }
}
