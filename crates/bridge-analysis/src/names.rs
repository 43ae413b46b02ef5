//! Names shared between rows: each distinct text of a file is kept once.

use std::collections::HashMap;

use bridge_core::{AgentId, InvalidText, ModelName, ProjectName, ServiceTier, SessionId};

use crate::project::project_path;

/// The names met in one file.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sessions: Shared<SessionId>,
    models: Shared<ModelName>,
    agents: Shared<AgentId>,
    tiers: Shared<ServiceTier>,
    projects: Shared<Option<ProjectName>>,
}

impl Names {
    pub(crate) fn session(&mut self, text: &str) -> Option<SessionId> {
        self.sessions.get(text, |text| SessionId::new(text))
    }

    pub(crate) fn model(&mut self, text: &str) -> Option<ModelName> {
        self.models.get(text, |text| ModelName::new(text))
    }

    pub(crate) fn agent(&mut self, text: &str) -> Option<AgentId> {
        self.agents.get(text, |text| AgentId::new(text))
    }

    pub(crate) fn tier(&mut self, text: &str) -> Option<ServiceTier> {
        self.tiers.get(text, |text| ServiceTier::new(text))
    }

    /// The project of a record with this working folder, in a file below this project folder.
    pub(crate) fn project(&mut self, folder: Option<&str>, cwd: Option<&str>) -> Option<ProjectName> {
        let make =
            |cwd: &str| Ok::<_, InvalidText>(project_path(folder, Some(cwd).filter(|cwd| !cwd.is_empty())));
        self.projects.get(cwd.unwrap_or_default(), make)?
    }
}

/// Distinct texts with what was made of them. Neighbouring lines mostly repeat the same one, so the last
/// is looked at first.
#[derive(Debug)]
struct Shared<T> {
    last: Option<(Box<str>, T)>,
    all: HashMap<Box<str>, T>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { last: None, all: HashMap::new() }
    }
}

impl<T: Clone> Shared<T> {
    /// `None` where the text is no such name (empty or too long).
    fn get<E>(&mut self, text: &str, make: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        if let Some((last, value)) = &self.last
            && **last == *text
        {
            return Some(value.clone());
        }
        let value = match self.all.get(text) {
            Some(value) => value.clone(),
            None => {
                let value = make(text).ok()?;
                self.all.insert(text.into(), value.clone());
                value
            }
        };
        self.last = Some((text.into(), value.clone()));
        Some(value)
    }
}
