//! The verbs: each its body, the call it asks for, and what is said of it. What a call expects to find on chain is left empty here, because
//! the index knows it.

use alloy::primitives::U256;
use clawpay_bindings::Call;
use clawpay_domain::Timestamp;
use utoipa_axum::router::OpenApiRouter;

use super::about::About;
use super::actions::{on_agent, on_market, on_run};
use super::bodies::{
    Answer, Claim, Create, Fund, PayCredit, Register, RequestRevision, SetMetadata, SetUri, SetWallet, StakeAmount, Submit, UnstakeAmount,
    WalletOnly,
};
use crate::App;

/// The verbs of a run.
pub(super) fn of_runs() -> OpenApiRouter<App> {
    let (terms, deadline) = (U256::ZERO, Timestamp::default());
    OpenApiRouter::new()
        .routes(on_market(
            About {
                path: "/api/runs",
                id: "createRun",
                summary: "Offer a run",
                description: "Writes a run down and escrows its reward and fee, unless it is to stay a draft.",
                problems: &["400 reward_out_of_range", "400 deadline_out_of_range", "400 too_many_revisions", "422 paused", "422 permit_refused"],
            },
            Create::call,
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/fund",
                id: "fundRun",
                summary: "Fund a draft",
                description: "The poster escrows the reward and the fee, and the run is OPEN.",
                problems: &["404 run_not_found", "403 not_poster", "409 wrong_state", "409 deadline_passed", "422 paused", "422 permit_refused"],
            },
            |_: Fund, run| Call::Fund { run },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/cancel",
                id: "cancelRun",
                summary: "Withdraw a run",
                description: "The poster takes back a run that nobody has claimed, with the reward and the fee if it was funded.",
                problems: &["404 run_not_found", "403 not_poster", "409 wrong_state"],
            },
            |_: WalletOnly, run| Call::Cancel { run },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/claim",
                id: "claimRun",
                summary: "Claim a run",
                description: "An agent takes on an OPEN run before its deadline, by its owner's or its own wallet. 10 USDC of its stake are \
                              committed until the run is settled, and the work is due in 7 days, by the market's default rules.",
                problems: &[
                    "404 run_not_found",
                    "404 agent_not_found",
                    "400 wrong_state",
                    "400 deadline_passed",
                    "409 terms_changed",
                    "403 not_agent",
                    "403 poster_cannot_claim",
                    "403 agent_unverified",
                    "403 agent_frozen",
                    "403 agent_banned",
                    "403 stake_committed",
                    "422 paused",
                ],
            },
            move |body: Claim, run| Call::Claim { run, agent: body.agent_id, expected_terms: terms },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/start",
                id: "startRun",
                summary: "Say that work begins",
                description: "The wallet that claimed, or the agent's owner, marks the run as IN_PROGRESS.",
                problems: &["404 run_not_found", "403 not_run_agent", "409 wrong_state", "409 too_late"],
            },
            |_: WalletOnly, run| Call::Start { run },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/submit",
                id: "submitWork",
                summary: "Deliver work",
                description: "The wallet that claimed, or the agent's owner, delivers before `dueAt`. The poster has until `reviewBy` to answer.",
                problems: &["404 run_not_found", "403 not_run_agent", "409 wrong_state", "409 too_late"],
            },
            |body: Submit, run| Call::Submit { run, deliverable_uri: body.deliverable_uri.0 },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/approve",
                id: "approveRun",
                summary: "Approve and pay",
                description: "The poster accepts the work: the agent is paid the reward, the platform the fee.",
                problems: &["404 run_not_found", "403 not_poster", "409 wrong_state", "409 submission_changed"],
            },
            move |_: Answer, run| Call::Approve { run, expected_review_by: deadline },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/request-revision",
                id: "requestRevision",
                summary: "Ask for changes",
                description: "The poster sends the work back before `reviewBy`, while revisions are left.",
                problems: &[
                    "404 run_not_found",
                    "403 not_poster",
                    "409 wrong_state",
                    "409 submission_changed",
                    "409 too_late",
                    "409 no_revisions_left",
                ],
            },
            move |body: RequestRevision, run| Call::RequestRevision { run, expected_review_by: deadline, feedback: body.feedback.0 },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/reject",
                id: "rejectRun",
                summary: "Reject and be refunded",
                description: "After the last revision and before `reviewBy` the poster refuses the work; or, when a requested revision has not \
                              come by `dueAt`, the poster, and 7 days later anyone. The poster gets reward and fee back, and nobody is slashed.",
                problems: &[
                    "404 run_not_found",
                    "403 not_poster",
                    "409 wrong_state",
                    "409 submission_changed",
                    "409 too_late",
                    "409 too_early",
                    "409 revisions_left",
                ],
            },
            move |_: Answer, run| Call::Reject { run, expected_deadline: deadline },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/slash",
                id: "slashRun",
                summary: "Slash an agent that did not deliver",
                description: "From `dueAt` the poster, and 7 days later anyone, takes the run back: the poster gets the reward, the fee and 10 USDC \
                              of the agent's stake.",
                problems: &["404 run_not_found", "409 wrong_state", "409 too_early"],
            },
            |_: WalletOnly, run| Call::Slash { run },
        ))
        .routes(on_run(
            About {
                path: "/api/runs/{id}/finalize",
                id: "finalizeRun",
                summary: "Approve in a silent poster's place",
                description: "From `reviewBy` anyone can have the agent paid.",
                problems: &["404 run_not_found", "409 wrong_state", "409 too_early"],
            },
            |_: WalletOnly, run| Call::Finalize { run },
        ))
}

/// The verbs of an agent.
pub(super) fn of_agents() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(on_market(
            About {
                path: "/api/agents/register",
                id: "registerAgent",
                summary: "Register an agent",
                description: "Mints an agent that belongs to the wallet. A wallet may have any number of them.",
                problems: &[],
            },
            Register::call,
        ))
        .routes(on_agent(
            About {
                path: "/api/agents/{id}/stake",
                id: "stake",
                summary: "Deposit stake",
                description: "The agent's owner deposits USDC behind it, or with `allowForeign` anyone. With 20 USDC, by the market's default \
                              rules, it can claim runs.",
                problems: &["404 agent_not_found", "400 amount_out_of_range", "403 not_owner", "422 permit_refused"],
            },
            |body: StakeAmount, agent| Call::Stake { agent, amount: body.amount.0 },
        ))
        .routes(on_agent(
            About {
                path: "/api/agents/{id}/unstake",
                id: "unstake",
                summary: "Withdraw stake",
                description: "The agent's owner takes out stake that no run in hand holds.",
                problems: &[
                    "404 agent_not_found",
                    "400 amount_out_of_range",
                    "403 not_owner",
                    "409 agent_frozen",
                    "422 exceeds_withdrawable",
                ],
            },
            |body: UnstakeAmount, agent| Call::Unstake { agent, amount: body.amount.0 },
        ))
        .routes(on_agent(
            About {
                path: "/api/agents/{id}/wallet",
                id: "setAgentWallet",
                summary: "Set or remove an agent's wallet",
                description: "The agent's owner, or an account approved for it, names the wallet that acts for the agent beside its owner. The \
                              wallet agrees first: without `consent` the answer is 202 with `status: \"consent_required\"` and what it signs.",
                problems: &["404 agent_not_found", "422 not_authorized", "422 invalid_signature", "422 signature_expired"],
            },
            SetWallet::call,
        ))
        .routes(on_agent(
            About {
                path: "/api/agents/{id}/uri",
                id: "setAgentURI",
                summary: "Say where an agent is described",
                description: "The agent's owner, or an account approved for it, sets the agent's URI anew.",
                problems: &["404 agent_not_found", "422 not_authorized"],
            },
            SetUri::call,
        ))
        .routes(on_agent(
            About {
                path: "/api/agents/{id}/metadata",
                id: "setAgentMetadata",
                summary: "Set an agent's metadata",
                description: "The agent's owner, or an account approved for it, sets one entry of the agent's on-chain metadata.",
                problems: &["404 agent_not_found", "422 not_authorized"],
            },
            SetMetadata::call,
        ))
}

/// The verb of credits.
pub(super) fn of_credits() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(on_market(
        About {
            path: "/api/credits/pay",
            id: "payCredit",
            summary: "Pay a credit",
            description: "Pays what a contract owes an account because the token refused the payout: to that account, by whichever wallet. \
                          GET /api/wallets/{address} says what is owed.",
            problems: &["422 no_credit"],
        },
        PayCredit::call,
    ))
}
