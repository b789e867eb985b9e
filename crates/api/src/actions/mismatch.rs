//! What to say of a transaction that was mined and is not the action asked for: what it did instead, and what to hand in.

use alloy::{
    primitives::{Address, B256, b256},
    sol_types::{SolEvent, SolType, sol, sol_data},
};
use clawpay_bindings::{Call, Contracts, Revert, TestUSDC};

use super::{Verb, proof::Event, steps::payee};
use crate::{node::ReceiptLog, text::revert_sentence};

/// How many of a transaction's events are named.
const MOST_NAMED: usize = 4;

/// `ExecutionFailure(bytes32,uint256)` of Safes: the transaction is mined, and the call in it had no effect.
const SAFE_FAILURE: B256 = b256!("0x23428b18acfb3ea64b08dc0c1d296ea9c09702c09083ca5272e64d115b687d23");
/// `ExecutionFromModuleFailure(address)` of Safes.
const SAFE_MODULE_FAILURE: B256 = b256!("0xacd2c8702804128fdb0db2bb49f6d127dd0181c13fd45dbfe16de0930e2bd375");

sol! {
    #![sol(alloy_sol_types = alloy::sol_types)]

    /// An ERC-4337 entry point's word on one operation of a bundle.
    event UserOperationEvent(
        bytes32 indexed userOpHash,
        address indexed sender,
        address indexed paymaster,
        uint256 nonce,
        bool success,
        uint256 actualGasCost,
        uint256 actualGasUsed
    );

    /// Why an operation had no effect.
    event UserOperationRevertReason(bytes32 indexed userOpHash, address indexed sender, uint256 nonce, bytes revertReason);
}

/// Why a mined transaction does not prove that `wallet` did `call`.
pub(super) fn explain(call: &Call, wallet: Address, logs: &[ReceiptLog], events: &[Event], market: &Contracts) -> String {
    let verb = Verb::of(call).id;
    if let Some(reason) = inner_failure(wallet, logs) {
        return format!(
            "the transaction was mined, but the market's call in it did not happen: {reason}. Prepare the action again once the cause is gone"
        );
    }
    if !events.is_empty() {
        return format!("the transaction was mined, and it is not this {verb} of {wallet}: {}{}", named(events), hint(call, events));
    }
    if let Some(payee) = payee(call, market).filter(|payee| is_allowance(wallet, *payee, logs, market)) {
        return format!(
            "the transaction is the allowance for {payee}, which is step 1 of 2 of this action and moves nothing; sign and send step 2, `{verb}`, \
             and hand in that one's hash"
        );
    }
    format!(
        "the transaction was mined, and no contract of this market says anything in it: the {verb} did not happen by it. Hand in the hash of \
         the transaction that holds the call"
    )
}

/// What the transaction did, by the names of its events.
fn named(events: &[Event]) -> String {
    let name = |event: &Event| {
        let decoded = &event.decoded;
        let run = decoded.run.map(|run| format!(" of run {run}")).unwrap_or_default();
        let agent = decoded.agent.map(|agent| format!(" of agent {agent}")).unwrap_or_default();
        format!("{}{run}{agent}", decoded.name.unwrap_or("something else"))
    };
    let names: Vec<_> = events.iter().take(MOST_NAMED).map(name).collect();
    let more = events.len().saturating_sub(MOST_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("it says {}{more}", names.join(", "))
}

/// A draft and a funded run are asked for by different bodies.
fn hint(call: &Call, events: &[Event]) -> &'static str {
    let says = |name| events.iter().any(|event| event.decoded.name == Some(name));
    match call {
        Call::Create(_) if says("RunCreated") && says("RunFunded") => "; if it is the run, ask without `draft`: it has been funded at once",
        Call::CreateAndFund(_) if says("RunCreated") && !says("RunFunded") => {
            "; if it is the run, ask with `draft`: it has not been funded"
        }
        Call::Create(_) | Call::CreateAndFund(_) if says("RunCreated") => "; compare its poster, reward, deadline, revisions and content",
        _ => "",
    }
}

/// How a smart wallet says that its call failed inside a transaction that succeeded.
fn inner_failure(wallet: Address, logs: &[ReceiptLog]) -> Option<String> {
    let is = |log: &&ReceiptLog, topic: B256| log.topics.first() == Some(&topic);
    let is_wallets = |log: &&ReceiptLog| log.topics.get(2) == Some(&wallet.into_word());
    let operation = |topic: B256| logs.iter().filter(move |log| is(log, topic)).find(is_wallets);
    if let Some(log) = operation(UserOperationRevertReason::SIGNATURE_HASH) {
        let reason = <(sol_data::Uint<256>, sol_data::Bytes)>::abi_decode_params(&log.data).map(|(_, reason)| reason).unwrap_or_default();
        return Some(match Revert::decode(&reason) {
            // Any contract can emit this, and a text of its own choosing with it.
            Revert::Unknown(_) | Revert::Reason(_) => "the wallet's operation reverted (UserOperationRevertReason)".to_owned(),
            revert => format!("the wallet's operation reverted: {}", revert_sentence(&revert)),
        });
    }
    if let Some(log) = operation(UserOperationEvent::SIGNATURE_HASH) {
        // nonce, success, two amounts.
        let success = log.data.get(32..64).map(B256::from_slice);
        if success == Some(B256::ZERO) {
            return Some("the wallet's operation failed (UserOperationEvent with success false)".to_owned());
        }
    }
    let failed = |log: &ReceiptLog| {
        log.address == wallet && log.topics.first().is_some_and(|topic| [SAFE_FAILURE, SAFE_MODULE_FAILURE].contains(topic))
    };
    logs.iter().any(failed).then(|| "the wallet reports that its call failed (ExecutionFailure)".to_owned())
}

/// Whether the transaction lets `payee` take USDC of `wallet`.
fn is_allowance(wallet: Address, payee: Address, logs: &[ReceiptLog], market: &Contracts) -> bool {
    let topics = [TestUSDC::Approval::SIGNATURE_HASH, wallet.into_word(), payee.into_word()];
    logs.iter().any(|log| log.address == market.usdc && log.topics == topics)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Bytes, U256, keccak256};
    use clawpay_bindings::RunEscrow;
    use clawpay_domain::RunId;

    use super::*;
    use crate::actions::proof;

    const MARKET: Contracts = Contracts {
        usdc: Address::repeat_byte(1),
        agent_registry: Address::repeat_byte(2),
        agent_stake: Address::repeat_byte(3),
        run_escrow: Address::repeat_byte(4),
        forwarder: Address::repeat_byte(5),
    };
    const WALLET: Address = Address::repeat_byte(0xaa);
    const FUND: Call = Call::Fund { run: RunId(7) };

    fn log<E: SolEvent>(address: Address, event: &E) -> ReceiptLog {
        let data = event.encode_log_data();
        ReceiptLog::new(address, data.topics().to_vec(), data.data)
    }

    fn words(call: &Call, logs: &[ReceiptLog]) -> String {
        explain(call, WALLET, logs, &proof::of_receipt(logs, &MARKET), &MARKET)
    }

    #[test]
    fn an_allowance_is_named_as_the_first_step() {
        let allowance = |spender| log(MARKET.usdc, &TestUSDC::Approval { owner: WALLET, spender, value: U256::from(1) });
        assert!(words(&FUND, &[allowance(MARKET.run_escrow)]).contains("step 1 of 2"));
        for (call, logs) in [
            (FUND, vec![allowance(MARKET.agent_stake)]),
            (Call::Start { run: RunId(7) }, vec![allowance(MARKET.run_escrow)]),
            (FUND, vec![]),
        ] {
            assert!(words(&call, &logs).contains("no contract of this market says anything"), "{call:?} {logs:?}");
        }
    }

    #[test]
    fn another_event_is_named() {
        let event = RunEscrow::RunFunded { runId: U256::from(8), amount: U256::from(1) };
        assert!(words(&FUND, &[log(MARKET.run_escrow, &event)]).contains("it says RunFunded of run 8"));
    }

    #[test]
    fn what_failed_inside_a_wallet_is_told_from_what_never_was_called() {
        let user_op_hash = B256::repeat_byte(9);
        let operation = |sender, success| {
            let event = UserOperationEvent {
                userOpHash: user_op_hash,
                sender,
                paymaster: Address::ZERO,
                nonce: U256::ZERO,
                success,
                actualGasCost: U256::ONE,
                actualGasUsed: U256::ONE,
            };
            log(Address::repeat_byte(6), &event)
        };
        assert!(words(&FUND, &[operation(WALLET, false)]).contains("success false"));
        assert!(!words(&FUND, &[operation(WALLET, true)]).contains("failed"));
        assert!(!words(&FUND, &[operation(Address::ZERO, false)]).contains("failed"), "another wallet's operation");
        let why = UserOperationRevertReason {
            userOpHash: user_op_hash,
            sender: WALLET,
            nonce: U256::ZERO,
            revertReason: alloy::sol_types::SolError::abi_encode(&alloy::sol_types::Revert::from("not today")).into(),
        };
        let told = words(&FUND, &[log(Address::repeat_byte(6), &why), operation(WALLET, false)]);
        assert!(told.contains("operation reverted") && !told.contains("not today"), "{told}");
        assert_eq!(SAFE_FAILURE, keccak256("ExecutionFailure(bytes32,uint256)"));
        assert_eq!(SAFE_MODULE_FAILURE, keccak256("ExecutionFromModuleFailure(address)"));
        let failure = ReceiptLog::new(WALLET, vec![SAFE_FAILURE], Bytes::new());
        assert!(words(&FUND, &[failure]).contains("ExecutionFailure"));
    }
}
