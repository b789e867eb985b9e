//! The demo market: forty days of history in which every state of a run, and of an agent's standing, has come about.
//!
//! Accounts 0 to 6 act, each signing its own transactions; accounts 7 to 9 are only given USDC, for people who try things out.

use alloy::{
    eips::BlockNumberOrTag,
    providers::{Provider, ext::AnvilApi},
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::Contracts;
use clawpay_domain::{AgentId, NewRun, RunId, Seconds, Timestamp, Usdc};
use serde_json::json;
use url::Url;

use crate::{
    actor::Actor,
    wallet::{Wallet, dev_account},
};

/// How far behind the clock a new local chain begins; what the demo market's history takes.
pub(super) const HISTORY: Seconds = Seconds::days(40);

/// Accounts that are given test money: all but the operator.
const FUNDED: std::ops::RangeInclusive<u32> = 1..=9;
/// What each of them is given.
const GRANT: Usdc = Usdc::whole(10_000);

/// A piece of work, as its poster describes it.
struct Brief {
    title: &'static str,
    description: &'static str,
    acceptance: &'static str,
}

/// Gives the dev accounts their USDC.
pub(super) async fn fund(operator: &Actor) -> Result<()> {
    for index in FUNDED {
        operator.mint(dev_account(index)?.address(), GRANT).await?;
    }
    Ok(())
}

/// Plays the history. It takes a little less than [`HISTORY`] of chain time; `catch_up` makes up the rest.
pub(super) async fn play(rpc_url: &Url, contracts: Contracts) -> Result<()> {
    let account = async |index| -> Result<Actor> { Ok(Actor::new(Wallet::signing(rpc_url, dev_account(index)?).await?, contracts)) };
    let [harbor, fieldnote, meridian] = [account(1).await?, account(2).await?, account(3).await?];
    let [ledgerline, quillwright, tern] = [account(4).await?, account(5).await?, account(6).await?];
    let market = Market { clock: &harbor };

    // Day 0: three agents stake, one only registers.
    let ledger = ledgerline.register(&agent_card("Ledgerline", "Bookkeeping, reconciliation and data cleaning.")).await?;
    let quill = quillwright.register(&agent_card("Quillwright", "Long-form writing and translation.")).await?;
    let seabird = tern.register(&agent_card("Tern", "Code review and test writing in Rust and TypeScript.")).await?;
    tern.register(&agent_card("Tern, second watch", "Overnight monitoring. Not staked yet.")).await?;
    ledgerline.stake(ledger, Usdc::whole(100)).await?;
    quillwright.stake(quill, Usdc::whole(20)).await?;
    tern.stake(seabird, Usdc::whole(40)).await?;

    // Days 0 to 13: two approvals, one poster who stays silent, one agent who never delivers.
    let invoices = market.post(&harbor, 250, 3, &INVOICES).await?;
    let ports = market.post(&harbor, 120, 3, &PORTS).await?;
    deliver_later(&ledgerline, ledger, &[invoices, ports]).await?;
    market.pass(Seconds::days(2)).await?;
    ledgerline.submit(invoices, &deliverable("412 invoices reconciled; 9 exceptions listed with their documents.")).await?;
    ledgerline.submit(ports, &deliverable("Merged table of 1,284 ports with sources per row.")).await?;
    market.pass(Seconds::days(1)).await?;
    harbor.approve(invoices).await?;
    harbor.approve(ports).await?;
    let glossary = market.post(&fieldnote, 80, 3, &GLOSSARY).await?;
    let essay = market.post(&fieldnote, 300, 2, &ESSAY).await?;
    ledgerline.claim(glossary, ledger).await?;
    quillwright.claim(essay, quill).await?;
    quillwright.start(essay).await?;
    market.pass(Seconds::days(3)).await?;
    ledgerline.submit(glossary, &deliverable("Glossary of 640 terms, alphabetical, with usage notes.")).await?;
    market.pass(Seconds(7 * 86_400 + 3_600)).await?;
    ledgerline.finalize(glossary).await?;
    fieldnote.slash(essay).await?;

    // Days 13 to 20: two more approvals, which make Ledgerline's five, and work refused after its one revision.
    let parser = market.post(&meridian, 180, 1, &PARSER).await?;
    let survey = market.post(&harbor, 95, 3, &SURVEY).await?;
    let ledgers = market.post(&meridian, 410, 3, &LEDGERS).await?;
    tern.claim(parser, seabird).await?;
    deliver_later(&ledgerline, ledger, &[survey, ledgers]).await?;
    market.pass(Seconds::days(2)).await?;
    tern.submit(parser, &deliverable("Parser with a test per grammar rule.")).await?;
    ledgerline.submit(survey, &deliverable("Cleaned answers, code book and a list of the 31 rows dropped.")).await?;
    ledgerline.submit(ledgers, &deliverable("Three ledgers merged; opening balances agree to the cent.")).await?;
    market.pass(Seconds::days(1)).await?;
    meridian.request_revision(parser, "Nested quotes are still lost: see the third example of the brief.").await?;
    harbor.approve(survey).await?;
    meridian.approve(ledgers).await?;
    market.pass(Seconds::days(3)).await?;
    tern.submit(parser, &deliverable("Nested quotes handled for one level.")).await?;
    market.pass(Seconds::days(1)).await?;
    meridian.reject(parser).await?;

    // Days 20 to 34: Tern does better; a poster changes its mind.
    let fuzzing = market.post(&meridian, 220, 3, &FUZZING).await?;
    tern.claim(fuzzing, seabird).await?;
    let podcast = market.post(&fieldnote, 60, 3, &PODCAST).await?;
    market.pass(Seconds::days(4)).await?;
    tern.submit(fuzzing, &deliverable("Fuzz target, corpus of 90 inputs, two crashes with minimal reproductions.")).await?;
    fieldnote.cancel(podcast).await?;
    market.pass(Seconds::days(1)).await?;
    meridian.approve(fuzzing).await?;
    market.pass(Seconds::days(9)).await?;

    // Days 34 to 40: what is going on today.
    let digest = market.post(&fieldnote, 150, 3, &DIGEST).await?;
    let forecast = market.post(&harbor, 520, 2, &FORECAST).await?;
    deliver_later(&ledgerline, ledger, &[digest, forecast]).await?;
    market.pass(Seconds::days(3)).await?;
    ledgerline.submit(digest, &deliverable("First digest: 14 papers, two paragraphs each.")).await?;
    ledgerline.submit(forecast, &deliverable("Forecast with method, back-test and assumptions.")).await?;
    market.pass(Seconds::days(1)).await?;
    fieldnote.request_revision(digest, "Good choice of papers. Please link each one and say which are preprints.").await?;
    let migration = market.post(&meridian, 340, 3, &MIGRATION).await?;
    tern.claim(migration, seabird).await?;
    tern.start(migration).await?;
    market.pass(Seconds(86_400 - 7_200)).await?;
    let audit = market.post(&harbor, 275, 3, &AUDIT).await?;
    ledgerline.claim(audit, ledger).await?;
    market.post(&fieldnote, 90, 3, &CAPTIONS).await?;
    market.post(&meridian, 640, 3, &BENCHMARK).await?;
    market.post(&harbor, 45, 1, &HOLIDAYS).await?;
    fieldnote.draft(market.offer(130, 3, &INTERVIEW).await?).await?;
    Ok(())
}

/// Makes the chain's clock equal to the machine's, and mines a block there.
pub(super) async fn catch_up(provider: &impl Provider) -> Result<()> {
    let behind = -provider.anvil_increase_time(0).await?;
    let behind = u64::try_from(behind).context("the clock has gone back while the chain was made: start again")?;
    let left = provider.anvil_increase_time(behind).await?;
    ensure!(left == 0, "the local chain is still {left} s off the clock");
    provider.anvil_mine(Some(1), None).await?;
    Ok(())
}

/// Claims each of `runs` for `agent`.
async fn deliver_later(agent: &Actor, id: AgentId, runs: &[RunId]) -> Result<()> {
    for run in runs {
        agent.claim(*run, id).await?;
    }
    Ok(())
}

struct Market<'a> {
    /// Any account; only its connection is used.
    clock: &'a Actor,
}

impl Market<'_> {
    /// Lets chain time pass; the next transaction's block shows it.
    async fn pass(&self, by: Seconds) -> Result<()> {
        self.clock.wallet().provider().anvil_increase_time(by.0).await?;
        Ok(())
    }

    async fn offer(&self, reward: u64, max_revisions: u64, brief: &Brief) -> Result<NewRun> {
        let pending = self.clock.wallet().provider().get_block_by_number(BlockNumberOrTag::Pending).await?;
        let now = Timestamp(pending.context("the node knows no pending block")?.header.timestamp);
        Ok(NewRun {
            reward: Usdc::whole(reward),
            deadline: now + Seconds::days(30),
            max_revisions,
            content_uri: content(brief).into_bytes().into(),
        })
    }

    async fn post(&self, poster: &Actor, reward: u64, max_revisions: u64, brief: &Brief) -> Result<RunId> {
        poster.post(self.offer(reward, max_revisions, brief).await?).await
    }
}

fn content(brief: &Brief) -> String {
    data_uri(&json!({ "title": brief.title, "description": brief.description, "acceptance": brief.acceptance }))
}

fn deliverable(summary: &str) -> String {
    data_uri(&json!({ "summary": summary }))
}

fn agent_card(name: &str, description: &str) -> String {
    data_uri(&json!({ "type": "https://eips.ethereum.org/EIPS/eip-8004#registration-v1", "name": name, "description": description }))
}

/// `value` as a URI that needs no server.
fn data_uri(value: &serde_json::Value) -> String {
    let mut uri = String::from("data:application/json,");
    for byte in value.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

const INVOICES: Brief = Brief {
    title: "Reconcile a quarter of freight invoices",
    description: "412 invoices against the carrier's statement and our bookings. List every line that does not agree, with the document.",
    acceptance: "All invoices covered; each exception names its document and the difference.",
};
const PORTS: Brief = Brief {
    title: "One table from five lists of ports",
    description: "Merge five public lists of sea ports into one table: name, country, coordinates, UN/LOCODE, source.",
    acceptance: "No duplicates; every row names its source.",
};
const GLOSSARY: Brief = Brief {
    title: "Glossary for a field guide to lichens",
    description: "Collect every technical term in the attached manuscript and explain each in one sentence a walker understands.",
    acceptance: "Alphabetical; no term missing that the index has.",
};
const ESSAY: Brief = Brief {
    title: "Essay: how salt was taxed",
    description: "3,000 words on salt taxes and the people who avoided them, for a general reader, with sources.",
    acceptance: "At least ten sources, half of them primary.",
};
const PARSER: Brief = Brief {
    title: "Parser for a small query language",
    description: "A hand-written parser for the grammar in the brief, in TypeScript, without dependencies.",
    acceptance: "All examples parse, nested quotes included; errors name line and column.",
};
const SURVEY: Brief = Brief {
    title: "Clean a customer survey",
    description: "1,900 free-text answers: remove duplicates, code them by topic, and write the code book.",
    acceptance: "Two people using the code book agree on nine answers of ten.",
};
const LEDGERS: Brief = Brief {
    title: "Merge three ledgers after an acquisition",
    description: "Three charts of accounts into one, with a mapping, opening balances and a list of judgement calls.",
    acceptance: "Opening balances agree to the cent.",
};
const FUZZING: Brief = Brief {
    title: "Fuzz a Rust message decoder",
    description: "Write a fuzz target for the decoder in the repository and run it for at least ten hours.",
    acceptance: "Corpus attached; each crash reduced to a minimal input.",
};
const PODCAST: Brief = Brief {
    title: "Show notes for twelve podcast episodes",
    description: "Summary, chapters and links for each episode from its transcript.",
    acceptance: "Chapter marks within five seconds.",
};
const DIGEST: Brief = Brief {
    title: "Monthly digest of soil science papers",
    description: "Choose the month's papers on soil carbon that matter to growers and say in two paragraphs why.",
    acceptance: "Twelve to fifteen papers; each linked.",
};
const FORECAST: Brief = Brief {
    title: "Container rate forecast for two lanes",
    description: "Twelve months ahead for two lanes, with method, back-test and stated assumptions.",
    acceptance: "Back-test over at least three years; code included.",
};
const MIGRATION: Brief = Brief {
    title: "Move a service from callbacks to async",
    description: "About 4,000 lines of TypeScript. Behaviour stays the same; the test suite is the judge.",
    acceptance: "All tests pass; no callback API left in the public surface.",
};
const AUDIT: Brief = Brief {
    title: "Find double payments in two years of expenses",
    description: "18,000 expense lines. Find payments made twice, including split and rounded ones, and rank them by certainty.",
    acceptance: "Each finding names both lines and the reason.",
};
const CAPTIONS: Brief = Brief {
    title: "Captions for 200 herbarium photographs",
    description: "Species, place and date from the label in each photograph, and a one-sentence caption.",
    acceptance: "Unreadable labels are marked as such, not guessed.",
};
const BENCHMARK: Brief = Brief {
    title: "Reproduce a vector search benchmark",
    description: "Repeat the published benchmark on the stated hardware and explain every number that differs by more than a tenth.",
    acceptance: "Scripts run from a clean machine.",
};
const HOLIDAYS: Brief = Brief {
    title: "Bank holidays of 40 countries as a calendar file",
    description: "Next year's bank holidays for the listed countries in iCalendar format, with a source per country.",
    acceptance: "Validates; every country has an official source.",
};
const INTERVIEW: Brief = Brief {
    title: "Edit an interview with a lighthouse keeper",
    description: "Two hours of transcript into 1,500 words that keep her voice.",
    acceptance: "No quotation that is not in the transcript.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_fits_the_contract_and_reads_back() {
        for brief in [&INVOICES, &PORTS, &GLOSSARY, &ESSAY, &PARSER, &SURVEY, &LEDGERS, &FUZZING, &PODCAST, &DIGEST, &FORECAST, &MIGRATION]
            .into_iter()
            .chain([&AUDIT, &CAPTIONS, &BENCHMARK, &HOLIDAYS, &INTERVIEW])
        {
            let uri = content(brief);
            assert!((1..=2048).contains(&uri.len()), "{}: {} bytes", brief.title, uri.len());
            assert!(uri.starts_with("data:application/json,%7B%22title%22%3A%22"), "{uri}");
        }
    }

    #[test]
    fn bytes_that_a_uri_may_not_hold_are_escaped() {
        assert_eq!(data_uri(&json!("a b%ä")), "data:application/json,%22a%20b%25%C3%A4%22");
    }
}
