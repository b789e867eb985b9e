//! The verbs: asked for without a signature they are prepared, with one they are confirmed.

use alloy::primitives::{Address, B256, U256, keccak256};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use clawpay_bindings::{Call, CallWithSignature};
use clawpay_domain::{AgentId, NewRun, RunId};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};
use utoipa_axum::router::UtoipaMethodRouter;

use super::about::About;
use crate::{
    App,
    actions::{
        Intent, Once, Prepared,
        confirm::{Known, Outcome},
        require_same,
    },
    error::{ApiError, Invalid},
    http::dto::{outcome::OutcomeDto, prepared::PreparedDto, stamped::Stamped},
    http::extract::{
        Account, AgentPath, AgentUri, BaseUnits, ContentUri, DeliverableUri, Feedback, Nothing, Query, Rfc3339, RunPath, Signable,
    },
    http::layers::PATIENCE,
    http::openapi::schemas as w,
    transactions::signed::Signed,
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
        terms_word: Option<B256>,
    }

    fn expected(&self) -> Option<B256> {
        self.terms_word
    }
}

body! {
    /// Answers a submission.
    Answer {
        wallet_address,
        /// The run's `progressWord` as the signer has seen it; the index's if not said.
        #[schema(value_type = Option<w::Hash>)]
        progress_word: Option<B256>,
    }

    fn expected(&self) -> Option<B256> {
        self.progress_word
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
        progress_word: Option<B256>,
    }

    fn expected(&self) -> Option<B256> {
        self.progress_word
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

/// A path without a parameter.
struct NoParameter;

impl IntoParams for NoParameter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        Vec::new()
    }
}

/// A verb that needs nothing to exist.
pub(super) fn on_market<B: Asking>(about: About, call: impl Fn(B) -> Call + Clone + Send + Sync + 'static) -> UtoipaMethodRouter<App> {
    about.document::<B, NoParameter>(post(async move |State(app): State<App>, Query(Nothing {}): Query<Nothing>, body: Signable<B>| {
        act(&app, body, call).await
    }))
}

/// A verb on a run.
pub(super) fn on_run<B: Asking>(about: About, call: impl Fn(B, RunId) -> Call + Clone + Send + Sync + 'static) -> UtoipaMethodRouter<App> {
    about.document::<B, RunPath>(post(
        async move |State(app): State<App>, RunPath(run): RunPath, Query(Nothing {}): Query<Nothing>, body: Signable<B>| {
            act(&app, body, |request| call(request, run)).await
        },
    ))
}

/// A verb on an agent.
pub(super) fn on_agent<B: Asking>(
    about: About,
    call: impl Fn(B, AgentId) -> Call + Clone + Send + Sync + 'static,
) -> UtoipaMethodRouter<App> {
    about.document::<B, AgentPath>(post(
        async move |State(app): State<App>, AgentPath(agent): AgentPath, Query(Nothing {}): Query<Nothing>, body: Signable<B>| {
            act(&app, body, |request| call(request, agent)).await
        },
    ))
}

async fn act<B: Asking>(app: &App, body: Signable<B>, call: impl FnOnce(B) -> Call) -> Result<Response, ApiError> {
    let Signable { request, signed, permit, nonce, key } = body;
    let (wallet, allow_foreign) = (request.wallet(), request.allow_foreign());
    let expected = request.expected().map(|word| U256::from_be_bytes(word.0));
    let intent = Intent { wallet, call: call(request), permit, nonce, expected, allow_foreign };
    if let Some(permit) = &intent.permit
        && CallWithSignature::with_permit(&intent.call, permit.clone()).is_none()
    {
        let (field, detail) = (Some("permit".to_owned()), "this action pays nothing, and takes no permit".to_owned());
        return Err(Invalid { code: "unknown_field", field, detail }.into());
    }
    // What is confirmed is waited for on purpose; what is prepared is not. Each of them is a long row of waits, and kept off the stack.
    let answer = |prepared: Prepared| {
        let indexed = prepared.indexed;
        Stamped::new(app, &indexed, PreparedDto::from(prepared)).status(StatusCode::ACCEPTED).into_response()
    };
    let told = |outcome: Outcome| {
        let (indexed, outcome) = (outcome.indexed, OutcomeDto::from(outcome));
        let status = outcome.status();
        Stamped::new(app, &indexed, outcome).status(status).into_response()
    };
    let keys = app.submitted_transactions();
    let asked_as = key.as_ref().map(|key| keccak256(&key.0));
    match (signed, key) {
        (None, None) => {
            let prepared = tokio::time::timeout(PATIENCE, Box::pin(app.preparer().prepare(&intent, None))).await;
            Ok(answer(prepared.map_err(|_| ApiError::Overdue)??))
        }
        (None, Some(key)) => {
            let once = tokio::time::timeout(PATIENCE, Box::pin(app.preparer().prepare_once(keys, &key.0, &intent))).await;
            match once.map_err(|_| ApiError::Overdue)?? {
                Once::Prepared(prepared) => Ok(answer(*prepared)),
                Once::Sent { hash, nonce } => {
                    let known = Known { asked_as, nonce: Some(nonce) };
                    match Box::pin(app.confirmer().confirm(&intent, Signed::Sent(hash), known)).await {
                        // Another transaction of the wallet's took the nonce.
                        Err(ApiError::NotThisAction { .. }) => Err(ApiError::KeySpent { nonce }),
                        outcome => Ok(told(outcome?)),
                    }
                }
            }
        }
        (Some(signed), key) => {
            let mut known = Known { asked_as, nonce: None };
            if let Some(key) = key
                && let Some(pinned) = keys.pinned(wallet, &key.0).await?
            {
                require_same(&pinned, &intent)?;
                known.nonce = Some(pinned.last_nonce());
            }
            Ok(told(Box::pin(app.confirmer().confirm(&intent, signed, known)).await?))
        }
    }
}
