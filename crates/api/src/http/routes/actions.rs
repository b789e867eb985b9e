//! The verbs: asked for without a signature they are prepared, with one they are confirmed.

use alloy::primitives::U256;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use clawpay_bindings::{Call, CallWithSignature};
use clawpay_domain::{AgentId, RunId};
use utoipa::{
    IntoParams,
    openapi::path::{Parameter, ParameterIn},
};
use utoipa_axum::router::UtoipaMethodRouter;

use super::{about::About, bodies::Asking};
use crate::{
    App,
    actions::{
        Intent, Once, Prepared,
        confirm::{Key, Outcome},
        require_same,
    },
    error::{ApiError, Invalid},
    http::dto::{consent::ConsentDto, outcome::OutcomeDto, prepared::PreparedDto, stamped::Stamped},
    http::extract::{AgentPath, Nothing, Query, RunPath, Signable},
    http::layers::PATIENCE,
    transactions::signed::Signed,
};

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
    request.check()?;
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
        Stamped::new(app, &indexed, PreparedDto::new(prepared, &app.hidden())).status(StatusCode::ACCEPTED).into_response()
    };
    let told = |outcome: Outcome| {
        let (indexed, outcome) = (outcome.indexed, OutcomeDto::new(outcome, &app.hidden()));
        let status = outcome.status();
        Stamped::new(app, &indexed, outcome).status(status).into_response()
    };
    let keys = app.submitted_transactions();
    let pinned = match &key {
        Some(key) => keys.pinned(wallet, &key.0).await?,
        None => None,
    };
    if let Some(pinned) = &pinned {
        require_same(pinned, &intent)?;
    }
    let known = key.as_ref().map(|key| Key { key: &key.0, pinned, is_found: false });
    match (signed, known) {
        (None, known) if known.is_none_or(|known| known.pinned.is_none()) && intent.consent_missing().is_some() => {
            consent(app, &intent).await
        }
        (None, None) => {
            let prepared = tokio::time::timeout(PATIENCE, Box::pin(app.preparer().prepare(&intent, None))).await;
            Ok(answer(prepared.map_err(|_| ApiError::Overdue)??))
        }
        (None, Some(known)) => {
            let once = tokio::time::timeout(PATIENCE, Box::pin(app.preparer().prepare_once(keys, known.key, &intent))).await;
            match once.map_err(|_| ApiError::Overdue)? {
                Ok(Once::Prepared(prepared)) => Ok(answer(*prepared)),
                Ok(Once::Sent { hash, nonce }) => {
                    let found = Key { is_found: true, ..known };
                    match Box::pin(app.confirmer().confirm(&intent, Signed::Sent(hash), Some(found))).await {
                        // Another transaction of the wallet's took the nonce.
                        Err(ApiError::NotThisAction { detail, .. }) => Err(ApiError::KeySpent { nonce, detail }),
                        outcome => Ok(told(outcome?)),
                    }
                }
                // It is not done, and the key's first consent may be too old.
                Err(ApiError::WouldRevert(_)) if intent.consent_missing().is_some() => consent(app, &intent).await,
                Err(error) => Err(error),
            }
        }
        (Some(signed), known) => Ok(told(Box::pin(app.confirmer().confirm(&intent, signed, known)).await?)),
    }
}

/// What another account has to sign first.
async fn consent(app: &App, intent: &Intent) -> Result<Response, ApiError> {
    let Some((agent, new_wallet)) = intent.consent_missing() else { return Err(ApiError::Internal("no consent is missing")) };
    let wanted = tokio::time::timeout(PATIENCE, Box::pin(app.preparer().consent(intent, agent, new_wallet))).await;
    let wanted = wanted.map_err(|_| ApiError::Overdue)??;
    let indexed = wanted.indexed;
    Ok(Stamped::new(app, &indexed, ConsentDto::new(wanted, &app.hidden())).status(StatusCode::ACCEPTED).into_response())
}
