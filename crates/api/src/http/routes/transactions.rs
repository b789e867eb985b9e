//! Transactions on their way: passing them on, and what became of them.

use alloy::primitives::Bytes;
use axum::{extract::State, http::StatusCode};
use clawpay_bindings::{Contracts, is_of_market};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    error::{ApiError, Invalid},
    http::dto::{stamped::Stamped, transaction::TransactionDto},
    http::extract::{Account, AnyHex, Body, Digits, HashPath, Nothing, Query},
    http::openapi::schemas as w,
    market::contracts,
    transactions::{
        TransactionStatus,
        signed::{SignedTransaction, Unreadable},
        status::Claimed,
        submit::submit,
    },
};

const FIELD: &str = "signedTransaction";

/// The body of `POST /api/transactions`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = SendTransaction)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Signed {
    /// As `eth_sendRawTransaction` takes it.
    #[schema(value_type = w::HexData)]
    signed_transaction: AnyHex,
}

/// Whose transaction it is, as the client knows.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The account that signed it. A hash that nothing here has heard of names no account: what this one has used its nonces for is told then.
    #[param(inline)]
    wallet: Option<Account>,
    /// The nonce it was signed with, beside `wallet`: then it is known whether its place has been taken.
    #[param(inline)]
    nonce: Option<Digits>,
}

/// Send a signed transaction
///
/// Passes a transaction on to the node: any call of the market's contracts, or a USDC approval or permit for them, without ether. Handing in
/// the same one again sends nothing new.
#[utoipa::path(post, path = "/api/transactions", operation_id = "sendTransaction", tag = "transactions", request_body = Signed, responses(
    (status = 202, description = "It is on its way.", body = TransactionDto),
), extensions(("x-problems" = json!([
    "400 invalid_transaction", "403 foreign_transaction", "422 transaction_refused", "503 node_unavailable", "503 wrong_chain"
]))))]
pub(super) async fn send(
    State(app): State<App>,
    Query(Nothing {}): Query<Nothing>,
    Body(Signed { signed_transaction: AnyHex(raw) }): Body<Signed>,
) -> Result<Stamped<TransactionDto>, ApiError> {
    let view = app.snapshot().await?;
    let (chain, indexed) = (view.chain, view.indexed);
    drop(view);
    let transaction = read(&raw, chain.chain_id, &contracts(&chain))?;
    app.node().require_chain(chain.chain_id).await?;
    if let Err(refusal) = submit(app.node(), app.submitted_transactions(), &transaction).await? {
        return Err(ApiError::TransactionRefused(refusal));
    }
    // It is sent: what cannot be found out now does not change that.
    let status = app.tracker().status(app.reader(), transaction.hash, Claimed::default()).await.unwrap_or_else(|error| {
        error.log();
        TransactionStatus::sent(&transaction, indexed)
    });
    Ok(Stamped::new(&app, &status.indexed.clone(), TransactionDto::from(status)).status(StatusCode::ACCEPTED))
}

/// Get a transaction
///
/// What has become of a transaction. One that is not there has not failed: only `replaced` and `reverted` mean that it will have no effect.
#[utoipa::path(get, path = "/api/transactions/{hash}", operation_id = "getTransaction", tag = "transactions", params(HashPath, Whose), responses(
    (status = 200, description = "Where it stands.", body = TransactionDto),
), extensions(("x-problems" = json!(["503 node_unavailable", "503 wrong_chain"]))))]
pub(super) async fn show(
    State(app): State<App>,
    HashPath(hash): HashPath,
    Query(whose): Query<Whose>,
) -> Result<Stamped<TransactionDto>, ApiError> {
    let Whose { wallet, nonce } = whose;
    if wallet.is_none() && nonce.is_some() {
        return Err(Invalid::value("nonce", "nonce: is one of an account's; name the account as `wallet`").into());
    }
    if nonce.is_some_and(|nonce| i64::try_from(nonce.0).is_err()) {
        return Err(Invalid::value("nonce", "nonce: is one that no account reaches").into());
    }
    let claimed = Claimed { sender: wallet.map(|wallet| wallet.0), nonce: nonce.map(|nonce| nonce.0) };
    let status = app.tracker().status(app.confirming(), hash, claimed).await?;
    Ok(Stamped::new(&app, &status.indexed.clone(), TransactionDto::from(status)))
}

/// Refuses whatever is no transaction of this market on this chain.
fn read(raw: &Bytes, chain_id: u64, market: &Contracts) -> Result<SignedTransaction, ApiError> {
    let foreign = |detail: String| ApiError::ForeignTransaction { field: FIELD, detail };
    let transaction = SignedTransaction::read(raw, chain_id).map_err(|unreadable| {
        let detail = format!("the transaction {unreadable}");
        match unreadable {
            Unreadable::NotATransaction | Unreadable::Type | Unreadable::Nonce { .. } | Unreadable::Signature => {
                Invalid { code: "invalid_transaction", field: Some(FIELD.to_owned()), detail }.into()
            }
            Unreadable::OtherChain { .. } | Unreadable::NoChain => foreign(detail),
        }
    })?;
    let to = transaction.to.ok_or_else(|| foreign("the transaction creates a contract".to_owned()))?;
    if !transaction.value.is_zero() {
        return Err(foreign("the transaction sends ether, which nothing here takes".to_owned()));
    }
    if !is_of_market(to, &transaction.input, market) {
        return Err(foreign(format!("what the transaction asks of {to} is not for this market to pass on")));
    }
    Ok(transaction)
}
