//! Compresses the files that are part of the program, once: they never change while it runs.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The files, by the folder in which they are and the folder in `OUT_DIR` in which their compressed forms will be.
const FOLDERS: [(&str, &str, &[&str]); 3] = [
    ("openapi", "openapi", &["orgkeys.json"]),
    ("openapi/swagger-ui", "docs", &["index.html", "init.js", "orgkeys.css", "swagger-ui.css", "swagger-ui-bundle.js"]),
    ("console/dist", "console", &["index.html", "app.js", "app.css"]),
];

fn main() -> std::io::Result<()> {
    let out = std::env::var("OUT_DIR").map_err(std::io::Error::other)?;
    for (from, to, names) in FOLDERS {
        let to = Path::new(&out).join(to);
        fs::create_dir_all(&to)?;
        for name in names {
            let path = Path::new(from).join(name);
            println!("cargo:rerun-if-changed={}", path.display());
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&fs::read(path)?)?;
            fs::write(to.join(format!("{name}.gz")), encoder.finish()?)?;
        }
    }
    Ok(())
}
