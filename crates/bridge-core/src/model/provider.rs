//! The makers of models.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines [`ModelProvider`] with the words by which each provider is known: those that names of its models begin with,
/// and those that services write before them.
macro_rules! providers {
    ($($(#[$doc:meta])* $provider:ident $name:literal: [$($family:literal),*], [$($vendor:literal),+];)+) => {
        /// The maker of a model.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        #[non_exhaustive]
        pub enum ModelProvider {
            $($(#[$doc])* $provider,)+
            /// The name does not tell.
            Unknown,
        }

        impl ModelProvider {
            /// Returns the stored and displayed name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$provider => $name,)+
                    Self::Unknown => "unknown",
                }
            }

            fn of_family(family: &str) -> Option<Self> {
                match family {
                    $($($family => Some(Self::$provider),)*)+
                    _ => None,
                }
            }

            fn of_vendor(vendor: &str) -> Self {
                match vendor {
                    $($($vendor)|+ => Self::$provider,)+
                    _ => Self::Unknown,
                }
            }
        }
    };
}

providers! {
    /// Alibaba: Qwen.
    Alibaba "alibaba": ["qwen", "qwq", "qvq"], ["qwen", "alibaba"];
    /// Amazon: Nova, Titan.
    Amazon "amazon": [], ["amazon"];
    /// Anthropic: Claude.
    Anthropic "anthropic": ["claude"], ["anthropic"];
    /// Cohere: Command.
    Cohere "cohere": [], ["cohere"];
    /// DeepSeek.
    DeepSeek "deepseek": ["deepseek"], ["deepseek", "deepseek-ai"];
    /// Google: Gemini, Gemma.
    Google "google": ["gemini", "gemma"], ["google"];
    /// Meta: Llama.
    Meta "meta": ["llama"], ["meta", "meta-llama"];
    /// MiniMax.
    MiniMax "minimax": ["minimax"], ["minimax"];
    /// Mistral.
    Mistral "mistral":
        ["mistral", "mixtral", "codestral", "devstral", "ministral", "magistral", "pixtral"], ["mistral", "mistralai"];
    /// Moonshot: Kimi.
    Moonshot "moonshot": ["kimi"], ["moonshot", "moonshotai"];
    /// OpenAI: GPT, o3 and the like, Codex.
    OpenAi "openai": ["gpt", "chatgpt", "codex"], ["openai"];
    /// xAI: Grok.
    Xai "xai": ["grok"], ["xai", "x-ai"];
    /// Zhipu (Z.ai): GLM.
    Zhipu "zhipu": ["glm"], ["zai", "z-ai", "zhipu"];
}

impl ModelProvider {
    /// Returns the provider of a model by the first letters of its name, or else by the vendor that a service states.
    pub(super) fn infer(base: &str, vendor: Option<&str>) -> Self {
        let letters = base.bytes().take_while(u8::is_ascii_lowercase).count();
        Self::of_family(&base[..letters])
            .or_else(|| is_o_series(base).then_some(Self::OpenAi))
            .unwrap_or_else(|| vendor.map_or(Self::Unknown, Self::of_vendor))
    }

    /// Returns whether services write this word before names of models.
    pub(super) fn is_vendor(word: &str) -> bool {
        Self::of_vendor(word) != Self::Unknown
    }
}

/// `o1`, `o3-mini` and the like.
fn is_o_series(base: &str) -> bool {
    matches!(base.as_bytes(), [b'o', b'1'..=b'9'] | [b'o', b'1'..=b'9', b'-', ..])
}

impl fmt::Display for ModelProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
