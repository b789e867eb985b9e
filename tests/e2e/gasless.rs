//! Wallets that hold USDC and no ETH: they sign, another account sends. Played over our token and over real USDC, by nonces and typed data that
//! this program works out and the chain has to accept.

use alloy::{
    eips::BlockNumberOrTag,
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256, aliases::U48},
    providers::{DynProvider, Provider},
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{Eip712Domain, SolCall, SolEvent, SolStruct},
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{
    AgentRegistry, AgentStake, Call, CallWithSignature, Contracts, Deployment, ERC2771Forwarder, ForwardRequest, Permit,
    ReceiveWithAuthorization, Revert, RunEscrow, SignedAuthorization, SignedPermit, TestUSDC, create_and_fund_nonce,
    forwarder::ERC2771Forwarder::ForwardRequestData, forwarder_domain, fund_nonce, stake_nonce, token_domain,
};
use clawpay_cli::{
    deploy::{self, Plan},
    wallet::{Wallet, read},
};
use clawpay_domain::{AgentId, NewRun, RunId, RunState, Seconds, Timestamp, Usdc};
use clawpay_tests::{Indexer, LiveChain, OPERATOR, Stack, indexed_block, key};
use sqlx::{Connection, PgConnection, Row};
use url::Url;

/// Pays for gas and is trusted with nothing.
const RELAYER: u32 = 8;
/// Gas that a request allows its call; several times what any verb uses.
const GAS: u64 = 1_000_000;

#[tokio::test]
async fn wallets_without_eth_do_everything_over_the_local_token() -> Result<()> {
    let stack = Stack::with_database().await?;
    let minter = stack.actor(OPERATOR).await?;
    let market = Market::new(&stack.rpc_url(), stack.deployment).await?;
    let mint = async |to, amount| minter.mint(to, amount).await.map(drop);
    play(&market, mint, &stack.database_url()?).await
}

#[tokio::test]
async fn wallets_without_eth_do_everything_over_real_usdc() -> Result<()> {
    let chain = LiveChain::start().await?;
    let deployer = Wallet::signing(chain.rpc_url(), key(1)).await?;
    let plan = Plan { usdc: Some(chain.usdc.address()), ..Plan::default() };
    let market = Market::new(chain.rpc_url(), deploy::deploy(&deployer, &plan, |_| ()).await?).await?;
    let mint = async |to, amount| chain.usdc.mint(to, amount).await;
    play(&market, mint, &chain.database_url()).await
}

/// Three runs: one posted by authorization and worked to the end, two drafts and a stake paid in the other ways.
async fn play(market: &Market, mint: impl AsyncFn(Address, Usdc) -> Result<()>, database_url: &str) -> Result<()> {
    let indexer = Indexer::start(clawpay_indexer::Config::new(market.rpc_url.clone(), market.deployment), database_url)?;
    let (poster, worker) = (PrivateKeySigner::random(), PrivateKeySigner::random());
    mint(poster.address(), Usdc::whole(315)).await?;
    mint(worker.address(), Usdc::whole(35)).await?;

    // The worker registers by a forwarded request, and stakes by an authorization that anybody may send.
    let receipt = market.forward(&worker, market.contracts().agent_registry, market.register()).await?;
    let agent = AgentId(u64::try_from(event::<AgentRegistry::Registered>(&receipt)?.agentId)?);
    let stake = market.stake_by_authorization(&worker, agent, Usdc::whole(20)).await?;
    market.send(&stake).await?;
    ensure!(market.refusal(&stake).await?.contains("used"), "an authorization counts once");
    market.forward_signed(&worker, &market.stake_by_permit(&worker, agent, Usdc::whole(15)).await?).await?;

    // The poster pays by authorization. The account that sends it can change nothing.
    let terms = market.terms(100).await?;
    let post = market.post_by_authorization(&poster, &terms).await?;
    for forged in forgeries(&post, worker.address()) {
        let refusal = market.refusal(&forged).await?;
        ensure!(refusal.contains("invalid signature"), "{forged:?}: {refusal}");
    }
    let run = market.created(&market.send(&post).await?)?;

    // A draft, which has an id to name; and the two permits, which only the poster itself can use.
    let receipt = market.forward(&poster, market.contracts().run_escrow, Call::Create(terms.clone()).calldata()).await?;
    let draft = market.created(&receipt)?;
    market.send(&market.fund_by_authorization(&poster, draft, &terms).await?).await?;
    let receipt = market.forward_signed(&poster, &market.post_by_permit(&poster, &terms).await?).await?;
    let second = market.created(&receipt)?;

    // Claimed, delivered, approved.
    let expected_terms = market.view(market.contracts().run_escrow, &RunEscrow::termsOfCall { runId: U256::from(run.0) }).await?;
    market.forward_call(&worker, &Call::Claim { run, agent, expected_terms }).await?;
    market.forward_call(&worker, &Call::Submit { run, deliverable_uri: "ipfs://done".to_owned() }).await?;
    let expected_review_by = Timestamp(u64::try_from(market.run(run).await?.reviewBy)?);
    let approve = market.request(&poster, market.contracts().run_escrow, Call::Approve { run, expected_review_by }.calldata()).await?;
    market.execute(&approve).await?;
    ensure!(market.refusal_of_request(&approve).await?.code() == "invalid_request_signature", "a request counts once");

    // Every base unit, and not one wei of the two who hold none.
    let Contracts { run_escrow, agent_stake, .. } = market.contracts();
    let treasury = market.view(run_escrow, &RunEscrow::treasuryCall {}).await?;
    market.send_raw(run_escrow, RunEscrow::collectFeesCall {}.abi_encode().into()).await?;
    for (who, whole) in
        [(poster.address(), 0), (worker.address(), 100), (run_escrow, 210), (agent_stake, 35), (treasury, 5), (market.relayer.address(), 0)]
    {
        ensure!(market.balance(who).await? == Usdc::whole(whole), "{who} has {} USDC, not {whole}", market.balance(who).await?);
    }
    for wallet in [&poster, &worker] {
        let provider = market.provider();
        ensure!(provider.get_balance(wallet.address()).await?.is_zero() && provider.get_transaction_count(wallet.address()).await? == 0);
    }

    // The index knows who did it, not who sent it.
    market.until_indexed(database_url).await?;
    let mut database = PgConnection::connect(database_url).await?;
    let rows = sqlx::query("SELECT id, poster, state::text, wallet FROM runs ORDER BY id").fetch_all(&mut database).await?;
    let expected = [(run, RunState::Approved, Some(worker.address())), (draft, RunState::Open, None), (second, RunState::Open, None)];
    ensure!(rows.len() == expected.len(), "{} runs", rows.len());
    for (row, (id, state, wallet)) in rows.iter().zip(expected) {
        let found: (i64, &[u8], &str, Option<&[u8]>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let wanted = (i64::try_from(id.0)?, poster.address(), state.as_str(), wallet);
        ensure!(
            found == (wanted.0, wanted.1.as_slice(), wanted.2, wanted.3.as_ref().map(|wallet| wallet.as_slice())),
            "the index has {found:?}, not {wanted:?}"
        );
    }
    let owner: Vec<u8> = sqlx::query_scalar("SELECT owner FROM agents WHERE id = $1 AND stake = 35000000")
        .bind(i64::try_from(agent.0)?)
        .fetch_one(&mut database)
        .await?;
    ensure!(owner == worker.address().as_slice());
    let refused: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE refusal IS NOT NULL").fetch_one(&mut database).await?;
    ensure!(refused == 0, "{refused} events contradict the rules");
    indexer.stop().await??;
    Ok(())
}

/// The same signature under other terms, each changed alone.
fn forgeries(call: &CallWithSignature, other: Address) -> Vec<CallWithSignature> {
    let CallWithSignature::CreateAndFundWithAuthorization { poster, run, authorization } = call else { return Vec::new() };
    let with = |change: &dyn Fn(&mut Address, &mut NewRun, &mut SignedAuthorization)| {
        let (mut poster, mut run, mut authorization) = (*poster, run.clone(), authorization.clone());
        change(&mut poster, &mut run, &mut authorization);
        CallWithSignature::CreateAndFundWithAuthorization { poster, run, authorization }
    };
    vec![
        with(&|poster, _, _| *poster = other),
        with(&|_, run, _| run.reward = Usdc::base_units(100_000_001)),
        with(&|_, run, _| run.deadline = run.deadline + Seconds(1)),
        with(&|_, run, _| run.max_revisions -= 1),
        with(&|_, run, _| run.content_uri = "ipfs://other".into()),
        with(&|_, _, authorization| authorization.salt = B256::ZERO),
        with(&|_, _, authorization| authorization.valid_before -= U256::ONE),
    ]
}

/// One market, and the one account that pays for gas.
struct Market {
    rpc_url: Url,
    deployment: Deployment,
    relayer: Wallet,
    token: Eip712Domain,
}

impl Market {
    async fn new(rpc_url: &Url, deployment: Deployment) -> Result<Self> {
        let relayer = Wallet::signing(rpc_url, key(RELAYER)).await?;
        let usdc = deployment.contracts.usdc;
        let name = read(relayer.provider(), usdc, &TestUSDC::nameCall {}).await?;
        let version = read(relayer.provider(), usdc, &TestUSDC::versionCall {}).await?;
        let token = token_domain(name, version, deployment.chain_id, usdc);
        ensure!(
            token.separator() == read(relayer.provider(), usdc, &TestUSDC::DOMAIN_SEPARATORCall {}).await?,
            "another domain than the token's"
        );
        Ok(Self { rpc_url: rpc_url.clone(), deployment, relayer, token })
    }

    const fn contracts(&self) -> Contracts {
        self.deployment.contracts
    }

    const fn provider(&self) -> &DynProvider {
        self.relayer.provider()
    }

    async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return> {
        read(self.provider(), to, call).await
    }

    async fn balance(&self, account: Address) -> Result<Usdc> {
        self.view(self.contracts().usdc, &TestUSDC::balanceOfCall { account }).await.map(Usdc)
    }

    async fn run(&self, run: RunId) -> Result<clawpay_bindings::run_escrow::IRunEscrow::Run> {
        self.view(self.contracts().run_escrow, &RunEscrow::getRunCall { runId: U256::from(run.0) }).await
    }

    async fn now(&self) -> Result<Timestamp> {
        let block = self.provider().get_block_by_number(BlockNumberOrTag::Latest).await?.context("a chain has a latest block")?;
        Ok(Timestamp(block.header.timestamp))
    }

    async fn terms(&self, reward: u64) -> Result<NewRun> {
        let deadline = self.now().await? + Seconds::days(30);
        Ok(NewRun { reward: Usdc::whole(reward), deadline, max_revisions: 2, content_uri: "ipfs://wörk".into() })
    }

    fn register(&self) -> Bytes {
        Call::Register { agent_uri: "ipfs://agent".to_owned() }.calldata()
    }

    fn created(&self, receipt: &TransactionReceipt) -> Result<RunId> {
        Ok(RunId(u64::try_from(event::<RunEscrow::RunCreated>(receipt)?.runId)?))
    }

    // What the payer signs.

    async fn permit(&self, owner: &PrivateKeySigner, spender: Address, value: Usdc) -> Result<SignedPermit> {
        let nonce = self.view(self.contracts().usdc, &TestUSDC::noncesCall { owner: owner.address() }).await?;
        let permit = Permit { owner: owner.address(), spender, value: value.0, nonce, deadline: U256::MAX };
        Ok(SignedPermit { deadline: U256::MAX, signature: signature(owner, &permit, &self.token)? })
    }

    fn authorize(&self, from: &PrivateKeySigner, to: Address, value: Usdc, salt: B256, nonce: B256) -> Result<SignedAuthorization> {
        let (valid_after, valid_before) = (U256::ZERO, U256::MAX);
        let authorization = ReceiveWithAuthorization {
            from: from.address(),
            to,
            value: value.0,
            validAfter: valid_after,
            validBefore: valid_before,
            nonce,
        };
        Ok(SignedAuthorization { valid_after, valid_before, salt, signature: signature(from, &authorization, &self.token)? })
    }

    /// What a run of these terms costs its poster, at the documented fee.
    fn price(terms: &NewRun) -> Usdc {
        Usdc(terms.reward.0 * U256::from(105) / U256::from(100))
    }

    async fn post_by_authorization(&self, poster: &PrivateKeySigner, terms: &NewRun) -> Result<CallWithSignature> {
        let (escrow, salt) = (self.contracts().run_escrow, B256::random());
        let nonce = create_and_fund_nonce(self.deployment.chain_id, escrow, poster.address(), terms, salt);
        let view = RunEscrow::createAndFundNonceCall {
            poster: poster.address(),
            reward: terms.reward.0,
            deadline: U256::from(terms.deadline.0),
            maxRevisions: U256::from(terms.max_revisions),
            contentURI: String::from_utf8(terms.content_uri.to_vec())?,
            salt,
        };
        ensure!(nonce == self.view(escrow, &view).await?, "createAndFundNonce differs");
        let authorization = self.authorize(poster, escrow, Self::price(terms), salt, nonce)?;
        Ok(CallWithSignature::CreateAndFundWithAuthorization { poster: poster.address(), run: terms.clone(), authorization })
    }

    async fn post_by_permit(&self, poster: &PrivateKeySigner, terms: &NewRun) -> Result<CallWithSignature> {
        let permit = self.permit(poster, self.contracts().run_escrow, Self::price(terms)).await?;
        Ok(CallWithSignature::CreateAndFundWithPermit { run: terms.clone(), permit })
    }

    async fn fund_by_authorization(&self, poster: &PrivateKeySigner, run: RunId, terms: &NewRun) -> Result<CallWithSignature> {
        let (escrow, salt) = (self.contracts().run_escrow, B256::random());
        let nonce = fund_nonce(self.deployment.chain_id, escrow, poster.address(), run, terms, salt);
        let view = RunEscrow::fundNonceCall { runId: U256::from(run.0), salt };
        ensure!(nonce == self.view(escrow, &view).await?, "fundNonce differs");
        let authorization = self.authorize(poster, escrow, Self::price(terms), salt, nonce)?;
        Ok(CallWithSignature::FundWithAuthorization { run, authorization })
    }

    async fn stake_by_authorization(&self, from: &PrivateKeySigner, agent: AgentId, amount: Usdc) -> Result<CallWithSignature> {
        let (contract, salt) = (self.contracts().agent_stake, B256::random());
        let nonce = stake_nonce(self.deployment.chain_id, contract, from.address(), agent, amount, salt);
        let view = AgentStake::stakeNonceCall { from: from.address(), agentId: U256::from(agent.0), amount: amount.0, salt };
        ensure!(nonce == self.view(contract, &view).await?, "stakeNonce differs");
        let authorization = self.authorize(from, contract, amount, salt, nonce)?;
        Ok(CallWithSignature::StakeWithAuthorization { from: from.address(), agent, amount, authorization })
    }

    async fn stake_by_permit(&self, from: &PrivateKeySigner, agent: AgentId, amount: Usdc) -> Result<CallWithSignature> {
        let permit = self.permit(from, self.contracts().agent_stake, amount).await?;
        Ok(CallWithSignature::StakeWithPermit { agent, amount, permit })
    }

    /// A request by which the forwarder may call `to` in the signer's name.
    async fn request(&self, signer: &PrivateKeySigner, to: Address, data: Bytes) -> Result<ForwardRequestData> {
        let forwarder = self.contracts().forwarder;
        let request = ForwardRequest {
            from: signer.address(),
            to,
            value: U256::ZERO,
            gas: U256::from(GAS),
            nonce: self.view(forwarder, &ERC2771Forwarder::noncesCall { owner: signer.address() }).await?,
            deadline: U48::from((self.now().await? + Seconds(900)).0),
            data,
        };
        let signature = signature(signer, &request, &forwarder_domain(self.deployment.chain_id, forwarder))?;
        Ok(request.submitted(signature))
    }

    // What the relayer sends.

    async fn send(&self, call: &CallWithSignature) -> Result<TransactionReceipt> {
        self.send_raw(call.contract(&self.contracts()), call.calldata()).await
    }

    async fn send_raw(&self, to: Address, calldata: Bytes) -> Result<TransactionReceipt> {
        self.relayer.send(to, calldata).await
    }

    async fn execute(&self, request: &ForwardRequestData) -> Result<TransactionReceipt> {
        let call = ERC2771Forwarder::executeCall { request: request.clone() };
        self.send_raw(self.contracts().forwarder, call.abi_encode().into()).await
    }

    async fn forward(&self, signer: &PrivateKeySigner, to: Address, data: Bytes) -> Result<TransactionReceipt> {
        self.execute(&self.request(signer, to, data).await?).await
    }

    async fn forward_call(&self, signer: &PrivateKeySigner, call: &Call) -> Result<TransactionReceipt> {
        self.forward(signer, call.contract(&self.contracts()), call.calldata()).await
    }

    async fn forward_signed(&self, signer: &PrivateKeySigner, call: &CallWithSignature) -> Result<TransactionReceipt> {
        self.forward(signer, call.contract(&self.contracts()), call.calldata()).await
    }

    /// Why the relayer cannot send this.
    async fn refusal(&self, call: &CallWithSignature) -> Result<String> {
        Ok(self.revert(call.contract(&self.contracts()), call.calldata()).await?.to_string())
    }

    async fn refusal_of_request(&self, request: &ForwardRequestData) -> Result<Revert> {
        let call = ERC2771Forwarder::executeCall { request: request.clone() };
        self.revert(self.contracts().forwarder, call.abi_encode().into()).await
    }

    async fn revert(&self, to: Address, calldata: Bytes) -> Result<Revert> {
        let request = TransactionRequest::default().with_from(self.relayer.address()).with_to(to).with_input(calldata);
        let error = self.provider().call(request).await.err().context("the call was not refused")?;
        let data =
            error.as_error_resp().and_then(|payload| payload.as_revert_data()).with_context(|| format!("no revert data: {error}"))?;
        Ok(Revert::decode(&data))
    }

    async fn until_indexed(&self, database_url: &str) -> Result<()> {
        let head = self.provider().get_block_number().await?;
        for _ in 0..1_000 {
            if matches!(indexed_block(database_url).await, Ok(Some((number, _))) if number >= head) {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::bail!("block {head} is not indexed: {:?}", indexed_block(database_url).await)
    }
}

/// 65 bytes r, s, v over typed data.
fn signature<T: SolStruct>(signer: &PrivateKeySigner, payload: &T, domain: &Eip712Domain) -> Result<Bytes> {
    Ok(signer.sign_typed_data_sync(payload, domain)?.as_bytes().into())
}

fn event<E: SolEvent>(receipt: &TransactionReceipt) -> Result<E> {
    let found = receipt.logs().iter().find_map(|log| E::decode_log(&log.inner).ok());
    found.map(|log| log.data).with_context(|| format!("no {} in transaction {}", E::SIGNATURE, receipt.transaction_hash))
}
