//! The places where the example programs keep their data.

use std::path::PathBuf;

/// Returns the folder of the embedded engine's data. The sample has its own, so that it never mixes with real counts.
pub fn data_folder(sample: bool) -> Result<PathBuf, &'static str> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let home = home.ok_or("neither XDG_DATA_HOME nor HOME is set; pass --data-dir")?;
    Ok(home.join("enhanced-token-bridge").join(if sample { "sample" } else { "data" }))
}
