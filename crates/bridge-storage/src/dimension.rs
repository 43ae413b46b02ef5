//! The dimensions of responses: what they are grouped and filtered by.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bridge_core::{CanonicalModel, InvalidValue, LabelName, ResponseUsage};
use serde::{Deserialize, Serialize};

/// Defines [`Dimension`], one line for each: the variant, its name, the SQL of its value, and the value of a row.
/// Where a row has no value, the SQL gives an empty text.
macro_rules! dimensions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $sql:expr, $value:expr;)+) => {
        /// A property that responses are grouped and filtered by. The value of a response that has none is the empty
        /// text.
        ///
        /// As text, in JSON and in the HTTP API it has a name:
        ///
        /// ```
        /// use bridge_storage::Dimension;
        ///
        /// let names: Vec<_> = Dimension::ALL.iter().map(Dimension::to_string).collect();
        /// assert_eq!(names[..4], ["session", "project", "model", "host"]);
        /// assert_eq!("mcp_server".parse(), Ok(Dimension::McpServer));
        /// assert_eq!("label:tenant".parse(), Dimension::label("tenant"));
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Dimension {
            $($(#[$doc])* $variant,)+
            /// The label of this name.
            Label(LabelName),
        }

        impl Dimension {
            /// All dimensions but those of labels.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            const RULE: &'static str = concat!("be one of", $(" ", $name,)+ " label:NAME");

            fn name(&self) -> Cow<'static, str> {
                match self {
                    $(Self::$variant => Cow::Borrowed($name),)+
                    Self::Label(name) => Cow::Owned(format!("{LABEL}{name}")),
                }
            }

            /// Returns the SQL of its value, over columns of `token_usage`: a text, or a `LowCardinality` one.
            #[cfg(feature = "clickhouse")]
            pub(crate) fn sql(&self) -> Cow<'static, str> {
                match self {
                    $(Self::$variant => Cow::Borrowed($sql),)+
                    // A label's name has no character that would end the text.
                    Self::Label(name) => Cow::Owned(format!("labels['{name}']")),
                }
            }

            /// Returns the value of this response, as far as the response itself has it; an empty text if it has none.
            ///
            /// ```
            /// use bridge_core::{ResponseKey, ResponseUsage, SessionId};
            /// use bridge_storage::Dimension;
            ///
            /// let time = "2026-01-31T12:00:00Z".parse()?;
            /// let response = ResponseUsage::new(ResponseKey(1), SessionId::new("s")?, time);
            /// let value = |dimension: Dimension| dimension.value_of(&response).into_owned();
            /// assert_eq!([value(Dimension::Day), value(Dimension::Branch)], ["2026-01-31", ""]);
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            #[must_use]
            pub fn value_of<'a>(&self, response: &'a ResponseUsage) -> Cow<'a, str> {
                fn value<'a>(
                    row: &'a ResponseUsage,
                    of: impl FnOnce(&'a ResponseUsage) -> Option<Cow<'a, str>>,
                ) -> Option<Cow<'a, str>> {
                    of(row)
                }
                let value = match self {
                    $(Self::$variant => value(response, $value),)+
                    Self::Label(name) => text(response.assignment.labels.get(name.as_str())),
                };
                value.unwrap_or_default()
            }
        }
    };
}

/// Returns the SQL of two aligned lists from `project_names`: names of projects, and this column of theirs. Each
/// begins with an element that is no project, because the database permits no empty lists here.
#[cfg(feature = "clickhouse")]
macro_rules! known_projects {
    ($column:literal, $place:literal) => {
        concat!(
            "(SELECT (arrayConcat([''], groupArray(name)), arrayConcat([''], groupArray(",
            $column,
            "))) FROM project_names FINAL WHERE ",
            $column,
            " != '').",
            $place
        )
    };
}

/// The value of this column for the project of a row. The database computes it for each name in the dictionary of the
/// column `project`, not for each row.
#[cfg(feature = "clickhouse")]
macro_rules! of_project {
    ($column:literal $($otherwise:literal)?) => {
        concat!(
            "transform(project, ", known_projects!($column, 1), ", ", known_projects!($column, 2), $(", ", $otherwise,)? ")"
        )
    };
}

dimensions! {
    /// The session.
    Session = "session", "session_id", |row| Some(row.session.as_str().into());
    /// The project that the response counts for. A [`ProjectRecord`](bridge_core::ProjectRecord) may name another one
    /// than the response does.
    Project = "project", of_project!("current"), |row| text(row.project.as_ref());
    /// The model that answered.
    Model = "model", "model", |row| text(row.model.as_ref());
    /// The host of the transcript.
    Host = "host", "host", |row| text(row.host.as_ref());
    /// The place where the counters were found, under the names of [`Origin`](bridge_core::Origin).
    Origin = "origin", "toString(origin)", |row| Some(row.origin.name().into());
    /// The day, UTC, as `YYYY-MM-DD`.
    Day = "day", "toString(toDate32(time, 'UTC'))", |row| Some(row.time.date().into());
    /// The branch that was checked out.
    Branch = "branch", "branch", |row| text(row.attribution.branch.as_ref());
    /// The version of the client.
    ClientVersion = "client_version", "client_version", |row| text(row.attribution.client_version.as_ref());
    /// The way in which the client was started.
    Entrypoint = "entrypoint", "entrypoint", |row| text(row.attribution.entrypoint.as_ref());
    /// The effort that the request asked for.
    Effort = "effort", "effort", |row| text(row.attribution.effort.as_ref());
    /// The type of the subagent that asked.
    AgentType = "agent_type", "agent_type", |row| text(row.attribution.agent_type.as_ref());
    /// The skill that was active.
    Skill = "skill", "skill", |row| text(row.attribution.skill.as_ref());
    /// The plugin of the skill, agent or server.
    Plugin = "plugin", "plugin", |row| text(row.attribution.plugin.as_ref());
    /// The MCP server whose tool was used.
    McpServer = "mcp_server", "mcp_server", |row| text(row.attribution.mcp_server.as_ref());
    /// That tool.
    McpTool = "mcp_tool", "mcp_tool", |row| text(row.attribution.mcp_tool.as_ref());
    /// The speed at which the API answered.
    Speed = "speed", "speed", |row| text(row.attribution.speed.as_ref());
    /// The geography in which the API computed the answer.
    InferenceGeo = "inference_geo", "inference_geo", |row| text(row.attribution.inference_geo.as_ref());
    /// The status of the credit for a declined attempt.
    FallbackCredit = "fallback_credit", "fallback_credit", |row| text(row.attribution.fallback_credit.as_ref());
    /// The service tier that the API reported.
    ServiceTier = "service_tier", "service_tier", |row| text(row.service_tier.as_ref());
    /// The developer whose session it is, by configuration.
    Developer = "developer", "developer", |row| text(row.assignment.developer.as_ref());
    /// The developer's team, by configuration.
    Team = "team", "team", |row| text(row.assignment.team.as_ref());
    /// The worktree that was worked in: the client's, or that of the [`ProjectRecord`](bridge_core::ProjectRecord).
    Worktree = "worktree",
        concat!("if(worktree != '', toString(worktree), toString(", of_project!("worktree" "''"), "))"),
        |row| text(row.attribution.worktree.as_ref());
    /// The group of projects, by configuration: that of the [`ProjectRecord`](bridge_core::ProjectRecord).
    ProjectGroup = "project_group", of_project!("project_group" "''"), |_| None;
    /// One name for the model, whichever way its requests took. See [`CanonicalModel`](bridge_core::CanonicalModel).
    CanonicalModel = "canonical_model", "canonical_model", |row| canonical(row, |model| model.name.to_string().into());
    /// The maker of the model.
    Provider = "provider", "provider", |row| canonical(row, |model| model.provider.name().into());
    /// The service whose form the model's name has.
    ModelRoute = "model_route", "model_route", |row| canonical(row, |model| model.route.name().into());
    /// The revision of the counting rule that the response is stored by.
    RuleRevision = "rule_revision", "toString(rule_revision)", |row| Some(row.rule_revision.to_string().into());
}

/// The start of the names of labels' dimensions.
const LABEL: &str = "label:";

impl Dimension {
    /// Returns the dimension of the label of this name.
    ///
    /// # Errors
    ///
    /// The name is not valid for a label.
    pub fn label(name: &str) -> Result<Self, InvalidValue> {
        LabelName::new(name).map(Self::Label)
    }

    /// Returns whether summaries of sessions list its values in their metadata. Of the others they have fields, or
    /// every session has several.
    pub(crate) fn is_attribution(&self) -> bool {
        !matches!(self, Self::Session | Self::Project | Self::Model | Self::Host | Self::Origin | Self::Day)
            && !matches!(self, Self::CanonicalModel | Self::Provider | Self::ModelRoute | Self::RuleRevision)
    }
}

fn canonical(
    row: &ResponseUsage,
    of: impl FnOnce(CanonicalModel) -> Cow<'static, str>,
) -> Option<Cow<'_, str>> {
    row.model.as_ref().map(|model| of(model.canonical()))
}

fn text<T: AsRef<str>>(value: Option<&T>) -> Option<Cow<'_, str>> {
    value.map(|value| value.as_ref().into())
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

impl FromStr for Dimension {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        if let Some(label) = name.strip_prefix(LABEL) {
            return Self::label(label);
        }
        let known = Self::ALL.iter().find(|dimension| dimension.name() == name);
        known.cloned().ok_or(InvalidValue::new("dimension", Self::RULE))
    }
}

impl TryFrom<String> for Dimension {
    type Error = InvalidValue;

    fn try_from(name: String) -> Result<Self, InvalidValue> {
        name.parse()
    }
}

impl From<Dimension> for String {
    fn from(dimension: Dimension) -> Self {
        dimension.name().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for dimension in Dimension::ALL {
            assert_eq!(dimension.to_string().parse().as_ref(), Ok(dimension));
            assert!(format!("{dimension:?}").eq_ignore_ascii_case(&dimension.name().replace('_', "")));
        }
        assert!("Session".parse::<Dimension>().is_err());
    }
}
