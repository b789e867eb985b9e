//! The proof that the world is the one in the config, before the first row is written.

use alloy::sol_types::SolCall;
use clawpay_bindings::{AgentStake, RunEscrow};
use clawpay_domain::{EscrowParameters, Parameters, StakeParameters};
use clawpay_store::{Block, Chain, Tags};

use crate::{
    chain::Node,
    config::{Config, ShorterChain},
    error::{IndexError, NodeError},
};

/// What was proved: the chain and its rules, the block the index starts from, and the node's head.
pub(crate) struct Proof {
    pub(crate) chain: Chain,
    pub(crate) start: Block,
    pub(crate) tags: Tags,
}

/// Checks the code at each address, and that the contracts know each other; reads their rules. Which chain it is, each node has shown before it
/// is asked anything else.
pub(crate) async fn prove(config: &Config, node: &Node) -> Result<Proof, IndexError> {
    let deployment = &config.deployment;
    let contracts = &deployment.contracts;
    let tags = node.head().await?.tags;
    let head = tags.head;
    if head < deployment.deployment_block {
        return Err(match config.shorter_chain {
            ShorterChain::NodeIsBehind => NodeError::MissingBlock(deployment.deployment_block).into(),
            ShorterChain::BlocksAreLost => IndexError::ChainBehindIndex { head, indexed: deployment.deployment_block },
        });
    }
    let places = [
        ("USDC", contracts.usdc),
        ("AgentRegistry", contracts.agent_registry),
        ("AgentStake", contracts.agent_stake),
        ("RunEscrow", contracts.run_escrow),
    ];
    for (contract, address) in places {
        if node.code(address).await?.is_empty() {
            return Err(IndexError::NoCode { contract, address });
        }
    }
    let chain = Chain {
        chain_id: deployment.chain_id,
        genesis_hash: deployment.genesis_hash,
        run_escrow: contracts.run_escrow,
        agent_stake: contracts.agent_stake,
        agent_registry: contracts.agent_registry,
        usdc: contracts.usdc,
        deployment_block: deployment.deployment_block,
        parameters: Parameters { escrow: prove_escrow(config, node).await?, stake: prove_stake(config, node).await? },
    };
    // The block before the first that can hold an event; block 0 holds none.
    let start = deployment.deployment_block.saturating_sub(1);
    let start = node.header(start).await?.ok_or(NodeError::MissingBlock(start))?.block();
    Ok(Proof { chain, start, tags })
}

async fn prove_escrow(config: &Config, node: &Node) -> Result<EscrowParameters, IndexError> {
    let contracts = &config.deployment.contracts;
    let address = contracts.run_escrow;
    let wrong = |reason: String| IndexError::WrongContract { contract: "RunEscrow", address, reason };
    let answer = node.call(address, RunEscrow::agentStakeCall {}.abi_encode()).await?;
    let stake = RunEscrow::agentStakeCall::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))?;
    if stake != contracts.agent_stake {
        return Err(wrong(format!("its AgentStake is {stake}")));
    }
    let answer = node.call(address, RunEscrow::usdcCall {}.abi_encode()).await?;
    let usdc = RunEscrow::usdcCall::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))?;
    if usdc != contracts.usdc {
        return Err(wrong(format!("its USDC is {usdc}")));
    }
    let answer = node.call(address, RunEscrow::parametersCall {}.abi_encode()).await?;
    let parameters = RunEscrow::parametersCall::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))?;
    EscrowParameters::try_from(parameters).map_err(|error| wrong(error.to_string()))
}

async fn prove_stake(config: &Config, node: &Node) -> Result<StakeParameters, IndexError> {
    let contracts = &config.deployment.contracts;
    let address = contracts.agent_stake;
    let wrong = |reason: String| IndexError::WrongContract { contract: "AgentStake", address, reason };
    let answer = node.call(address, AgentStake::agentRegistryCall {}.abi_encode()).await?;
    let registry = AgentStake::agentRegistryCall::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))?;
    if registry != contracts.agent_registry {
        return Err(wrong(format!("its AgentRegistry is {registry}")));
    }
    let answer = node.call(address, AgentStake::runEscrowCall {}.abi_encode()).await?;
    let escrow = AgentStake::runEscrowCall::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))?;
    if escrow != contracts.run_escrow {
        return Err(wrong(format!("its RunEscrow is {escrow}")));
    }
    let answer = node.call(address, AgentStake::parametersCall {}.abi_encode()).await?;
    let parameters = AgentStake::parametersCall::abi_decode_returns(&answer).map_err(|error| wrong(error.to_string()))?;
    StakeParameters::try_from(parameters).map_err(|error| wrong(error.to_string()))
}
