//! The names under which a price list may have a model.

use std::borrow::Cow;

use super::{ModelProvider, ModelRoute};
use crate::ModelName;

/// Returns the names under which a price list may have a model; the first that it has counts.
///
/// The first is the name itself. The second is the canonical name of a Claude in another form of Anthropic's own API
/// (with a date, with the width of the context). Names of other services have only themselves, because their prices
/// may differ.
///
/// ```
/// use bridge_core::price_names;
///
/// let names = |model| price_names(model).collect::<Vec<_>>();
/// assert_eq!(names("claude-sonnet-4-20250514[1m]"), ["claude-sonnet-4-20250514[1m]", "claude-sonnet-4"]);
/// assert_eq!(names("anthropic.claude-sonnet-4-v1"), ["anthropic.claude-sonnet-4-v1"]);
/// ```
pub fn price_names(model: &str) -> impl Iterator<Item = Cow<'_, str>> {
    // Lazy, because most price lists have most names as they are.
    let canonical = std::iter::once_with(move || own_api_name(model)).flatten();
    std::iter::once(Cow::Borrowed(model)).chain(canonical.map(|name| Cow::Owned(name.as_str().to_owned())))
}

fn own_api_name(model: &str) -> Option<ModelName> {
    let model = ModelName::new(model).ok()?.canonical();
    let is_own = model.provider == ModelProvider::Anthropic && model.route == ModelRoute::Direct;
    is_own.then_some(model.name)
}
