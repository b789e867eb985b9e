//! The API's description, as it is served.

use anyhow::Result;
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
    assert!(get("/docs/swagger-initializer.js").await?.text().await?.contains("/openapi.json"));
    served.get("/docs/nothing.js").await?.require(404, "unknown_path")?;

    let guide = get("/llms.txt").await?;
    assert!(guide.headers()["content-type"].to_str()?.starts_with("text/plain"));
    let guide = guide.text().await?;
    // What the guide tells to do is in the description.
    for verb in ["claim", "submit", "finalize"] {
        assert!(guide.contains(verb) && document["paths"][format!("/api/runs/{{id}}/{verb}")].is_object(), "{verb}");
    }
    Ok(())
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
