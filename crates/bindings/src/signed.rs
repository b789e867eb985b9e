//! What a wallet signs instead of sending: permits and authorizations of USDC, and requests to the forwarder, as EIP-712 typed data.
//!
//! An authorization (EIP-3009) names no purpose, only a nonce. Ours is the hash of a purpose: of one verb of one contract on one chain, its
//! payer and all its terms. So the account that submits the authorization can do that with it and nothing else, and the same terms can be
//! authorized again under another salt.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};
use clawpay_domain::{AgentId, NewRun, RunId, Usdc};

use crate::forwarder::ERC2771Forwarder::ForwardRequestData;

/// The forwarder's EIP-712 name, which wallets show.
pub const FORWARDER_NAME: &str = "ClawPay Runs";

sol! {
    /// EIP-2612: `spender` may take `value` of `owner`'s USDC, signed before `deadline`.
    #[derive(Debug, PartialEq, Eq)]
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }

    /// EIP-3009: `to`, and no other account, may take `value` of `from`'s USDC once, later than `validAfter` and before `validBefore`.
    #[derive(Debug, PartialEq, Eq)]
    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    /// ERC-8004: `newWallet` consents, until `deadline`, to act for the agent that `owner` owns.
    #[derive(Debug, PartialEq, Eq)]
    struct AgentWalletSet {
        uint256 agentId;
        address newWallet;
        address owner;
        uint256 deadline;
    }

    /// ERC-2771: the forwarder may call `to` with `data` in the name of `from`, no later than `deadline`.
    #[derive(Debug, PartialEq, Eq)]
    struct ForwardRequest {
        address from;
        address to;
        uint256 value;
        uint256 gas;
        uint256 nonce;
        uint48 deadline;
        bytes data;
    }

    struct CreateAndFund {
        uint256 chainId;
        address escrow;
        address poster;
        uint256 reward;
        uint256 deadline;
        uint256 maxRevisions;
        bytes32 contentHash;
        bytes32 salt;
    }

    struct Fund {
        uint256 chainId;
        address escrow;
        address poster;
        uint256 runId;
        uint256 reward;
        uint256 deadline;
        uint256 maxRevisions;
        bytes32 contentHash;
        bytes32 salt;
    }

    struct Stake {
        uint256 chainId;
        address agentStake;
        address from;
        uint256 agentId;
        uint256 amount;
        bytes32 salt;
    }
}

/// Nonce of the authorization by which `poster` pays for a run that the submitting account creates in the poster's name.
pub fn create_and_fund_nonce(chain_id: u64, run_escrow: Address, poster: Address, run: &NewRun, salt: B256) -> B256 {
    CreateAndFund {
        chainId: U256::from(chain_id),
        escrow: run_escrow,
        poster,
        reward: run.reward.0,
        deadline: U256::from(run.deadline.0),
        maxRevisions: U256::from(run.max_revisions),
        contentHash: keccak256(&run.content_uri),
        salt,
    }
    .eip712_hash_struct()
}

/// Nonce of the authorization by which `poster` funds its draft `run`, whose terms are `terms`.
pub fn fund_nonce(chain_id: u64, run_escrow: Address, poster: Address, run: RunId, terms: &NewRun, salt: B256) -> B256 {
    Fund {
        chainId: U256::from(chain_id),
        escrow: run_escrow,
        poster,
        runId: U256::from(run.0),
        reward: terms.reward.0,
        deadline: U256::from(terms.deadline.0),
        maxRevisions: U256::from(terms.max_revisions),
        contentHash: keccak256(&terms.content_uri),
        salt,
    }
    .eip712_hash_struct()
}

/// Nonce of the authorization by which `from` stakes `amount` for `agent`.
pub fn stake_nonce(chain_id: u64, agent_stake: Address, from: Address, agent: AgentId, amount: Usdc, salt: B256) -> B256 {
    Stake { chainId: U256::from(chain_id), agentStake: agent_stake, from, agentId: U256::from(agent.0), amount: amount.0, salt }
        .eip712_hash_struct()
}

/// The domain in which a token's permits and authorizations are signed. `name` and `version` are the token's own answers: they differ
/// between chains.
pub fn token_domain(name: String, version: String, chain_id: u64, usdc: Address) -> Eip712Domain {
    eip712_domain! { name: name, version: version, chain_id: chain_id, verifying_contract: usdc, }
}

/// The domain in which requests to the forwarder are signed.
pub fn forwarder_domain(chain_id: u64, forwarder: Address) -> Eip712Domain {
    eip712_domain! { name: FORWARDER_NAME, version: "1", chain_id: chain_id, verifying_contract: forwarder, }
}

/// The domain in which agent wallets consent: the one that ERC-8004's reference registry has on every chain, and ours.
pub fn registry_domain(chain_id: u64, agent_registry: Address) -> Eip712Domain {
    eip712_domain! { name: "ERC8004IdentityRegistry", version: "1", chain_id: chain_id, verifying_contract: agent_registry, }
}

/// A key's signature as contracts take it: 65 bytes, of which the last is 27 or 28. Some devices sign with 0 or 1 there, some in 64 bytes
/// (EIP-2098). What is neither stays as it is.
pub fn with_recovery_id(signature: &Bytes) -> Bytes {
    match signature.as_ref() {
        [rs @ .., v @ (0 | 1)] if rs.len() == 64 => [rs, &[v + 27]].concat().into(),
        [r @ .., _] if r.len() == 63 => {
            let mut long = signature.to_vec();
            let is_odd = long[32] >> 7;
            long[32] &= 0x7f;
            long.push(27 + is_odd);
            long.into()
        }
        _ => signature.clone(),
    }
}

impl ForwardRequest {
    /// What is submitted: the nonce is not, the forwarder counts for itself.
    pub fn submitted(self, signature: Bytes) -> ForwardRequestData {
        let Self { from, to, value, gas, nonce: _, deadline, data } = self;
        ForwardRequestData { from, to, value, gas, deadline, data, signature }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;
    use alloy_sol_types::SolValue;
    use clawpay_domain::Timestamp;

    use super::*;

    const ESCROW: Address = address!("0x4000000000000000000000000000000000000004");
    const PAYER: Address = address!("0x5000000000000000000000000000000000000005");
    const SALT: B256 = B256::repeat_byte(0x5a);

    fn terms() -> NewRun {
        NewRun { reward: Usdc::whole(100), deadline: Timestamp(1_800_000_000), max_revisions: 2, content_uri: "ipfs://Qm".into() }
    }

    /// keccak256(abi.encode(keccak256(tag), words...)), written out as the contracts' documentation does.
    fn nonce(tag: &str, words: impl SolValue) -> B256 {
        keccak256([keccak256(tag).to_vec(), words.abi_encode()].concat())
    }

    #[test]
    fn nonces_are_those_of_the_documented_words() {
        let number = |number: u64| U256::from(number);
        let content = keccak256("ipfs://Qm");
        let create = "CreateAndFund(uint256 chainId,address escrow,address poster,uint256 reward,uint256 deadline,uint256 maxRevisions,\
                      bytes32 contentHash,bytes32 salt)";
        assert_eq!(
            create_and_fund_nonce(84_532, ESCROW, PAYER, &terms(), SALT),
            nonce(create, (number(84_532), ESCROW, PAYER, number(100_000_000), number(1_800_000_000), number(2), content, SALT))
        );
        let fund = "Fund(uint256 chainId,address escrow,address poster,uint256 runId,uint256 reward,uint256 deadline,uint256 maxRevisions,\
                    bytes32 contentHash,bytes32 salt)";
        assert_eq!(
            fund_nonce(84_532, ESCROW, PAYER, RunId(7), &terms(), SALT),
            nonce(fund, (number(84_532), ESCROW, PAYER, number(7), number(100_000_000), number(1_800_000_000), number(2), content, SALT))
        );
        let stake = "Stake(uint256 chainId,address agentStake,address from,uint256 agentId,uint256 amount,bytes32 salt)";
        assert_eq!(
            stake_nonce(84_532, ESCROW, PAYER, AgentId(0), Usdc::whole(20), SALT),
            nonce(stake, (number(84_532), ESCROW, PAYER, number(0), number(20_000_000), SALT))
        );
    }

    #[test]
    fn signatures_of_all_devices_take_one_form() {
        let form = |signature: &[u8]| with_recovery_id(&Bytes::copy_from_slice(signature)).to_vec();
        let long = |v: u8| [[7; 64].as_slice(), &[v]].concat();
        for (v, form_of_it) in [(0, 27), (1, 28), (27, 27), (28, 28), (2, 2)] {
            assert_eq!(form(&long(v)), long(form_of_it), "{v}");
        }
        let compact = |s: u8| [[7; 32].as_slice(), &[s], &[7; 31]].concat();
        assert_eq!(form(&compact(7)), long(27));
        assert_eq!(form(&compact(0x87)), long(28));
        for other in [vec![], vec![1; 63], vec![1; 66], vec![0; 130]] {
            assert_eq!(form(&other), other);
        }
    }

    #[test]
    fn every_term_changes_the_nonce() {
        let base = (84_532, ESCROW, PAYER, terms(), SALT);
        let of = |(chain, escrow, payer, run, salt): &(u64, Address, Address, NewRun, B256)| {
            create_and_fund_nonce(*chain, *escrow, *payer, run, *salt)
        };
        let mut others = vec![base.clone(); 8];
        others[0].0 += 1;
        others[1].1 = PAYER;
        others[2].2 = ESCROW;
        others[3].3.reward = Usdc::base_units(100_000_001);
        others[4].3.deadline = Timestamp(1_800_000_001);
        others[5].3.max_revisions += 1;
        others[6].3.content_uri = "ipfs://Qmx".into();
        others[7].4 = B256::ZERO;
        for other in others {
            assert_ne!(of(&other), of(&base), "{other:?}");
        }
        let funding = |run| fund_nonce(84_532, ESCROW, PAYER, RunId(run), &terms(), SALT);
        assert!(funding(1) != funding(2) && funding(1) != of(&base));
    }
}
