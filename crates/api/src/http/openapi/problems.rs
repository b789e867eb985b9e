//! What can go wrong, for the document: each code once, with its status and what it means.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use axum::http::StatusCode;
use clawpay_bindings::Revert;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
        extensions::Extensions,
        path::{HttpMethod, Operation},
        schema::AdditionalProperties,
    },
};

use super::{headers, operations::is_read, schemas};

/// The extension in which a route names the codes it can answer with beside the ones that many have. The document does not show it.
pub(crate) const EXTENSION: &str = "x-problems";

/// Component of all problems.
const PROBLEM: &str = "Problem";

/// Said of a status that comes with other codes as well.
const CONTRACT_ERROR: &str = "or the code of an error of the contracts";

/// Relays any verb, and may be refused as any of them.
const RELAY: &str = "/api/relay";

/// A code as one route answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    status: u16,
    code: &'static str,
    meaning: &'static str,
}

const fn kind(status: u16, code: &'static str, meaning: &'static str) -> Kind {
    Kind { status, code, meaning }
}

/// What every path can answer.
const ANY: &[Kind] = &[
    kind(429, "rate_limited", "Too many requests from this address. Wait as long as `Retry-After` says."),
    kind(500, "internal_error", "This server failed. Its log says how, under the request's id."),
];

/// What no path answers that is there.
const ELSEWHERE: &[Kind] = &[
    kind(404, "unknown_path", "There is nothing at this path."),
    kind(405, "method_not_allowed", "The path is there, but not for this method."),
    kind(400, "malformed_request", "What came is no HTTP request."),
    kind(431, "head_too_large", "The request's head is larger than 64 KiB."),
    kind(429, "too_many_connections", "The address has as many connections as it may."),
    kind(503, "busy", "Everything this server may have in hand, it has."),
];

/// What every path can answer that takes parameters.
const PARAMETERS: &[Kind] = &[
    kind(400, "invalid_value", "A value cannot be used; `field` says which."),
    kind(400, "unknown_field", "There is no such parameter or field; `field` says which."),
    kind(400, "duplicate_field", "A parameter or member is given twice; `field` says which."),
];

/// What every path can answer that asks the database.
const INDEXED: &[Kind] = &[
    kind(503, "database_unavailable", "The database did not answer in time."),
    kind(503, "overdue", "Something behind this server took too long."),
    kind(503, "nothing_indexed", "No indexer has written to the database yet."),
];

/// What every path can answer that takes `minBlock`.
const READ: &[Kind] = &[kind(412, "not_indexed_yet", "The block asked for is not in the index, nor came in time.")];

/// What every path can answer that takes a body.
const BODY: &[Kind] = &[
    kind(400, "malformed_json", "The body is not a JSON object."),
    kind(400, "missing_field", "Fields are missing; `fields` says which."),
    kind(408, "body_timeout", "The body did not arrive in time."),
    kind(413, "body_too_large", "The body is larger than 64 KiB."),
    kind(415, "unsupported_media_type", "The body is not declared as `application/json`."),
];

/// What every verb can answer.
const VERB: &[Kind] = &[
    kind(400, "not_this_action", "What was signed, or mined, is not what the request asks for: `detail` says what it is."),
    kind(400, "nonce_gap", "A step is missing before this one: `detail` names its nonce."),
    kind(422, "insufficient_usdc", "The signer has too few USDC: `asked` and `available` say how many, in base units."),
    kind(422, "transaction_refused", "The node would not take the transaction: `reason` says why."),
    kind(422, "idempotency_key_reused", "The `Idempotency-Key` came with another request of this wallet before."),
    kind(
        409,
        "idempotency_key_spent",
        "What the `Idempotency-Key` stands for cannot be signed any more: its `nonce` is another transaction's.",
    ),
    kind(409, "idempotency_key_pending", "A transaction with the `nonce` of the `Idempotency-Key` waits to be mined."),
    kind(422, "transaction_reverted", "The transaction was mined and reverted: `reason` says why."),
    kind(503, "node_unavailable", "The node did not answer in time, or not usably."),
    kind(503, "wrong_chain", "The node is on another chain than the market."),
    kind(503, "index_behind", "The index is too far behind the node to decide by."),
    kind(503, "index_forked", "The index and the node hold different blocks for the moment."),
];

/// What single routes name.
const NAMED: &[Kind] = &[
    kind(404, "run_not_found", "There is no such run."),
    kind(404, "agent_not_found", "There is no such agent."),
    kind(451, "hidden", "The operator does not show it: `detail` says why."),
    kind(400, "missing_field", "A parameter is missing; `field` says which."),
    kind(400, "reward_out_of_range", "The reward is below the minimum, or 2^56 base units or more."),
    kind(400, "deadline_out_of_range", "The deadline is not in the future, or too far ahead."),
    kind(400, "too_many_revisions", "More revisions than the market allows."),
    kind(400, "amount_out_of_range", "The amount is zero, or more than a stake can be."),
    kind(403, "not_poster", "Only the run's poster may do this."),
    kind(403, "not_run_agent", "Only the wallet that claimed, or the agent's owner, may do this."),
    kind(403, "not_agent", "The wallet does not act for the agent."),
    kind(403, "not_owner", "The wallet does not own the agent."),
    kind(403, "poster_cannot_claim", "A poster cannot claim its own run."),
    kind(403, "agent_unverified", "The agent has less than the minimum stake."),
    kind(403, "agent_frozen", "The agent has been slashed and has not staked that again."),
    kind(403, "agent_banned", "The agent has been slashed too often."),
    kind(403, "stake_committed", "The agent's stake is committed to runs in hand: `asked` and `available` say how much, in base units."),
    kind(409, "wrong_state", "The run is not in a state this starts from: `state`, and `accepted`."),
    kind(409, "deadline_passed", "The run's deadline has passed."),
    kind(409, "submission_changed", "The submission on the chain is not the one the index knows."),
    kind(409, "terms_changed", "The run's terms are not those of the `termsWord` given."),
    kind(409, "too_late", "The time for this has passed."),
    kind(409, "too_early", "The time for this has not come."),
    kind(409, "no_revisions_left", "All revisions have been used."),
    kind(409, "revisions_left", "The agent still has revisions."),
    kind(409, "agent_frozen", "The agent has been slashed and has not staked that again."),
    kind(422, "exceeds_withdrawable", "More than the agent can withdraw now: `asked` and `available`, in base units."),
    kind(422, "not_authorized", "The wallet neither owns the agent nor is approved for it."),
    kind(422, "invalid_signature", "The consent is not the new wallet's signature over what was to be signed."),
    kind(422, "signature_expired", "The consent is not good any more; ask for it anew."),
    kind(422, "no_credit", "The contract owes the account nothing."),
    kind(422, "paused", "Creating, funding and claiming are paused."),
    kind(503, "not_ready", "Something behind the process is missing, or the index is too far behind; `detail` says what."),
    kind(422, "permit_refused", "The permit that came along does not pay for the call."),
    kind(400, "invalid_transaction", "The bytes are no signed transaction that can be passed on."),
    kind(403, "foreign_transaction", "The transaction is none of this market's, or for another chain."),
    kind(422, "transaction_refused", "The node would not take the transaction: `reason` says why."),
    kind(503, "node_unavailable", "The node did not answer in time, or not usably."),
    kind(503, "wrong_chain", "The node is on another chain than the market."),
    kind(409, "unknown_event_id", "No event has this id here: `firstEventId` and `lastEventId` say which there are."),
    kind(429, "too_many_listeners", "As many listen as may, from this address or altogether."),
    kind(404, "relay_disabled", "This server relays nothing."),
    kind(403, "not_relayable", "What was signed is nothing that is relayed."),
    kind(400, "invalid_signature", "The signer did not sign this request with the nonce that is its next."),
    kind(400, "relay_deadline_out_of_range", "The signature is not good any more, or for longer than 15 minutes."),
    kind(422, "insufficient_usdc", "The signer has too few USDC: `asked` and `available` say how many, in base units."),
    kind(422, "relay_gas_too_high", "More gas than the relayer pays for."),
    kind(429, "relay_quota_exceeded", "The signer has had its share of 24 hours."),
    kind(503, "relay_budget_exhausted", "What the operator pays in 24 hours is used up."),
    kind(503, "relay_out_of_funds", "The relayer cannot pay for gas at the moment."),
    kind(
        400,
        "wrong_state",
        "The run is not OPEN: `state`, and `accepted`; once it was claimed `claimedBy`, and `yours` if the agent or wallet that asks did.",
    ),
    kind(400, "deadline_passed", "The run's deadline has passed."),
    kind(400, "invalid_cursor", "The cursor is none of this server's."),
    kind(400, "page_too_deep", "More than 100,000 items come before the page: read on by `cursor`."),
];

/// Adds to an operation the responses that are problems: those it names, and those its form brings with it. A response of one status is the
/// same for all operations; which codes come with it is said at each.
pub(super) fn attach(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let mut kinds: Vec<Kind> = ANY.to_vec();
    if operation.parameters.is_some() || operation.request_body.is_some() {
        kinds.extend(PARAMETERS);
    }
    if path.starts_with("/api/") || path == "/readyz" {
        kinds.extend(INDEXED);
    }
    if is_read(operation) {
        kinds.extend(READ);
    }
    if operation.request_body.is_some() {
        kinds.extend(BODY);
    }
    let answers = |status: &str| operation.responses.responses.contains_key(status);
    let is_verb = *method == HttpMethod::Post && answers("200") && answers("202");
    if is_verb {
        kinds.extend(VERB);
    }
    let own = named(operation);
    let mut by_status: BTreeMap<u16, BTreeSet<&str>> = kinds.iter().map(|kind| (kind.status, BTreeSet::new())).collect();
    for kind in &own {
        by_status.entry(kind.status).or_default().insert(kind.code);
    }
    for (status, codes) in by_status {
        let mut words: Vec<String> = codes.into_iter().map(|code| format!("`{code}`")).collect();
        // The contracts may refuse a transaction in words of their own.
        if is_verb && status == 422 || path == RELAY && matches!(status, 400 | 403 | 404 | 409 | 422) {
            words.push(CONTRACT_ERROR.to_owned());
        }
        let mut response = Ref::from_response_name(name(status));
        // What many operations answer, the response itself says.
        response.description = words.join(", ");
        operation.responses.responses.insert(status.to_string(), response.into());
    }
}

/// The codes an operation names, each `status code`, which are taken off it.
fn named(operation: &mut Operation) -> Vec<Kind> {
    let Some(named) = operation.extensions.as_mut().and_then(|extensions| extensions.remove(EXTENSION)) else { return Vec::new() };
    if operation.extensions.as_ref().is_some_and(|extensions: &Extensions| extensions.is_empty()) {
        operation.extensions = None;
    }
    let Value::Array(names) = named else { return Vec::new() };
    let find = |name: &Value| {
        let (status, code) = name.as_str()?.split_once(' ')?;
        NAMED.iter().find(|kind| kind.code == code && kind.status.to_string() == status).copied()
    };
    names.iter().map(|name| find(name).unwrap_or(kind(0, "unknown", "A route names a problem that is not in the table."))).collect()
}

/// The response that all operations answer with at a status.
fn name(status: u16) -> String {
    format!("Problem{status}")
}

fn response(status: u16) -> Response {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let shared: BTreeSet<&str> = shared().filter(|kind| kind.status == status).map(|kind| kind.code).collect();
    let shared: Vec<String> = shared.into_iter().map(|code| format!("`{code}`")).collect();
    let description =
        if shared.is_empty() { title.to_owned() } else { format!("{title}: {}; or what the operation names.", shared.join(", ")) };
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", Content::new(Some(Ref::from_schema_name(PROBLEM))))
        .build();
    headers::add(&mut response.headers, headers::REQUEST_ID);
    if matches!(status, 412 | 429 | 503) {
        headers::add(&mut response.headers, headers::RETRY_AFTER);
    }
    response
}

/// What comes of an operation's form, or of where it is.
fn shared() -> impl Iterator<Item = &'static Kind> {
    [ANY, ELSEWHERE, PARAMETERS, INDEXED, READ, BODY, VERB].into_iter().flatten()
}

fn all() -> impl Iterator<Item = &'static Kind> {
    shared().chain(NAMED)
}

/// The responses that operations may refer to.
pub(super) fn responses() -> impl Iterator<Item = (String, RefOr<Response>)> {
    let statuses: BTreeSet<u16> = all().map(|kind| kind.status).collect();
    statuses.into_iter().map(|status| (name(status), response(status).into()))
}

/// The codes of all problems: those of the tables, and those of the contracts' errors that have no other name.
pub(crate) struct ProblemCode;

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        let mut meanings: BTreeMap<&str, BTreeSet<&str>> = Revert::CODES.iter().map(|code| (*code, BTreeSet::new())).collect();
        for kind in all() {
            meanings.entry(kind.code).or_default().insert(kind.meaning);
        }
        let line = |(code, meanings): (&&str, &BTreeSet<&str>)| {
            let meanings: Vec<&str> = meanings.iter().copied().collect();
            (!meanings.is_empty()).then(|| format!("- `{code}`: {}", meanings.join(" ")))
        };
        let lines: Vec<String> = meanings.iter().filter_map(line).collect();
        let description = format!(
            "What went wrong, for programs. Stable.\n\n{}\n\nThe others are what an error of the contracts is called, in snake case.",
            lines.join("\n")
        );
        schemas::one_of(&description, meanings.into_keys()).into()
    }
}

impl ToSchema for ProblemCode {
    fn name() -> Cow<'static, str> {
        "ProblemCode".into()
    }
}

/// The components of all problems.
pub(super) fn schemas() -> [(String, RefOr<Schema>); 2] {
    let string = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let problem = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("A problem by RFC 9457. Further members hold what helps: texts, numbers, lists, truth values."))
        .property("type", string("Always `about:blank`: `code` says what went wrong."))
        .required("type")
        .property("title", string("The status in words."))
        .required("title")
        .property("status", schemas::whole("The status.", 400, 599))
        .required("status")
        .property("code", Ref::from_schema_name(ProblemCode::name()))
        .required("code")
        .property("detail", string("What went wrong, for people."))
        .required("detail")
        .property("field", string("The parameter, body field or path segment at fault, where one is."))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .build();
    [(PROBLEM.to_owned(), Schema::Object(problem).into()), (ProblemCode::name().into_owned(), ProblemCode::schema())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_meaning_at_a_status() {
        let all: Vec<_> = [ANY, PARAMETERS, INDEXED, READ, BODY, VERB].into_iter().flatten().collect();
        for (position, kind) in all.iter().enumerate() {
            assert!(!all[..position].iter().any(|other| (other.status, other.code) == (kind.status, kind.code)), "{kind:?}");
            assert!(kind.meaning.ends_with('.') && (400..600).contains(&kind.status), "{kind:?}");
        }
    }
}
