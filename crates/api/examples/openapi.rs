//! Writes `openapi.json`, the description of the API that the server hands out.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    fs::write(path, clawpay_api::openapi()?)?;
    Ok(())
}
