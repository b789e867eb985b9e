//! What goes wrong, as RFC 9457 problem details: each error's status, its stable code and its words.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use clawpay_bindings::Call;
use clawpay_domain::Refusal;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    error::{ApiError, Invalid, RelayShare, SendRefusal},
    node::NodeError,
    text::{IsoDate, refusal_sentence, revert_sentence},
};

/// RFC 9457, with `code` for programs, `field` where one is at fault, and further members where they help.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
    /// Seconds after which trying again may help; said only where it may.
    #[serde(skip)]
    retry_after: u32,
}

/// When a day's quota or budget may have room again: it is used up bit by bit, and comes back so.
const RELAY_RETRY: u32 = 3_600;
/// Seconds after which a transaction is likely to be mined.
const WAITING_RETRY: u32 = 5;

impl Problem {
    /// A problem of this status.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            more: Map::new(),
            retry_after: 1,
        }
    }

    /// With a further member.
    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        // A value that does not serialise is left out: the rest of the problem says what matters.
        if let Ok(value) = serde_json::to_value(value) {
            self.more.insert(name.to_owned(), value);
        }
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = seconds;
        self
    }

    /// With the members of a structure.
    fn with_all(mut self, members: impl Serialize) -> Self {
        if let Ok(Value::Object(members)) = serde_json::to_value(members) {
            self.more.extend(members);
        }
        self
    }

    fn at(mut self, field: Option<impl Into<String>>) -> Self {
        self.field = field.map(Into::into);
        self
    }
}

impl Problem {
    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Seconds after which trying again may help, where it may.
    pub(crate) fn seconds_to_wait(&self) -> Option<u32> {
        let may_help =
            matches!(self.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::PRECONDITION_FAILED);
        may_help.then_some(self.retry_after)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, seconds_to_wait) = (self.status(), self.seconds_to_wait());
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = seconds_to_wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        Problem::from(self).into_response()
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        use StatusCode as S;
        match error {
            ApiError::Invalid(Invalid { code: "missing_field", field: Some(field), detail }) => {
                Self::new(S::BAD_REQUEST, "missing_field", detail).with("fields", [&field]).at(Some(field))
            }
            ApiError::Invalid(Invalid { code, field, detail }) => Self::new(S::BAD_REQUEST, code, detail).at(field),
            ApiError::MissingFields(fields) => {
                let detail = format!("the body lacks {}", fields.join(", "));
                Self::new(S::BAD_REQUEST, "missing_field", detail).at(fields.first()).with("fields", fields)
            }
            ApiError::UnknownPath => Self::new(
                S::NOT_FOUND,
                "unknown_path",
                "there is nothing at this path; what there is, /llms.txt tells programs and agents, /docs people, and /openapi.json tools",
            ),
            ApiError::MethodNotAllowed => {
                Self::new(S::METHOD_NOT_ALLOWED, "method_not_allowed", "the path exists, but not for this method; see the Allow header")
            }
            ApiError::BodyTooLarge => Self::new(
                S::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("a request body may have at most {} bytes", crate::MAX_BODY_BYTES),
            )
            .with("limit", crate::MAX_BODY_BYTES),
            ApiError::NotJson => {
                Self::new(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "send JSON, not compressed, with the header Content-Type: application/json")
            }
            ApiError::BodyTimeout => Self::new(S::REQUEST_TIMEOUT, "body_timeout", "the request body did not arrive in time"),
            ApiError::RunNotFound(run) => refusal_problem(S::NOT_FOUND, &Refusal::RunNotFound { run }),
            ApiError::AgentNotFound(agent) => refusal_problem(S::NOT_FOUND, &Refusal::AgentNotFound { agent }),
            ApiError::Hidden { reason } => {
                Self::new(S::UNAVAILABLE_FOR_LEGAL_REASONS, "hidden", format!("this server's operator does not show it: {reason}"))
            }
            ApiError::Refused { call, refusal, is_ahead } => {
                let mut problem = refusal_problem(refusal_status(&call, &refusal), &refusal).at(refusal_field(&call, &refusal));
                if is_ahead {
                    problem.detail += "; that is by a transaction that waits to be mined, or is not indexed yet: ask again in a moment";
                }
                problem
            }
            ApiError::Taken { refusal, claimed_by, is_yours } => {
                let mut problem = refusal_problem(S::BAD_REQUEST, &refusal).with("claimedBy", claimed_by).with("yours", is_yours);
                let by = if is_yours { "it is your own claim, by" } else { "it was claimed by" };
                problem.detail = format!("{}; {by} agent {claimed_by}", problem.detail);
                problem
            }
            ApiError::InsufficientUsdc { asked, available } => {
                Self::new(S::UNPROCESSABLE_ENTITY, "insufficient_usdc", format!("{asked} USDC are needed, the signer has {available} USDC"))
                    .with("asked", asked)
                    .with("available", available)
            }
            ApiError::WouldRevert(revert) => {
                Self::new(S::UNPROCESSABLE_ENTITY, revert.code(), format!("the call would revert: {}", revert_sentence(&revert)))
            }
            ApiError::Reverted { hash, block, reason } => Self::new(
                S::UNPROCESSABLE_ENTITY,
                "transaction_reverted",
                format!("{hash} was mined in block {block} and reverted: {}", revert_sentence(&reason)),
            )
            .with("transactionHash", hash)
            .with("blockNumber", block)
            .with("reason", json!({ "code": reason.code(), "detail": revert_sentence(&reason) })),
            ApiError::NotThisAction { field, detail } => Self::new(S::BAD_REQUEST, "not_this_action", detail).at(Some(field)),
            ApiError::ForeignTransaction { field, detail } => Self::new(S::FORBIDDEN, "foreign_transaction", detail).at(Some(field)),
            ApiError::TransactionRefused(SendRefusal { reason, detail }) => {
                Self::new(S::UNPROCESSABLE_ENTITY, "transaction_refused", format!("the transaction was not sent: {detail}"))
                    .with("reason", reason)
            }
            ApiError::UnknownEventId { after, first, last } => Self::new(
                S::CONFLICT,
                "unknown_event_id",
                format!("no event has the id {after} here; read what you need anew, and listen from 0 or without an id"),
            )
            .with("firstEventId", first)
            .with("lastEventId", last),
            ApiError::TooManyListeners { limit } => {
                Self::new(S::TOO_MANY_REQUESTS, "too_many_listeners", format!("{limit} are listening already")).with("limit", limit)
            }
            ApiError::KeyReused => Self::new(
                S::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "the key stands for another request of this wallet; use a new key for a new request",
            ),
            ApiError::KeySpent { nonce, detail } => Self::new(
                S::CONFLICT,
                "idempotency_key_spent",
                format!("{detail}; look at what the wallet has done, and use a new key if this is still to be done"),
            )
            .with("nonce", nonce),
            ApiError::KeyPending { nonce } => Self::new(
                S::CONFLICT,
                "idempotency_key_pending",
                format!("a transaction with the key's nonce {nonce} waits to be mined; ask again in a moment, and sign nothing else"),
            )
            .with("nonce", nonce),
            ApiError::PermitRefused { detail } => {
                Self::new(S::UNPROCESSABLE_ENTITY, "permit_refused", format!("the permit does not pay for the call: {detail}"))
                    .at(Some("permit"))
            }
            ApiError::RelayDisabled => Self::new(S::NOT_FOUND, "relay_disabled", "this server relays nothing: send a transaction"),
            ApiError::NotRelayable { detail } => Self::new(S::FORBIDDEN, "not_relayable", format!("this is not relayed: {detail}")),
            ApiError::RelayDeadline { field, now, latest } => Self::new(
                S::BAD_REQUEST,
                "relay_deadline_out_of_range",
                format!("a signature that is relayed ends after {} and at {} at the latest: prepare again", IsoDate(now), IsoDate(latest)),
            )
            .at(Some(field)),
            ApiError::RelayGasTooHigh { limit } => {
                Self::new(S::UNPROCESSABLE_ENTITY, "relay_gas_too_high", format!("the relayer pays for {limit} gas at most"))
                    .with("limit", limit)
            }
            ApiError::RelayQuota { limit, of } => {
                let detail = match of {
                    RelayShare::Transactions => format!("the signer has had its {limit} transactions of 24 hours"),
                    RelayShare::Registrations => format!("the signer has had its {limit} registrations of 24 hours: send a transaction"),
                    RelayShare::Reverts => {
                        format!("{limit} transactions of 24 hours reverted by what their signer did: send a transaction")
                    }
                    RelayShare::Waiting => format!(
                        "of one signer {limit} transactions are relayed at a time, less those of 24 hours that it made revert: post this again \
                         once one of them is mined"
                    ),
                };
                let retry = if of == RelayShare::Waiting { WAITING_RETRY } else { RELAY_RETRY };
                Self::new(S::TOO_MANY_REQUESTS, "relay_quota_exceeded", detail).with("limit", limit).retry_after(retry)
            }
            ApiError::RelayBudget { of_registrations } => {
                let what = if of_registrations { " for registrations" } else { "" };
                let detail = format!("what the operator pays{what} in 24 hours is used up: send a transaction");
                Self::new(S::SERVICE_UNAVAILABLE, "relay_budget_exhausted", detail).retry_after(RELAY_RETRY)
            }
            ApiError::RelayOutOfFunds => {
                Self::new(S::SERVICE_UNAVAILABLE, "relay_out_of_funds", "the relayer cannot pay for gas at the moment: send a transaction")
                    .retry_after(RELAY_RETRY)
            }
            ApiError::Node(error) => node_problem(&error),
            ApiError::IndexBehind { indexed, head, staleness } => Self::new(
                S::SERVICE_UNAVAILABLE,
                "index_behind",
                format!("the index is at block {indexed}, the chain at {head}; the indexer last heard of a node {staleness} s ago"),
            )
            .with("indexedBlock", indexed)
            .with("head", head)
            .with("lag", head.saturating_sub(indexed)),
            ApiError::IndexForked { block } => Self::new(
                S::SERVICE_UNAVAILABLE,
                "index_forked",
                format!("the index and the node hold different blocks at height {block}; try again when the index has caught up"),
            )
            .with("indexedBlock", block),
            ApiError::NotReady { reasons, freshness, prepares } => {
                Self::new(S::SERVICE_UNAVAILABLE, "not_ready", reasons.join("; ")).with_all(freshness).with("prepares", prepares)
            }
            ApiError::NotIndexedYet { asked, indexed } => Self::new(
                S::PRECONDITION_FAILED,
                "not_indexed_yet",
                format!("block {asked} is not in the index, which is at block {indexed}; try again"),
            )
            .with("indexedBlock", indexed),
            ApiError::NothingIndexed => {
                Self::new(S::SERVICE_UNAVAILABLE, "nothing_indexed", "the indexer has not written to the database yet")
            }
            ApiError::PageTooDeep { deepest } => Self::new(
                S::BAD_REQUEST,
                "page_too_deep",
                format!("page: more than {deepest} items of this list come before it; read on by `cursor`, from `pagination.next` or the Link header"),
            )
            .at(Some("page")),
            ApiError::Store(_) | ApiError::DatabaseAway => {
                Self::new(S::SERVICE_UNAVAILABLE, "database_unavailable", "the database did not answer in time")
            }
            ApiError::RateLimited => {
                Self::new(S::TOO_MANY_REQUESTS, "rate_limited", "too many requests from this address; Retry-After says when to try again")
            }
            ApiError::TooManyConnections { limit } => Self::new(
                S::TOO_MANY_REQUESTS,
                "too_many_connections",
                format!("this address has its {limit} connections: use them for one request after the other"),
            )
            .with("limit", limit),
            ApiError::Busy => Self::new(S::SERVICE_UNAVAILABLE, "busy", "this server has as much in hand as it can have; try again"),
            ApiError::HeadTooLarge => Self::new(
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
                "the request's head is larger than 64 KiB, or has too many headers",
            ),
            ApiError::MalformedRequest => Self::new(S::BAD_REQUEST, "malformed_request", "this is no request of HTTP/1.1"),
            ApiError::Overdue => Self::new(S::SERVICE_UNAVAILABLE, "overdue", "an answer did not come in time; try again"),
            ApiError::Internal(_) => Self::new(S::INTERNAL_SERVER_ERROR, "internal_error", "this server failed; its log says how"),
        }
    }
}

fn refusal_problem(status: StatusCode, refusal: &Refusal) -> Problem {
    let problem = Problem::new(status, refusal.code(), refusal_sentence(refusal));
    match refusal {
        Refusal::ExceedsWithdrawable { amount, withdrawable, .. } => problem.with("asked", amount).with("available", withdrawable),
        Refusal::StakeCommitted { free, required, .. } => problem.with("asked", required).with("available", free),
        Refusal::WrongState { state, accepted, .. } => problem.with("state", state).with("accepted", accepted),
        _ => problem,
    }
}

/// What a node said is in the log alone.
fn node_problem(error: &NodeError) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = match error {
        NodeError::WrongChain { expected, actual } => {
            Problem::new(status, "wrong_chain", format!("the node is on chain {actual}, the market on chain {expected}"))
                .with("expected", expected)
                .with("actual", actual)
        }
        NodeError::Away(_) => {
            Problem::new(status, "node_unavailable", "no node can be reached: nothing can be prepared or sent until one is back")
        }
        NodeError::TimedOut(_) => Problem::new(status, "node_unavailable", "the node did not answer in time"),
        NodeError::Refused { .. } | NodeError::Nonsense(_) => {
            Problem::new(status, "node_unavailable", "the node did not give a usable answer")
        }
    };
    problem.with("node", error.kind().word())
}

/// The status of a refusal. A claim has the order and statuses that the market's reference gives it; the other verbs share theirs.
fn refusal_status(call: &Call, refusal: &Refusal) -> StatusCode {
    let is_claim = matches!(call, Call::Claim { .. });
    match refusal {
        Refusal::RunNotFound { .. } | Refusal::AgentNotFound { .. } => StatusCode::NOT_FOUND,
        Refusal::NotPoster { .. }
        | Refusal::NotRunAgent { .. }
        | Refusal::NotAgent { .. }
        | Refusal::NotOwner { .. }
        | Refusal::PosterCannotClaim { .. }
        | Refusal::NotEligible { .. }
        | Refusal::StakeCommitted { .. } => StatusCode::FORBIDDEN,
        Refusal::RewardOutOfRange { .. }
        | Refusal::DeadlineOutOfRange { .. }
        | Refusal::TooManyRevisions { .. }
        | Refusal::LengthOutOfRange { .. }
        | Refusal::AmountOutOfRange { .. } => StatusCode::BAD_REQUEST,
        Refusal::WrongState { .. } | Refusal::DeadlinePassed { .. } if is_claim => StatusCode::BAD_REQUEST,
        Refusal::WrongState { .. }
        | Refusal::DeadlinePassed { .. }
        | Refusal::TermsChanged { .. }
        | Refusal::SubmissionChanged { .. }
        | Refusal::TooLate { .. }
        | Refusal::TooEarly { .. }
        | Refusal::NoRevisionsLeft { .. }
        | Refusal::RevisionsLeft { .. }
        | Refusal::Frozen { .. } => StatusCode::CONFLICT,
        Refusal::ExceedsWithdrawable { .. } | Refusal::Paused => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// The field of the body that a refused value came in.
fn refusal_field(call: &Call, refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::RewardOutOfRange { .. } => Some("reward"),
        Refusal::DeadlineOutOfRange { .. } => Some("deadline"),
        Refusal::TooManyRevisions { .. } => Some("maxRevisions"),
        Refusal::AmountOutOfRange { .. } | Refusal::ExceedsWithdrawable { .. } => Some("amount"),
        Refusal::LengthOutOfRange { .. } => match call {
            Call::Create(_) | Call::CreateAndFund(_) => Some("ipfsHash"),
            Call::Submit { .. } => Some("deliverableURI"),
            Call::RequestRevision { .. } => Some("feedback"),
            Call::Register { .. } => Some("agentURI"),
            _ => None,
        },
        _ => None,
    }
}
