//! Where a run stands.

use crate::spelling::spelled;

spelled! {
    /// Where a run stands.
    RunState {
        /// Created, not funded.
        Draft = "DRAFT",
        /// Funded and claimable until its deadline.
        Open = "OPEN",
        /// In an agent's hands.
        Claimed = "CLAIMED",
        /// The agent said it works.
        InProgress = "IN_PROGRESS",
        /// Delivered, waiting for the poster.
        Submitted = "SUBMITTED",
        /// Paid. Terminal.
        Approved = "APPROVED",
        /// Sent back for changes.
        RevisionRequested = "REVISION_REQUESTED",
        /// Refunded, stake untouched. Terminal.
        Rejected = "REJECTED",
        /// Refunded, stake at risk paid to the poster. Terminal.
        Slashed = "SLASHED",
        /// Withdrawn before any claim. Terminal.
        Cancelled = "CANCELLED",
    }
}

impl RunState {
    /// Whether an agent holds the run.
    pub const fn is_in_hand(self) -> bool {
        match self {
            Self::Claimed | Self::InProgress | Self::Submitted | Self::RevisionRequested => true,
            Self::Draft | Self::Open | Self::Approved | Self::Rejected | Self::Slashed | Self::Cancelled => false,
        }
    }
}
