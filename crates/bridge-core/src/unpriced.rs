//! Reasons why a response has no price.

use serde::{Deserialize, Serialize};

/// The reason why a response has no price. Of several the first of this list is stated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// The record names no model.
    #[error("the record names no model")]
    NoModel,
    /// The catalog does not have the model.
    #[error("the model is not in the price catalog")]
    UnknownModel,
    /// The catalog has the model, but not at the response's time.
    #[error("the price catalog has no price of the model at that time")]
    Date,
    /// The API reported a speed that is unknown or without a price.
    #[error("the speed has no price")]
    Speed,
    /// The API reported a service tier that is unknown or without a price.
    #[error("the service tier has no price")]
    ServiceTier,
    /// The API reported a geography without a price.
    #[error("the geography has no price")]
    Geography,
    /// The price depends on the size of each request, and only the sum of several is known.
    #[error("the price depends on the size of each request, which is unknown")]
    RequestSize,
    /// Tokens of a kind that has no price in this mode.
    #[error("a kind of tokens has no price")]
    TokenKind,
    /// Web searches without a price.
    #[error("web searches have no price")]
    WebSearch,
    /// The amount does not fit 128 bits.
    #[error("the amount does not fit 128 bits")]
    TooLarge,
}

impl Unpriced {
    /// All reasons, the first that applies first.
    pub const ALL: [Self; 10] = [
        Self::NoModel,
        Self::UnknownModel,
        Self::Date,
        Self::Speed,
        Self::ServiceTier,
        Self::Geography,
        Self::RequestSize,
        Self::TokenKind,
        Self::WebSearch,
        Self::TooLarge,
    ];

    /// Returns the name in the database and in labels of metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoModel => "no_model",
            Self::UnknownModel => "unknown_model",
            Self::Date => "date",
            Self::Speed => "speed",
            Self::ServiceTier => "service_tier",
            Self::Geography => "geography",
            Self::RequestSize => "request_size",
            Self::TokenKind => "token_kind",
            Self::WebSearch => "web_search",
            Self::TooLarge => "too_large",
        }
    }

    /// Returns the reason of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}
