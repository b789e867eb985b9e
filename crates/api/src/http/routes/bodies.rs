//! What the verbs are asked with, and the call that each asks for.

use alloy::primitives::{Address, B256};
use clawpay_bindings::{AGENT_WALLET, Call, Custody};
use clawpay_domain::{AgentId, NewRun, rules};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{
    error::Invalid,
    http::extract::{
        Account, AgentUri, BaseUnits, ContentUri, DeliverableUri, Feedback, HexBytes, MetadataKey, MetadataText, Rfc3339, SignedUntil, Word,
    },
    http::openapi::schemas as w,
};

/// A body that names who will sign.
pub(super) trait Asking: DeserializeOwned + ToSchema + Send + 'static {
    /// Who will sign.
    fn wallet(&self) -> Address;

    /// The word that says what the signer has looked at.
    fn expected(&self) -> Option<B256> {
        None
    }

    /// Whether a deposit may go to another owner's agent.
    fn allow_foreign(&self) -> bool {
        false
    }

    /// Refuses fields that do not go together.
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// Defines a body by its fields, the first of which is the signer's account.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $wallet:ident, $($(#[$attribute:meta])* $field:ident: $kind:ty),* $(,)? } $($method:item)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, ToSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $name {
            /// Who will sign.
            $wallet: Account,
            $($(#[$attribute])* pub(super) $field: $kind,)*
        }

        impl Asking for $name {
            fn wallet(&self) -> Address {
                self.$wallet.0
            }

            $($method)*
        }
    };
}

body! {
    /// Offers a run, and funds it unless it is to stay a draft.
    Create {
        poster_address,
        reward: BaseUnits,
        deadline: Rfc3339,
        ipfs_hash: ContentUri,
        /// True to create it as a draft, to be funded by a call of its own.
        draft: Option<bool>,
        /// Revisions before the poster can reject; 3 if not said.
        #[schema(maximum = 3)]
        max_revisions: Option<u8>,
    }
}

body! {
    /// Acts on a run without saying more.
    WalletOnly { wallet_address, }
}

body! {
    /// Funds a draft.
    Fund { wallet_address, }
}

body! {
    /// Takes a run on.
    Claim {
        wallet_address,
        #[schema(value_type = w::AgentId)]
        agent_id: AgentId,
        /// The run's `termsWord` as the signer has seen it; the index's if not said.
        #[schema(value_type = Option<w::Hash>)]
        terms_word: Option<Word>,
    }

    fn expected(&self) -> Option<B256> {
        self.terms_word.map(|word| word.0)
    }
}

body! {
    /// Answers a submission.
    Answer {
        wallet_address,
        /// The run's `progressWord` as the signer has seen it; the index's if not said.
        #[schema(value_type = Option<w::Hash>)]
        progress_word: Option<Word>,
    }

    fn expected(&self) -> Option<B256> {
        self.progress_word.map(|word| word.0)
    }
}

body! {
    /// Delivers work.
    Submit { wallet_address, #[serde(rename = "deliverableURI")] deliverable_uri: DeliverableUri }
}

body! {
    /// Asks for changes.
    RequestRevision {
        wallet_address,
        feedback: Feedback,
        /// The run's `progressWord` as the signer has seen it; the index's if not said.
        #[schema(value_type = Option<w::Hash>)]
        progress_word: Option<Word>,
    }

    fn expected(&self) -> Option<B256> {
        self.progress_word.map(|word| word.0)
    }
}

body! {
    /// Registers an agent.
    Register { wallet_address, #[serde(rename = "agentURI")] agent_uri: AgentUri }
}

body! {
    /// Deposits stake.
    StakeAmount {
        wallet_address,
        amount: BaseUnits,
        /// True to deposit for an agent that the signer does not own, and cannot withdraw from.
        allow_foreign: Option<bool>,
    }

    fn allow_foreign(&self) -> bool {
        self.allow_foreign.unwrap_or(false)
    }
}

body! {
    /// Withdraws stake.
    UnstakeAmount { wallet_address, amount: BaseUnits }
}

body! {
    /// Says where an agent is described.
    SetUri { wallet_address, #[serde(rename = "agentURI")] agent_uri: AgentUri }
}

body! {
    /// Sets one entry of an agent's metadata, by `value` or by `text`: together with the key at most 8192 bytes.
    SetMetadata {
        wallet_address,
        key: MetadataKey,
        /// The bytes; `0x` takes the entry away.
        #[schema(value_type = Option<w::HexData>)]
        value: Option<HexBytes>,
        /// Or a text, whose UTF-8 bytes are the value.
        text: Option<MetadataText>,
    }

    fn check(&self) -> Result<(), Invalid> {
        self.require_fitting()
    }
}

body! {
    /// Gives an agent a wallet of its own, or takes it away.
    SetWallet {
        wallet_address,
        /// The wallet; null to leave the agent without one.
        #[schema(required)]
        new_wallet: Option<Account>,
        /// The new wallet's signature over the typed data that is answered without it.
        consent: Option<SignedUntil>,
    }
}

body! {
    /// Pays a credit.
    PayCredit {
        wallet_address,
        /// Whose credit it is.
        recipient: Account,
        contract: CustodyWord,
    }
}

/// Which contract owes a credit.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CustodyWord {
    /// `RunEscrow`.
    Escrow,
    /// `AgentStake`.
    Stake,
}

impl From<CustodyWord> for Custody {
    fn from(word: CustodyWord) -> Self {
        match word {
            CustodyWord::Escrow => Self::Escrow,
            CustodyWord::Stake => Self::Stake,
        }
    }
}

/// Revisions of a run whose poster does not say.
const DEFAULT_REVISIONS: u8 = 3;

impl Create {
    /// What it asks for.
    pub(super) fn call(self) -> Call {
        let run = NewRun {
            reward: self.reward.0,
            deadline: self.deadline.0,
            max_revisions: self.max_revisions.unwrap_or(DEFAULT_REVISIONS).into(),
            content_uri: self.ipfs_hash.0.into_bytes().into(),
        };
        if self.draft.unwrap_or(false) { Call::Create(run) } else { Call::CreateAndFund(run) }
    }
}

impl Register {
    /// What it asks for.
    pub(super) fn call(self) -> Call {
        Call::Register { agent_uri: self.agent_uri.0 }
    }
}

impl SetUri {
    /// What it asks for.
    pub(super) fn call(self, agent: AgentId) -> Call {
        Call::SetAgentUri { agent, agent_uri: self.agent_uri.0 }
    }
}

impl SetMetadata {
    fn require_fitting(&self) -> Result<(), Invalid> {
        let bytes = match (&self.value, &self.text) {
            (Some(value), None) => value.0.len(),
            (None, Some(text)) => text.0.len(),
            (Some(_), Some(_)) => return Err(Invalid::value("text", "text: `value` is given as well; one of them is the entry's content")),
            (None, None) => {
                let (field, detail) =
                    (Some("value".to_owned()), "value: is missing; give the bytes as hex, or a text as `text`".to_owned());
                return Err(Invalid { code: "missing_field", field, detail });
            }
        };
        if self.key.0 == AGENT_WALLET {
            return Err(Invalid::value("key", "key: the agent's wallet is set by POST /api/agents/{id}/wallet, with the wallet's consent"));
        }
        let bytes = u64::try_from(self.key.0.len().saturating_add(bytes)).unwrap_or(u64::MAX);
        if bytes > rules::MAXIMUM_AGENT_URI_BYTES {
            let most = rules::MAXIMUM_AGENT_URI_BYTES;
            return Err(Invalid::value("value", format!("value: key and value may have {most} bytes together, and have {bytes}")));
        }
        Ok(())
    }

    /// What it asks for.
    pub(super) fn call(self, agent: AgentId) -> Call {
        let value = self.value.map(|value| value.0).unwrap_or_else(|| self.text.map(|text| text.0.into_bytes()).unwrap_or_default().into());
        Call::SetMetadata { agent, key: self.key.0, value }
    }
}

impl SetWallet {
    /// What it asks for.
    pub(super) fn call(self, agent: AgentId) -> Call {
        match self.new_wallet.map(|account| account.0).filter(|account| !account.is_zero()) {
            Some(new_wallet) => Call::SetAgentWallet { agent, new_wallet, consent: self.consent.map(Into::into).unwrap_or_default() },
            None => Call::UnsetAgentWallet { agent },
        }
    }
}

impl PayCredit {
    /// What it asks for.
    pub(super) fn call(self) -> Call {
        Call::PayCredit { custody: self.contract.into(), recipient: self.recipient.0 }
    }
}
