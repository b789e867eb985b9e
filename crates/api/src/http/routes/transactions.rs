//! Transactions on their way: passing them on, and what became of them.

use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Decodable2718,
    primitives::Bytes,
};
use axum::{extract::State, http::StatusCode};
use clawpay_bindings::{Contracts, is_of_market};
use clawpay_store::SubmittedTransaction;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    App,
    error::{ApiError, Invalid},
    http::dto::{market::contracts, stamped::Stamped, transaction::TransactionDto},
    http::extract::{Body, HashPath, Nothing, Query},
    http::openapi::schemas as w,
    transactions::status::transaction_status,
};

const FIELD: &str = "signedTransaction";

/// The body of `POST /api/transactions`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = SendTransaction)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Signed {
    /// As `eth_sendRawTransaction` takes it.
    #[schema(value_type = w::HexData)]
    signed_transaction: Bytes,
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
    Body(Signed { signed_transaction: raw }): Body<Signed>,
) -> Result<Stamped<TransactionDto>, ApiError> {
    let chain = app.snapshot().await?.chain;
    let sent = read(&raw, chain.chain_id, &contracts(&chain))?;
    app.node().require_chain(chain.chain_id).await?;
    pass_on(&app, &raw, &sent).await?;
    let (transaction_status, indexed) = transaction_status(&app, sent.hash).await?;
    Ok(Stamped::new(&app, &indexed, transaction_status).status(StatusCode::ACCEPTED))
}

/// Get a transaction
///
/// What has become of a transaction. One that is not there has not failed: only `replaced` and `reverted` mean that it will have no effect.
#[utoipa::path(get, path = "/api/transactions/{hash}", operation_id = "getTransaction", tag = "transactions", params(HashPath), responses(
    (status = 200, description = "Where it stands.", body = TransactionDto),
), extensions(("x-problems" = json!(["503 node_unavailable", "503 wrong_chain"]))))]
pub(super) async fn show(
    State(app): State<App>,
    HashPath(hash): HashPath,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Stamped<TransactionDto>, ApiError> {
    let (transaction_status, indexed) = transaction_status(&app, hash).await?;
    Ok(Stamped::new(&app, &indexed, transaction_status))
}

/// A transaction that the node knows already is as good as sent.
async fn pass_on(app: &App, raw: &Bytes, sent: &SubmittedTransaction) -> Result<(), ApiError> {
    if let Err(detail) = app.node().send(raw).await? {
        let (transaction, receipt) = tokio::try_join!(app.node().transaction(sent.hash), app.node().receipt(sent.hash))?;
        if transaction.is_none() && receipt.is_none() {
            return Err(ApiError::TransactionRefused { detail });
        }
    }
    Ok(app.submitted_transactions().note(sent).await?)
}

/// Refuses whatever is no transaction of this market on this chain.
fn read(raw: &Bytes, chain_id: u64, market: &Contracts) -> Result<SubmittedTransaction, ApiError> {
    let unreadable = |detail: &str| Invalid { code: "invalid_transaction", field: Some(FIELD.to_owned()), detail: detail.to_owned() };
    let foreign = |detail: String| ApiError::ForeignTransaction { field: FIELD, detail };
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|_| unreadable("the bytes are not a signed transaction"))?;
    match &envelope {
        TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_) => {}
        // They carry more than a call: blobs, or authority over the account.
        _ => return Err(unreadable("the transaction is of a type that is not passed on").into()),
    }
    match envelope.chain_id() {
        Some(id) if id == chain_id => {}
        Some(id) => return Err(foreign(format!("the transaction is for chain {id}, not chain {chain_id}"))),
        None => return Err(foreign("the transaction names no chain and could be replayed on any".to_owned())),
    }
    let to = envelope.to().ok_or_else(|| foreign("the transaction creates a contract".to_owned()))?;
    if !envelope.value().is_zero() {
        return Err(foreign("the transaction sends ether, which nothing here takes".to_owned()));
    }
    if !is_of_market(to, envelope.input(), market) {
        return Err(foreign(format!("what the transaction asks of {to} is not for this market to pass on")));
    }
    let sender = envelope.recover_signer().map_err(|_| unreadable("the signature is not valid"))?;
    Ok(SubmittedTransaction { hash: *envelope.tx_hash(), sender, nonce: envelope.nonce() })
}
