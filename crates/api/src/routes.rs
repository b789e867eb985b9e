//! Every path, and who answers it.

mod actions;
mod agents;
mod events;
mod market;
mod posters;
mod probes;
mod relay;
mod runs;
mod transactions;

use alloy::primitives::U256;
use axum::{
    Router,
    routing::{get, post},
};
use clawpay_bindings::Call;
use clawpay_domain::Timestamp;

use crate::{App, error::ApiError};
use actions::{AgentAmount, Claim, Create, Register, RequestRevision, Submit, WalletOnly, on_agent, on_market, on_run};

/// The paths, without the layers around them. Each verb is one line: its body, and the call it asks for. What the call expects to find on
/// chain is left empty here, because the index knows it.
pub(crate) fn paths() -> Router<App> {
    let (terms, deadline) = (U256::ZERO, Timestamp::default());
    let market = Router::new()
        .route("/api/runs", get(runs::list).merge(on_market(Create::call)))
        .route("/api/runs/{id}", get(runs::show))
        .route("/api/runs/{id}/events", get(runs::events))
        .route("/api/runs/{id}/claim-eligibility", get(runs::claim_eligibility))
        .route("/api/runs/{id}/fund", on_run(|_: WalletOnly, run| Call::Fund { run }))
        .route("/api/runs/{id}/cancel", on_run(|_: WalletOnly, run| Call::Cancel { run }))
        .route("/api/runs/{id}/claim", on_run(move |body: Claim, run| Call::Claim { run, agent: body.agent_id, expected_terms: terms }))
        .route("/api/runs/{id}/start", on_run(|_: WalletOnly, run| Call::Start { run }))
        .route("/api/runs/{id}/submit", on_run(|body: Submit, run| Call::Submit { run, deliverable_uri: body.deliverable_uri.0 }))
        .route("/api/runs/{id}/approve", on_run(move |_: WalletOnly, run| Call::Approve { run, expected_review_by: deadline }))
        .route(
            "/api/runs/{id}/request-revision",
            on_run(move |body: RequestRevision, run| Call::RequestRevision {
                run,
                expected_review_by: deadline,
                feedback: body.feedback.0,
            }),
        )
        .route("/api/runs/{id}/reject", on_run(move |_: WalletOnly, run| Call::Reject { run, expected_deadline: deadline }))
        .route("/api/runs/{id}/slash", on_run(|_: WalletOnly, run| Call::Slash { run }))
        .route("/api/runs/{id}/finalize", on_run(|_: WalletOnly, run| Call::Finalize { run }))
        .route("/api/agents", get(agents::list))
        .route("/api/agents/register", on_market(Register::call))
        .route("/api/agents/{id}", get(agents::show))
        .route(
            "/api/agents/{id}/stake",
            get(agents::stake).merge(on_agent(|body: AgentAmount, agent| Call::Stake { agent, amount: body.amount.0 })),
        )
        .route("/api/agents/{id}/unstake", on_agent(|body: AgentAmount, agent| Call::Unstake { agent, amount: body.amount.0 }))
        .route("/api/posters/{address}", get(posters::show))
        .route("/api/relay", post(relay::relay))
        .route("/api/events", get(events::listen))
        .route("/api/transactions", post(transactions::send))
        .route("/api/transactions/{hash}", get(transactions::show))
        .route("/api/config", get(market::config))
        .route("/api/stats", get(market::stats))
        .route("/api/status", get(market::status));
    refuse_the_rest(market).merge(probes())
}

/// What watches over a process asks it.
pub(crate) fn probes() -> Router<App> {
    let probes =
        Router::new().route("/healthz", get(probes::healthz)).route("/readyz", get(probes::readyz)).route("/metrics", get(probes::metrics));
    refuse_the_rest(probes).fallback(async || ApiError::UnknownPath)
}

/// Words the refusal of other methods on the paths that are there by now; paths merged later bring their own.
fn refuse_the_rest(paths: Router<App>) -> Router<App> {
    paths.method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
}
