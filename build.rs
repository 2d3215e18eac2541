//! Compresses the files that are part of the program, once: they never change while it runs.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

const FOLDER: &str = "openapi/swagger-ui";
const FILES: [&str; 5] = ["index.html", "init.js", "orgkeys.css", "swagger-ui.css", "swagger-ui-bundle.js"];

fn main() -> std::io::Result<()> {
    let out = std::env::var("OUT_DIR").map_err(std::io::Error::other)?;
    for name in FILES {
        let path = Path::new(FOLDER).join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(path)?)?;
        fs::write(Path::new(&out).join(format!("{name}.gz")), encoder.finish()?)?;
    }
    Ok(())
}
