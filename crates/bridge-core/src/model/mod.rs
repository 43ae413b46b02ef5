//! One name for a model, whichever way its requests took.

mod account;
mod affix;
mod price_names;
mod provider;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::affix::{Form, undated};
pub use self::price_names::price_names;
pub use self::provider::ModelProvider;
use crate::ModelName;

/// A model apart from the way to it: the name to group by, who makes it, and who serves it.
///
/// The stored name stays as the API wrote it. This is a pure function of it, and the columns `canonical_model`,
/// `provider` and `model_route` of the database are the same function in SQL.
///
/// The name has no date: gateways and aliases do not state one, and dated snapshots of a model rarely differ in price.
/// Where they do, [`dated_name`](Self::dated_name) has it.
///
/// A name from which no provider follows stays as it is.
///
/// ```
/// use bridge_core::{ModelName, ModelProvider, ModelRoute};
///
/// let stored = ModelName::new("us.anthropic.claude-sonnet-4-20250514-v1:0")?;
/// let model = stored.canonical();
/// assert_eq!(model.name.as_str(), "claude-sonnet-4");
/// assert_eq!(model.dated_name().as_str(), "claude-sonnet-4-20250514");
/// assert_eq!((model.provider, model.route), (ModelProvider::Anthropic, ModelRoute::Bedrock));
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CanonicalModel {
    /// The name to group by, for example `claude-sonnet-4`.
    pub name: ModelName,
    /// The date of the snapshot as it was written, for example `20250514` or `2024-08-06`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The maker of the model.
    pub provider: ModelProvider,
    /// The service that the name belongs to.
    pub route: ModelRoute,
}

impl CanonicalModel {
    /// Returns the name with the date of the snapshot, if there is one: `claude-sonnet-4-20250514`.
    #[must_use]
    pub fn dated_name(&self) -> ModelName {
        let dated = self.snapshot.as_ref().map(|date| format!("{}-{date}", self.name));
        dated.and_then(|name| ModelName::new(name).ok()).unwrap_or_else(|| self.name.clone())
    }
}

/// The service whose form of model names a name has.
///
/// A gateway that keeps the names of a service cannot be told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelRoute {
    /// The provider's own API, or one that takes the same names.
    Direct,
    /// Amazon Bedrock: `us.anthropic.claude-…-v1:0`, ARNs.
    Bedrock,
    /// Google Vertex AI: `claude-…@20250514`.
    Vertex,
    /// Azure AI Foundry and Azure OpenAI, where a gateway's prefix says so.
    Foundry,
    /// OpenRouter, or a gateway with the same form: `anthropic/claude-…`.
    OpenRouter,
    /// The name does not tell.
    Unknown,
}

impl ModelRoute {
    /// Returns the stored and displayed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
            Self::Foundry => "foundry",
            Self::OpenRouter => "openrouter",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ModelRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl ModelName {
    /// Returns the model's canonical name, its provider and its route.
    #[must_use]
    pub fn canonical(&self) -> CanonicalModel {
        let lower = self.as_str().to_ascii_lowercase();
        let form = Form::parse(&lower);
        let provider = ModelProvider::infer(&lower[form.base.clone()], form.vendor);
        let route = match form.route {
            ModelRoute::Unknown if provider != ModelProvider::Unknown => ModelRoute::Direct,
            route => route,
        };
        let unknown = CanonicalModel { name: self.clone(), snapshot: None, provider, route };
        if provider == ModelProvider::Unknown {
            return unknown;
        }
        let (name, date) = undated(&self.as_str()[form.base]);
        let snapshot = form.date.or(date).map(str::to_owned);
        ModelName::new(name).map_or(unknown, |name| CanonicalModel { name, snapshot, provider, route })
    }

    /// Returns the name without the number of an AWS account, which ARNs of Bedrock contain:
    /// `arn:aws:bedrock:us-east-1::inference-profile/…`. The account number is private, so no row should be
    /// stored with it.
    ///
    /// ```
    /// use bridge_core::ModelName;
    ///
    /// let name = ModelName::new("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2")?;
    /// assert_eq!(name.without_account().as_str(), "arn:aws:bedrock:us-east-1::application-inference-profile/a1b2");
    /// # Ok::<(), bridge_core::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn without_account(&self) -> Self {
        match account::removed(self.as_str()) {
            Some(name) => Self::new(name).unwrap_or_else(|_| self.clone()),
            None => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(name: &str) -> (String, &'static str, &'static str) {
        let model = ModelName::new(name).unwrap().canonical();
        (model.name.to_string(), model.provider.name(), model.route.name())
    }

    #[test]
    fn every_way_to_a_model_has_its_name() {
        for (name, route) in [
            ("claude-sonnet-4-20250514", "direct"),
            ("claude-sonnet-4[1m]", "direct"),
            ("claude-4-sonnet-20250514", "direct"),
            ("claude-sonnet-4-latest", "direct"),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", "bedrock"),
            ("global.anthropic.claude-sonnet-4-20250514-v1:0[1m]", "bedrock"),
            ("us-gov.anthropic.claude-sonnet-4-v1", "bedrock"),
            ("anthropic.claude-sonnet-4-20250514-v1:0:200k", "bedrock"),
            ("bedrock/converse/apac.anthropic.claude-sonnet-4-20250514-v1:0", "bedrock"),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0",
                "bedrock",
            ),
            (
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-20250514-v1:0",
                "bedrock",
            ),
            ("claude-sonnet-4@20250514", "vertex"),
            ("claude-sonnet-4@default", "vertex"),
            ("vertex_ai/claude-sonnet-4", "vertex"),
            ("projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4@20250514", "vertex"),
            ("azure_ai/claude-sonnet-4", "foundry"),
            ("anthropic/claude-sonnet-4", "openrouter"),
            ("openrouter/anthropic/claude-sonnet-4:thinking", "openrouter"),
        ] {
            assert_eq!(canonical(name), ("claude-sonnet-4".to_owned(), "anthropic", route), "{name}");
        }
    }

    #[test]
    fn versions_are_written_one_way() {
        for (name, expected) in [
            ("anthropic/claude-3.7-sonnet", "claude-3-7-sonnet"),
            ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
            ("claude-opus-4.6", "claude-opus-4-6"),
            ("claude-4.5-haiku", "claude-haiku-4-5"),
            ("claude-opus-4-8", "claude-opus-4-8"),
        ] {
            assert_eq!(canonical(name).0, expected, "{name}");
        }
    }

    #[test]
    fn other_providers_are_known_by_name_or_vendor() {
        for (name, expected) in [
            ("gpt-5.1-codex", ("gpt-5.1-codex", "openai", "direct")),
            ("azure/gpt-4o-2024-08-06", ("gpt-4o", "openai", "foundry")),
            ("o3-2025-04-16", ("o3", "openai", "direct")),
            ("openai.gpt-oss-120b-1:0", ("gpt-oss-120b", "openai", "bedrock")),
            ("us.amazon.nova-pro-v1:0", ("nova-pro", "amazon", "bedrock")),
            ("gemini-2.5-pro", ("gemini-2.5-pro", "google", "direct")),
            ("z-ai/glm-4.6:free", ("glm-4.6", "zhipu", "openrouter")),
            ("GLM-4.6[1M]", ("GLM-4.6", "zhipu", "direct")),
            ("qwen3-coder", ("qwen3-coder", "alibaba", "direct")),
            ("deepseek-chat-v3", ("deepseek-chat-v3", "deepseek", "direct")),
        ] {
            assert_eq!(canonical(name), (expected.0.to_owned(), expected.1, expected.2), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_stays_as_it_is() {
        for (name, route) in [
            ("<synthetic>", "unknown"),
            ("My-Deployment[1m]", "unknown"),
            ("corp/claude-sonnet-4", "unknown"),
            ("oracle-20250101", "unknown"),
            ("anthropic.", "unknown"),
            ("bedrock/", "bedrock"),
            ("arn:aws:bedrock:us-east-1::application-inference-profile/a1B2", "bedrock"),
        ] {
            let model = ModelName::new(name).unwrap().canonical();
            assert_eq!((model.name.as_str(), model.route.name()), (name, route));
            assert_eq!(model.snapshot, None);
        }
    }

    #[test]
    fn the_snapshot_is_kept_as_it_is_written() {
        for (name, dated) in [
            ("claude-sonnet-4@20250514", "claude-sonnet-4-20250514"),
            ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
            ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
            ("claude-opus-4-6", "claude-opus-4-6"),
        ] {
            assert_eq!(ModelName::new(name).unwrap().canonical().dated_name().as_str(), dated);
        }
    }

    #[test]
    fn json_has_the_displayed_names() {
        let model = ModelName::new("claude-x@20250514").unwrap().canonical();
        let json = serde_json::to_string(&model).unwrap();
        assert_eq!(
            json,
            r#"{"name":"claude-x","snapshot":"20250514","provider":"anthropic","route":"vertex"}"#
        );
        assert_eq!(serde_json::from_str::<CanonicalModel>(&json).unwrap(), model);
    }
}
