//! Errors as the audit holds them.

use bridge_analysis::ProjectNames;
use bridge_core::{BridgeError, StorageKind};

/// Maximum length of an error's text.
const ERROR_CHARS_MAX: usize = 1000;

/// Returns the kind and the text of an error, without paths that must not be stored.
pub(crate) fn redacted(error: &BridgeError, names: &ProjectNames) -> (String, String) {
    let (root, mut text) = (root_cause(error), text_of(error, names));
    if !std::ptr::eq(root, error) {
        text = format!("{text}: {}", text_of(root, names));
    }
    (root.kind().to_owned(), text.chars().take(ERROR_CHARS_MAX).collect())
}

fn text_of(error: &BridgeError, names: &ProjectNames) -> String {
    let (BridgeError::Source { path, .. } | BridgeError::OutOfOrder { path, .. }) = error else {
        return error.to_string();
    };
    let recorded = names.recorded_path(path);
    error.to_string().replace(&*path.to_string_lossy(), &recorded.to_string_lossy())
}

/// Returns the underlying error of a backfill's, else the error itself.
pub(crate) fn root_cause(error: &BridgeError) -> &BridgeError {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref::<BridgeError>()).map_or(error, root_cause)
}

/// Returns whether an operator must act before the store accepts the audit.
pub(super) fn is_refusal(error: &BridgeError) -> bool {
    use StorageKind::{PermissionDenied, Schema, Unsupported};
    matches!(error, BridgeError::Storage { kind: PermissionDenied | Schema | Unsupported, .. })
}
