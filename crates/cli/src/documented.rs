//! README.md, CONTRIBUTING.md and `.env.example` name every setting, command and endpoint that there is, and no other.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::{args::Arguments, config::Config};

/// Names that tests set to see them refused.
const MEANT_TO_BE_WRONG: [&str; 2] = ["CLAWPAY_PORT", "CLAWPAY_TYPO"];

fn read(path: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// What the first column of a document's tables has in code, and fulfils a condition.
fn listed(document: &str, is_meant: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let cells = document.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let spans = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    spans.filter(|span| is_meant(span)).map(str::to_owned).collect()
}

fn is_setting(name: &str) -> bool {
    name.starts_with("CLAWPAY_") || ["DATABASE_URL", "DATABASE_READ_URL", "RPC_URL"].contains(&name)
}

fn same(what: &str, there_are: &BTreeSet<String>, documented: &BTreeSet<String>) {
    let missing: Vec<_> = there_are.difference(documented).collect();
    let invented: Vec<_> = documented.difference(there_are).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{what}: not documented {missing:?}; documented, but not there {invented:?}");
}

/// The settings that the program reads.
fn settings() -> BTreeSet<String> {
    let source = include_str!("config.rs");
    let taken = source.split("take(\"").skip(1).filter_map(|rest| rest.split('"').next());
    taken.map(str::to_owned).collect()
}

#[test]
fn every_setting_is_in_the_readme_and_in_the_example_file() -> Result<()> {
    let settings = settings();
    assert!(settings.len() > 15, "{settings:?}");
    same("README.md's settings", &settings, &listed(&read("README.md")?, is_setting));
    let example = read(".env.example")?;
    let assigned = example.lines().filter_map(|line| Some(line.strip_prefix("# ")?.split_once('=')?.0.to_owned()));
    same(".env.example's settings", &settings, &assigned.filter(|name| is_setting(name)).collect());
    // A name that the source only seems to read would be refused.
    for name in settings {
        let refusal = Config::from_variables([(name.clone(), "?".to_owned())]).err().map(|error| error.to_string());
        assert!(!refusal.is_some_and(|refusal| refusal.contains("is not a setting")), "{name}");
    }
    Ok(())
}

#[test]
fn every_variable_that_tests_and_tools_read_is_in_the_contributors_guide() -> Result<()> {
    let mut texts = Vec::new();
    for directory in ["tests", "tools", "crates/domain/tests", "indexer/src"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(directory), &mut texts)?;
    }
    let is_of_tests = |name: &str| {
        (name.starts_with("CLAWPAY_") || name.starts_with("INDEXER_")) && !settings().contains(name) && !MEANT_TO_BE_WRONG.contains(&name)
    };
    let quoted =
        texts.iter().flat_map(|text| text.split('"').skip(1)).chain(texts.iter().flat_map(|text| text.split("process.env.").skip(1)));
    let names = quoted.map(|rest| rest.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).next().unwrap_or_default());
    let read_by_tests: BTreeSet<String> =
        names.filter(|name| name.len() > "CLAWPAY_".len() && is_of_tests(name)).map(str::to_owned).collect();
    assert!(read_by_tests.len() > 4, "{read_by_tests:?}");
    same("CONTRIBUTING.md's variables", &read_by_tests, &listed(&read("CONTRIBUTING.md")?, is_of_tests));
    Ok(())
}

/// The text files below a directory, without what npm, Python and cargo put there.
fn collect(directory: &Path, texts: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["node_modules", "target", "__pycache__", "vectors"].contains(&name.as_str()) && !name.starts_with('.') {
                collect(&path, texts)?;
            }
        } else {
            texts.extend(fs::read_to_string(&path));
        }
    }
    Ok(())
}

#[test]
fn every_command_and_target_is_in_the_readme() -> Result<()> {
    let readme = read("README.md")?;
    let arguments = Arguments::command();
    let commands = arguments.get_subcommands().map(|command| format!("clawpay {}", command.get_name())).collect();
    same("README.md's commands", &commands, &listed(&readme, |span| span.starts_with("clawpay ")));
    // Those that `make` alone lists.
    let makefile = read("Makefile")?;
    let targets = makefile.lines().filter(|line| line.contains("## ")).filter_map(|line| line.split_once(':'));
    let targets =
        targets.map(|(name, _)| name).filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
    let targets: BTreeSet<String> = targets.map(|target| format!("make {target}")).collect();
    assert!(targets.len() > 10, "{targets:?}");
    same("README.md's targets", &targets, &listed(&readme, |span| span.starts_with("make ")));
    Ok(())
}

#[test]
fn every_endpoint_is_in_the_readme() -> Result<()> {
    let document: serde_json::Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let paths = document["paths"].as_object().context("paths")?;
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flat_map(|item| item.keys());
        methods.filter(|method| ["get", "post"].contains(&method.as_str())).map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let operations: BTreeSet<String> = operations.collect();
    assert!(operations.len() > 30, "{operations:?}");
    let is_endpoint = |span: &str| span.starts_with("GET ") || span.starts_with("POST ");
    same("README.md's endpoints", &operations, &listed(&read("README.md")?, is_endpoint));
    Ok(())
}
