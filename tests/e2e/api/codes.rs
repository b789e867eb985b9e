//! Every problem that the API's description promises is asked for by a test.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

/// `status code` of every problem in the document.
fn documented() -> Result<BTreeSet<(String, String)>> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let mut kinds = BTreeSet::new();
    let codes = |description: &Value| -> Result<Vec<String>> {
        Ok(description.as_str().context("a description")?.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    };
    for (name, response) in document["components"]["responses"].as_object().context("responses")? {
        if let Some(status) = name.strip_prefix("Problem") {
            kinds.extend(codes(&response["description"])?.into_iter().map(|code| (status.to_owned(), code)));
        }
    }
    let paths = document["paths"].as_object().context("paths")?.values();
    for operation in paths.flat_map(|path| path.as_object().into_iter().flat_map(serde_json::Map::values)) {
        for (status, response) in operation["responses"].as_object().context("responses")? {
            let is_problem = response["$ref"].as_str().is_some_and(|reference| reference.ends_with(&format!("/Problem{status}")));
            if is_problem && !response["description"].is_null() {
                kinds.extend(codes(&response["description"])?.into_iter().map(|code| (status.clone(), code)));
            }
        }
    }
    Ok(kinds)
}

/// All Rust below a directory.
fn sources(directory: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path)?);
        }
    }
    Ok(())
}

#[test]
fn every_documented_problem_is_produced_by_a_test() -> Result<()> {
    let mut tests = String::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    sources(&root.join("e2e/api"), &mut tests)?;
    // A fault of the server itself is made by a test beside the layer that answers for it.
    tests.push_str(fs::read_to_string(root.join("../crates/api/src/http/layers.rs"))?.split_once("mod tests").context("tests")?.1);
    let kinds = documented()?;
    assert!(kinds.len() > 50, "{kinds:?}");
    let statuses = |code: &str| kinds.iter().filter(|(_, other)| other == code).count();
    let is_asked_for = |status: &str, code: &str| {
        // A code that comes with several statuses is asked for with each.
        let words = if statuses(code) > 1 { format!("{status}, \"{code}\"") } else { format!("\"{code}\"") };
        tests.contains(&words)
    };
    let missing: Vec<_> = kinds.iter().filter(|(status, code)| !is_asked_for(status, code)).collect();
    assert!(missing.is_empty(), "no test asks for {missing:?}");
    Ok(())
}
