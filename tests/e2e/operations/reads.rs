//! A client that never stops reading, and for which nothing may go wrong.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use anyhow::{Context, Result, ensure};
use clawpay_tests::Api;
use serde_json::Value;
use tokio::task::JoinHandle;
use url::Url;

/// A client that lists runs again and again. It insists on an answer each time, and on a total that never goes down.
pub(super) struct Reads {
    enough: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    reading: JoinHandle<Result<()>>,
}

impl Reads {
    /// Starts to read; `paths` must have a total.
    pub(super) fn start(api: &Api, paths: &'static [&'static str]) -> Result<Self> {
        let urls = paths.iter().map(|path| Ok(api.url().join(path)?)).collect::<Result<Vec<Url>>>()?;
        let (enough, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stop, count) = (Arc::clone(&enough), Arc::clone(&answered));
        let reading = tokio::spawn(async move {
            let client = reqwest::Client::new();
            let mut most = vec![0; urls.len()];
            while !stop.load(Relaxed) {
                for (url, most) in urls.iter().zip(&mut most) {
                    let answer = client.get(url.clone()).send().await?;
                    let status = answer.status();
                    let body: Value = answer.json().await?;
                    ensure!(status.is_success(), "{url}: {status}: {body}");
                    let total = body["pagination"]["total"].as_u64().with_context(|| format!("{url}: {body}"))?;
                    ensure!(total >= *most, "{url}: {total} after {most}");
                    *most = total;
                    count.fetch_add(1, Relaxed);
                }
            }
            Ok(())
        });
        Ok(Self { enough, answered, reading })
    }

    /// Stops, and answers how often it read.
    pub(super) async fn stop(self) -> Result<u64> {
        self.enough.store(true, Relaxed);
        self.reading.await??;
        Ok(self.answered.load(Relaxed))
    }
}
