//! What people see at the end.

use clawpay_bindings::Contracts;
use clawpay_cli::output;
use clawpay_domain::Usdc;

use crate::{
    books::Books,
    cast::Cast,
    movements::Movement,
    table::{
        Side::{Left, Right},
        table, usdc,
    },
};

/// Who says so, and what they say.
pub(crate) struct Accounts<'a> {
    pub expected: &'a Books,
    pub chain: &'a Books,
    pub index: &'a Books,
    pub api: &'a Books,
}

/// Runs, agents and movements as the chain has them, and everybody's balances as each source has them.
pub(crate) fn print(accounts: &Accounts<'_>, movements: &[Movement], cast: &Cast, contracts: &Contracts) {
    let name = |account| cast.name(account, contracts);
    let chain = accounts.chain;

    let columns =
        [("run", Right), ("state", Left), ("poster", Left), ("agent", Right), ("paid to", Left), ("reward", Right), ("fee", Right)];
    let rows: Vec<_> = chain
        .runs
        .iter()
        .map(|run| {
            [
                run.id.to_string(),
                run.state.to_string(),
                name(run.poster),
                run.agent.map_or_else(nothing, |agent| agent.to_string()),
                run.wallet.map_or_else(nothing, name),
                usdc(run.reward),
                usdc(run.fee),
            ]
        })
        .collect();
    output::result(table("Runs", columns, &rows));

    let columns = [
        ("agent", Right),
        ("owner", Left),
        ("status", Left),
        ("stake", Right),
        ("owed", Right),
        ("slashes", Right),
        ("completions", Right),
    ];
    let rows: Vec<_> = chain
        .agents
        .iter()
        .map(|agent| {
            [
                agent.id.to_string(),
                name(agent.owner),
                agent.status.to_string(),
                usdc(agent.stake),
                usdc(agent.owed),
                agent.slashes.to_string(),
                agent.completions.to_string(),
            ]
        })
        .collect();
    output::result(table("Agents", columns, &rows));

    let columns = [("what for", Left), ("from", Left), ("to", Left), ("USDC", Right)];
    let rows: Vec<_> = movements
        .iter()
        .map(|movement| [movement.what_for.to_owned(), movement.from.clone(), movement.to.clone(), usdc(movement.amount)])
        .collect();
    output::result(table("USDC movements", columns, &rows));

    let columns = [("holder", Left), ("by hand", Right), ("chain", Right), ("index", Right), ("API", Right)];
    let sources = [accounts.expected, accounts.chain, accounts.index, accounts.api].map(|books| books.balances.by_name());
    let rows: Vec<_> = sources[0]
        .iter()
        .enumerate()
        .map(|(holder, (name, _))| {
            let [expected, chain, index, api] = sources.map(|balances| balance(balances[holder].1));
            [(*name).to_owned(), expected, chain, index, api]
        })
        .collect();
    output::result(table("USDC balances", columns, &rows));
    output::result("\nThe index does not follow the token: the last two columns are what its runs and agents leave everybody with.");
}

fn balance(balance: Option<Usdc>) -> String {
    balance.map_or_else(nothing, usdc)
}

fn nothing() -> String {
    "-".to_owned()
}
