//! Every transfer of USDC, as the token's own log has it.

use std::collections::HashMap;

use alloy::{primitives::TxHash, providers::Provider, rpc::types::Filter, sol_types::SolEvent};
use anyhow::{Context, Result};
use clawpay_bindings::TestUSDC;
use clawpay_domain::Usdc;
use clawpay_tests::Stack;

use crate::cast::Cast;

/// One transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// What the transaction's signer wanted.
    pub what_for: &'static str,
    pub from: String,
    pub to: String,
    pub amount: Usdc,
}

/// What each transaction of the story was for.
pub(crate) type Purposes = HashMap<TxHash, &'static str>;

/// All transfers since the token exists.
pub(crate) async fn read(stack: &Stack, cast: &Cast, purposes: &Purposes) -> Result<Vec<Movement>> {
    let contracts = &stack.deployment.contracts;
    let filter = Filter::new().address(contracts.usdc).event_signature(TestUSDC::Transfer::SIGNATURE_HASH).from_block(0);
    let logs = stack.provider().get_logs(&filter).await?;
    logs.iter()
        .map(|log| {
            let transfer = TestUSDC::Transfer::decode_log(&log.inner)?.data;
            let hash = log.transaction_hash.context("a mined log names its transaction")?;
            Ok(Movement {
                what_for: purposes.get(&hash).copied().unwrap_or("unknown"),
                from: cast.name(transfer.from, contracts),
                to: cast.name(transfer.to, contracts),
                amount: Usdc(transfer.value),
            })
        })
        .collect()
}

/// Each way in which `found` is not `expected`, in words.
pub(crate) fn differences(expected: &[Movement], found: &[Movement]) -> Vec<String> {
    let shown = |movement: Option<&Movement>| {
        movement.map_or_else(
            || "nothing".to_owned(),
            |Movement { what_for, from, to, amount }| format!("{} from {from} to {to} ({what_for})", amount.0),
        )
    };
    (0..expected.len().max(found.len()))
        .filter(|&index| expected.get(index) != found.get(index))
        .map(|index| format!("movement {}: {}, not {}", index + 1, shown(found.get(index)), shown(expected.get(index))))
        .collect()
}
