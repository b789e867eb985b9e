//! What the verbs are called.

use clawpay_bindings::Call;

/// A verb's name in paths and step ids, and what is said once it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verb {
    /// Stable.
    pub id: &'static str,
    /// For people.
    pub done: &'static str,
}

/// The names of all steps.
pub(crate) const STEP_IDS: [&str; 21] = [
    "allowance",
    "create",
    "create-and-fund",
    "fund",
    "cancel",
    "claim",
    "start",
    "submit",
    "request-revision",
    "approve",
    "reject",
    "finalize",
    "slash",
    "register",
    "stake",
    "unstake",
    "set-uri",
    "set-metadata",
    "set-wallet",
    "unset-wallet",
    "pay-credit",
];

impl Verb {
    /// The verb of a call.
    pub(crate) const fn of(call: &Call) -> Self {
        let (id, done) = match call {
            Call::ApproveUsdc { .. } => ("allowance", "Allowance set successfully."),
            Call::Create(_) => ("create", "Run created successfully."),
            Call::CreateAndFund(_) => ("create-and-fund", "Run created and funded successfully."),
            Call::Fund { .. } => ("fund", "Run funded successfully."),
            Call::Cancel { .. } => ("cancel", "Run cancelled successfully."),
            Call::Claim { .. } => ("claim", "Run claimed successfully."),
            Call::Start { .. } => ("start", "Run started successfully."),
            Call::Submit { .. } => ("submit", "Work submitted successfully."),
            Call::RequestRevision { .. } => ("request-revision", "Revision requested successfully."),
            Call::Approve { .. } => ("approve", "Run approved successfully."),
            Call::Reject { .. } => ("reject", "Run rejected successfully."),
            Call::Finalize { .. } => ("finalize", "Run finalized successfully."),
            Call::Slash { .. } => ("slash", "Run slashed successfully."),
            Call::Register { .. } => ("register", "Agent registered successfully."),
            Call::Stake { .. } => ("stake", "Stake deposited successfully."),
            Call::Unstake { .. } => ("unstake", "Stake withdrawn successfully."),
            Call::SetAgentUri { .. } => ("set-uri", "Agent URI set successfully."),
            Call::SetMetadata { .. } => ("set-metadata", "Agent metadata set successfully."),
            Call::SetAgentWallet { .. } => ("set-wallet", "Agent wallet set successfully."),
            Call::UnsetAgentWallet { .. } => ("unset-wallet", "Agent wallet removed successfully."),
            Call::PayCredit { .. } => ("pay-credit", "Credit paid successfully."),
        };
        Self { id, done }
    }
}
