//! The market as a person with a wallet uses it: HTTP requests, and signatures over what the answers say.

use std::time::Duration;

use alloy::{
    eips::eip2718::Encodable2718,
    network::{EthereumWallet, NetworkTransactionBuilder},
    primitives::{TxHash, hex},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

/// Longer than the API waits for a transaction.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// A market's API.
#[derive(Debug)]
pub(crate) struct Market {
    http: reqwest::Client,
    base: Url,
}

/// An action that the API has confirmed.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its 200 answer.
    pub answer: Value,
    /// What was signed for it.
    pub transactions: Vec<TxHash>,
}

impl Market {
    /// The API at `base`.
    pub(crate) fn at(base: Url) -> Result<Self> {
        Ok(Self { http: reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?, base })
    }

    /// Reads `path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.http.get(self.base.join(path)?).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status == StatusCode::OK, "GET {path} answers {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("GET {path} answers {text}"))
    }

    /// Does what `path` stands for, in the API's two calls: one that prepares transactions, and the same with their signatures.
    pub(crate) async fn perform(&self, signer: &PrivateKeySigner, path: &str, mut body: Value) -> Result<Done> {
        let (status, prepared) = self.post(path, &body).await?;
        ensure!(
            status == StatusCode::ACCEPTED && prepared["success"] == false && prepared["status"] == "signature_required",
            "POST {path} prepares nothing, but answers {status}: {prepared}"
        );
        let steps = prepared["steps"].as_array().with_context(|| format!("POST {path} prepares no steps: {prepared}"))?;
        let mut signed = Vec::new();
        let mut transactions = Vec::new();
        for step in steps {
            let (raw, hash) = sign(signer, &step["transaction"]).await.with_context(|| format!("POST {path} prepares {step}"))?;
            signed.push(raw);
            transactions.push(hash);
        }

        body["signedTransactions"] = json!(signed);
        let (status, answer) = self.post(path, &body).await?;
        ensure!(status == StatusCode::OK && answer["success"] == true, "POST {path} with signatures answers {status}: {answer}");
        Ok(Done { answer, transactions })
    }

    /// Asks for something that must be refused with `status` and `code`.
    pub(crate) async fn expect_refusal(&self, path: &str, body: &Value, status: StatusCode, code: &str) -> Result<()> {
        let (answered, problem) = self.post(path, body).await?;
        ensure!(
            answered == status && problem["code"] == code,
            "POST {path} should answer {status} {code}, but answers {answered}: {problem}"
        );
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let response = self.http.post(self.base.join(path)?).json(body).send().await?;
        let (status, text) = (response.status(), response.text().await?);
        let answer = serde_json::from_str(&text).with_context(|| format!("POST {path} answers {status}: {text}"))?;
        Ok((status, answer))
    }
}

/// Signs a transaction exactly as it was given: nothing is filled in, so a field that is missing is an error.
async fn sign(signer: &PrivateKeySigner, transaction: &Value) -> Result<(String, TxHash)> {
    let request: TransactionRequest = serde_json::from_value(transaction.clone())?;
    ensure!(request.from == Some(signer.address()), "it is for another signer than {}", signer.address());
    let envelope = request.build(&EthereumWallet::from(signer.clone())).await?;
    Ok((hex::encode_prefixed(envelope.encoded_2718()), *envelope.tx_hash()))
}
