//! The API's description, as it is served.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use clawpay_cli::local::Toolbox;
use reqwest::{Client, redirect::Policy};
use serde_json::Value;

use super::served::Served;

#[tokio::test]
async fn the_description_is_served_in_three_ways_without_another_server() -> Result<()> {
    let served = Served::unindexed(clawpay_tests::Stack::with_database().await?, |_| ()).await?;
    let document = served.read("/openapi.json").await?;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/runs/{id}/claim"]["post"].is_object());

    let http = Client::builder().redirect(Policy::none()).build()?;
    let get = async |path: &str| http.execute(served.request(reqwest::Method::GET, path).build()?).await;
    let docs = get("/docs").await?;
    assert_eq!((docs.status().as_u16(), &docs.headers()["location"]), (308, &"/docs/".parse()?));
    let page = get("/docs/").await?;
    assert_eq!(page.status(), 200);
    let page = page.text().await?;
    assert!(!page.contains("//") || page.contains("<!--"), "{page}");
    for source in page.split("src=\"").chain(page.split("href=\"")).skip(1).filter_map(|rest| rest.split('"').next()) {
        if source.starts_with("./") {
            assert_eq!(get(&format!("/docs/{}", source.trim_start_matches("./"))).await?.status(), 200, "{source}");
        }
        assert!(!source.starts_with("http"), "{source}");
    }
    // The page shows the document, and before its operations how each wallet's library takes what is prepared.
    assert!(get("/docs/swagger-initializer.js").await?.text().await?.contains("\"openapi.json\""));
    let mut shown = served.read("/docs/openapi.json").await?;
    let readme = std::fs::read_to_string(Toolbox::find()?.root().join("README.md"))?;
    let introduction = shown["info"]["description"].take();
    let (plain, libraries) = introduction.as_str().context("a description")?.split_once("\n\n## ").context("nothing on libraries")?;
    assert!(readme.contains(&format!("\n## {libraries}\n## ")), "the README says something else: {libraries}");
    shown["info"]["description"] = plain.into();
    assert_eq!(shown, document);
    served.get("/docs/nothing.js").await?.require(404, "unknown_path")?;

    for (path, kind, most_bytes, fewest_calls) in [("/llms.txt", "text/plain", 16_000, 20), ("/skill.md", "text/markdown", 4_000, 14)] {
        let guide = get(path).await?;
        assert!(guide.headers()["content-type"].to_str()?.starts_with(kind));
        let guide = guide.text().await?;
        assert!(guide.len() < most_bytes, "{path} has {} bytes", guide.len());
        let calls = told_calls(&guide);
        assert!(calls.len() >= fewest_calls, "{path} tells {calls:?}");
        for (method, call) in &calls {
            assert!(describes(&document, method, call), "{path} tells {method} {call}, which is not there");
        }
        for body in guide.split('`').flat_map(|part| part.split(" | ")).filter(|part| part.trim().starts_with("{\"")) {
            let body = body.trim().trim_end_matches(['|', '\n']).trim();
            if let Ok(Value::Object(fields)) = serde_json::from_str(body) {
                assert!(fields.keys().all(|name| is_known_member(&document, name)), "{path} tells {body}");
            }
        }
    }
    Ok(())
}

/// The calls that a guide for language models tells to make: `POST /api/runs/7/claim`.
fn told_calls(guide: &str) -> BTreeSet<(String, String)> {
    let mut calls = BTreeSet::new();
    for method in ["GET", "POST"] {
        for rest in guide.split(&format!("{method} /")).skip(1) {
            let path = rest.split(|end: char| end.is_whitespace() || "?`,)|".contains(end)).next().unwrap_or_default();
            calls.insert((method.to_lowercase(), format!("/{path}")));
        }
    }
    calls
}

/// Whether the description has this call; a guide writes numbers and accounts where the description has parameters.
fn describes(document: &Value, method: &str, call: &str) -> bool {
    let is_parameter = |part: &str| part.starts_with('{') || part.starts_with("0x") || part.parse::<u64>().is_ok();
    let shape = |path: &str| -> Vec<String> {
        let path = path.trim_end_matches(['.', ':', ';']);
        path.split('/').map(|part| if is_parameter(part) { "{}".to_owned() } else { part.to_owned() }).collect()
    };
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.filter(|(path, _)| shape(path) == shape(call)).any(|(_, operations)| operations[method].is_object())
}

/// Whether a body of some operation has a member of this name.
fn is_known_member(document: &Value, name: &str) -> bool {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    // A run's content is the poster's own.
    ["title", "description", "acceptance", "tags"].contains(&name)
        || schemas.into_iter().any(|(_, schema)| !schema["properties"][name].is_null())
}

#[tokio::test]
async fn what_the_description_refers_to_is_in_it() -> Result<()> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    Ok(())
}

#[tokio::test]
async fn an_optional_member_of_a_request_is_left_out_and_never_null() -> Result<()> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let mut waiting: Vec<&Value> = Vec::new();
    for operation in operations(&document) {
        waiting.extend(operation["requestBody"]["content"].get("application/json").map(|content| &content["schema"]));
    }
    let (mut seen, mut optional) = (BTreeSet::new(), 0);
    while let Some(schema) = waiting.pop() {
        let schema = resolve(&document, schema);
        if !seen.insert(std::ptr::from_ref(schema)) {
            continue;
        }
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            waiting.push(member);
            waiting.extend(member["oneOf"].as_array().into_iter().flatten());
            if !required.contains(&Value::from(name.as_str())) {
                optional += 1;
                assert!(!member.to_string().contains("\"null\""), "{name} may be null: {member}");
            }
        }
    }
    assert!(optional > 40, "{optional}");
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["SetWallet"]["properties"]["newWallet"]["oneOf"][1]["type"], "null", "what has to be there may be null");
    Ok(())
}

/// The largest whole number that every reader of JSON can count to.
const LARGEST: u64 = (1 << 53) - 1;

#[tokio::test]
async fn what_the_description_declares_is_used_and_what_it_uses_is_declared() -> Result<()> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    assert_eq!(document["security"], Value::Array(Vec::new()), "no operation asks who the client is");
    let declared: BTreeSet<&str> = document["tags"].as_array().context("tags")?.iter().filter_map(|tag| tag["name"].as_str()).collect();
    let used = operations(&document).flat_map(|operation| operation["tags"].as_array().into_iter().flatten().filter_map(Value::as_str));
    assert_eq!(used.collect::<BTreeSet<_>>(), declared);
    let mut references = Vec::new();
    collect(&document, &mut references);
    for kind in ["responses", "schemas", "headers", "parameters"] {
        for name in document["components"][kind].as_object().into_iter().flatten().map(|(name, _)| name) {
            let reference = format!("#/components/{kind}/{name}");
            assert!(references.contains(&reference), "nothing refers to {reference}");
        }
    }
    visit(&document, "", &mut |part, place| {
        let maximum = part["maximum"].as_u64().unwrap_or_default();
        assert!(maximum <= LARGEST, "{place} goes up to {maximum}");
    });
    Ok(())
}

/// What generated clients, and the models that read it, can take.
const MOST_BYTES: usize = 200_000;

#[tokio::test]
async fn the_description_is_small() -> Result<()> {
    let size = clawpay_api::openapi()?.len();
    assert!(size < MOST_BYTES, "{size} bytes");
    Ok(())
}

#[tokio::test]
async fn alternatives_are_told_apart_by_a_constant() -> Result<()> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let mut unions = 0;
    let mut faults = Vec::new();
    visit(&document, "", &mut |part, place| {
        if part.get("allOf").is_some() || part.get("anyOf").is_some() {
            faults.push(format!("{place} is made from others"));
        }
        for (name, member) in part["properties"].as_object().into_iter().flatten() {
            if member["type"] == "null" {
                faults.push(format!("{place}/{name} is null alone, for which generators have no type"));
            }
        }
        let Some(alternatives) = part["oneOf"].as_array() else { return };
        let alternatives: Vec<&Value> =
            alternatives.iter().filter(|one| one["type"] != "null").map(|one| resolve(&document, one)).collect();
        if alternatives.len() > 1 {
            unions += 1;
            let is_told_apart = constants(alternatives[0]).into_keys().any(|name| {
                let values: Option<Vec<_>> = alternatives.iter().map(|one| constants(one).remove(name)).collect();
                let values = values.unwrap_or_default();
                let different: BTreeSet<&str> = values.iter().flatten().copied().collect();
                !values.is_empty() && different.len() == values.iter().map(Vec::len).sum::<usize>()
            });
            if !is_told_apart {
                faults.push(format!("{place} has alternatives with no constants of their own"));
            }
        }
    });
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(unions > 0);
    Ok(())
}

/// The required members of an object that can only have certain values, and which.
fn constants(schema: &Value) -> BTreeMap<&str, Vec<&str>> {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let constant = |name| {
        let values = schema["properties"][name]["enum"].as_array()?;
        Some((name, values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?))
    };
    required.filter_map(constant).collect()
}

#[tokio::test]
async fn every_problem_has_one_of_a_closed_list_of_codes() -> Result<()> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().context("a closed list")?;
    assert!(codes.len() > 100, "{codes:?}");
    assert_eq!(document["components"]["schemas"]["Problem"]["properties"]["code"]["$ref"], "#/components/schemas/ProblemCode");
    let mut responses = 0;
    for operation in operations(&document) {
        for (status, response) in operation["responses"].as_object().context("responses")? {
            if status.parse::<u16>()? >= 400 {
                let shared = resolve(&document, response);
                let content = &shared["content"];
                assert_eq!(content["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem", "{operation:#}");
                // What many operations answer the response says, and an operation what is its own.
                let said = [&shared["description"], &response["description"]].map(|text| text.as_str().unwrap_or_default());
                let named: Vec<&str> = said.iter().flat_map(|text| text.split('`').skip(1).step_by(2)).collect();
                assert!(!named.is_empty() && named.iter().all(|code| codes.contains(&Value::from(*code))), "{named:?}");
                responses += 1;
            }
        }
    }
    assert!(responses > 200, "{responses}");
    Ok(())
}

/// What generators call the parts of an operation, after its own name.
const PARTS: [&str; 9] = ["Request", "Response", "Body", "Params", "Parameters", "Result", "Data", "Error", "Operation"];

/// Words that some language has for itself.
const TAKEN: [&str; 11] = ["Date", "Parameters", "Object", "String", "Number", "Boolean", "Error", "Record", "Map", "Type", "Response"];

#[tokio::test]
async fn no_schema_is_called_as_something_else_is() -> Result<()> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let schemas = document["components"]["schemas"].as_object().context("schemas")?;
    let operations: Vec<&str> = operations(&document).filter_map(|operation| operation["operationId"].as_str()).collect();
    assert!(operations.len() > 30, "{operations:?}");
    for operation in operations {
        let (first, rest) = operation.split_at(1);
        for part in PARTS {
            let name = format!("{}{rest}{part}", first.to_uppercase());
            assert!(!schemas.contains_key(&name), "{name} is what generators call a part of {operation}");
        }
    }
    for word in TAKEN {
        assert!(!schemas.contains_key(word), "{word}");
    }
    Ok(())
}

/// All operations of all paths.
fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().into_iter().flat_map(serde_json::Map::values);
    paths.flat_map(|path| path.as_object().into_iter().flat_map(serde_json::Map::values))
}

/// What a reference refers to, and anything else as it is.
fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let target = part["$ref"].as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    target.unwrap_or(part)
}

/// Shows each object of the document, and where it is.
fn visit(part: &Value, place: &str, look: &mut impl FnMut(&Value, &str)) {
    match part {
        Value::Object(members) => {
            look(part, place);
            // An example is no part of the description.
            let members = members.iter().filter(|(name, _)| !matches!(name.as_str(), "example" | "examples"));
            members.for_each(|(name, member)| visit(member, &format!("{place}/{name}"), look));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| visit(item, &format!("{place}/{at}"), look)),
        _ => {}
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
