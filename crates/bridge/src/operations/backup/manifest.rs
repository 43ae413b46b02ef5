//! The manifest of a backup.

use bridge_core::{Timestamp, saturating_sum};
use bridge_storage::{BackupFormat, ExportSummary};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

/// The name of the manifest's file.
pub(super) const MANIFEST: &str = "manifest.json";
/// The newest layout of a backup's folder that this version knows.
const LAYOUT: u32 = 1;

/// The content of a backup, with the checksums of its files.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    layout: u32,
    /// The bridge that wrote it.
    bridge: String,
    /// The schema of its rows.
    pub(super) schema: u32,
    created: Timestamp,
    pub(super) format: BackupFormat,
    /// The name in the file is that of its first layout.
    #[serde(rename = "figures")]
    pub(super) summary: ExportSummary,
    pub(super) parts: Vec<PartEntry>,
}

/// A file of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartEntry {
    pub(super) file: String,
    pub(super) table: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// 128 bits of XXH3, as hexadecimal digits.
    pub(super) xxh3: String,
}

/// A manifest in its file, which is trusted only if its own checksum matches.
#[derive(Serialize, Deserialize)]
struct Sealed {
    xxh3: String,
    manifest: Box<RawValue>,
}

#[derive(Deserialize)]
struct Layout {
    layout: u32,
}

impl Manifest {
    pub(super) fn new(schema: u32, created: Timestamp, format: BackupFormat) -> Self {
        let (summary, parts) = (ExportSummary::default(), Vec::new());
        let bridge = env!("CARGO_PKG_VERSION").to_owned();
        Self { layout: LAYOUT, bridge, schema, created, format, summary, parts }
    }

    pub(super) fn bytes(&self) -> u64 {
        saturating_sum(self.parts.iter().map(|part| part.bytes))
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let manifest = RawValue::from_string(serde_json::to_string_pretty(self)?)?;
        let sealed = Sealed { xxh3: checksum(manifest.get().as_bytes()), manifest };
        serde_json::to_vec_pretty(&sealed)
    }

    /// Reads a manifest for a store of this schema. The error is a clause about the backup.
    pub(super) fn from_json(json: &[u8], schema: u32) -> Result<Self, String> {
        let damaged = |why: serde_json::Error| format!("the manifest is damaged: {why}");
        let sealed: Sealed = serde_json::from_slice(json).map_err(damaged)?;
        let text = sealed.manifest.get();
        if checksum(text.as_bytes()) != sealed.xxh3 {
            return Err("the manifest is damaged: its checksum does not match".to_owned());
        }
        let Layout { layout } = serde_json::from_str(text).map_err(damaged)?;
        if layout > LAYOUT {
            return Err(format!(
                "it has layout {layout}, and this version of the bridge reads up to {LAYOUT}"
            ));
        }
        let manifest: Self = serde_json::from_str(text).map_err(damaged)?;
        if manifest.schema > schema {
            let newer = manifest.schema;
            return Err(format!(
                "it is of schema {newer}, and this version of the bridge reads up to {schema}"
            ));
        }
        manifest.check_rows()?;
        Ok(manifest)
    }

    /// Checks that its files are in its folder, and hold as many rows of each table as it states.
    fn check_rows(&self) -> Result<(), String> {
        let is_name = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if let Some(part) = self.parts.iter().find(|part| !is_name(&part.file)) {
            return Err(format!("{:?} is not a file of a backup", part.file));
        }
        let named = |table: &str| self.summary.tables.iter().any(|known| known.table == table);
        if let Some(part) = self.parts.iter().find(|part| !named(&part.table)) {
            return Err(format!("{} belongs to none of its tables", part.file));
        }
        for table in &self.summary.tables {
            let parts = self.parts.iter().filter(|part| part.table == table.table);
            let rows = saturating_sum(parts.map(|part| part.rows));
            if rows != table.rows {
                return Err(format!("its files hold {rows} of {} rows of {}", table.rows, table.table));
            }
        }
        Ok(())
    }
}

/// Returns the checksum of bytes in the form of the manifest.
pub(super) fn checksum(bytes: &[u8]) -> String {
    shown(xxh3_128(bytes))
}

pub(super) fn shown(checksum: u128) -> String {
    format!("{checksum:032x}")
}
