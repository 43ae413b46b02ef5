//! Random secrets from the operating system.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::EngineError;

/// Returns 48 random hexadecimal digits.
pub(crate) fn random_hex() -> Result<String, EngineError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 24];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(EngineError::io("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
