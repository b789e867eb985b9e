//! What people hear of a deployment.

use std::fmt;

use alloy::primitives::Address;

/// One step.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Earlier transactions of the deployer are waited for.
    Waiting {
        /// How many.
        transactions: u64,
    },
    /// A contract stands since an interrupted deployment.
    Standing {
        /// Which.
        name: &'a str,
        /// Where.
        address: Address,
    },
    /// A contract is about to be created.
    Creating {
        /// Which.
        name: &'a str,
    },
    /// A contract has been created.
    Created {
        /// Which.
        name: &'a str,
        /// Where.
        address: Address,
        /// What its creation used.
        gas: u64,
    },
    /// Blocks on top of the contracts' are waited for.
    Confirming {
        /// How many.
        blocks: u64,
    },
    /// Everything is read back.
    Checking,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { transactions } => write!(f, "waiting for {transactions} earlier transaction(s)"),
            Self::Standing { name, address } => write!(f, "{name} stands at {address}"),
            Self::Creating { name } => f.write_str(name),
            Self::Created { address, gas, .. } => write!(f, "  at {address}, {gas} gas"),
            Self::Confirming { blocks } => write!(f, "waiting for {blocks} more blocks"),
            Self::Checking => f.write_str("checking"),
        }
    }
}
