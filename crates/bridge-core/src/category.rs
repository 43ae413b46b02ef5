//! Estimated tokens of a transcript's text by category.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Category of a piece of text in a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentCategory {
    /// Memory files (`CLAUDE.md`).
    ClaudeMd,
    /// Prompts to subagents and their answers.
    CustomAgents,
    /// Calls of MCP tools and their results.
    McpTools,
    /// System prompts and reminders.
    SystemPrompts,
    /// Calls of built-in tools and their results.
    SystemTools,
    /// Text of the user.
    UserMessages,
    /// Text of the assistant.
    AssistantText,
    /// Thinking of the assistant.
    Thinking,
}

impl ContentCategory {
    /// All categories.
    pub const ALL: [Self; 8] = [
        Self::ClaudeMd,
        Self::CustomAgents,
        Self::McpTools,
        Self::SystemPrompts,
        Self::SystemTools,
        Self::UserMessages,
        Self::AssistantText,
        Self::Thinking,
    ];

    /// Returns the stored and displayed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeMd => "claude_md",
            Self::CustomAgents => "custom_agents",
            Self::McpTools => "mcp_tools",
            Self::SystemPrompts => "system_prompts",
            Self::SystemTools => "system_tools",
            Self::UserMessages => "user_messages",
            Self::AssistantText => "assistant_text",
            Self::Thinking => "thinking",
        }
    }

    /// Returns the category of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

impl fmt::Display for ContentCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Estimated tokens by category: a quarter of the bytes of the raw JSON values. An estimate, never a count.
pub type ContentCategories = BTreeMap<ContentCategory, u64>;
