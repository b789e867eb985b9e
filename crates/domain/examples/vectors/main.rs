//! Writes `tests/vectors/*.json`: what the domain answers to every kind of input, for forge to ask the contracts the same.
//!
//! `cargo run -p clawpay-domain --example vectors` rewrites the files in place; the same rules give the same bytes.

use std::{fs, path::Path};

mod columns;
mod creates;
mod ladder;
#[path = "../../tests/law/market.rs"]
mod market;
mod money;
mod runs;
mod stakes;
mod world;

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    fs::create_dir_all(&directory)?;
    for (name, vectors) in [
        ("world", world::vectors()),
        ("runs", runs::vectors()),
        ("creates", creates::vectors()),
        ("stakes", stakes::vectors()),
        ("ladder", ladder::vectors()),
        ("fees", money::fees()),
        ("terms", money::terms()),
    ] {
        fs::write(directory.join(name).with_extension("json"), vectors.to_json())?;
    }
    Ok(())
}
