//! The assignment of responses to developers, teams and labels, by the paths of transcripts and projects.

use std::path::Path;
use std::sync::Arc;

use bridge_core::{Assignment, ProjectName};
use glob::{MatchOptions, Pattern};

/// `*` and `?` match within a component of a path only; everything else as it is written.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// A pattern of paths: `*` and `?` match within a component, `**` any components, `[ab]` one of these characters.
/// Paths of either system are compared with `/`.
///
/// ```
/// use bridge_analysis::PathPattern;
///
/// let acme = PathPattern::new("/projects/acme/**")?;
/// assert!(acme.matches("/projects/acme/web/api") && !acme.matches("/projects/other"));
/// assert!(PathPattern::new("/projects/acme**").is_err());
/// # Ok::<(), bridge_analysis::InvalidPattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(Pattern);

/// The text is no [`PathPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} at character {place} of the pattern")]
pub struct InvalidPattern {
    why: &'static str,
    place: usize,
}

impl PathPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// An unfinished `[`, or `**` beside other characters in a component.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let pattern = Pattern::new(&text.replace('\\', "/"));
        pattern.map(Self).map_err(|error| InvalidPattern { why: error.msg, place: error.pos + 1 })
    }

    /// Returns whether this path matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.0.matches_with(&path.replace('\\', "/"), MATCHING)
    }
}

/// A rule: what matches the pattern has this assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssignmentRule {
    /// Matches the path of the project or of the transcript.
    pub pattern: PathPattern,
    /// The assignment.
    pub assignment: Assignment,
}

impl AssignmentRule {
    /// Returns the rule.
    #[must_use]
    pub fn new(pattern: PathPattern, assignment: Assignment) -> Self {
        Self { pattern, assignment }
    }
}

/// The assignment of responses. The first rule that matches applies, and the defaults to what it leaves open.
///
/// ```
/// use bridge_analysis::{AssignmentRule, AssignmentRules, PathPattern};
/// use bridge_core::{Assignment, Labels, ProjectName};
///
/// let labels = |tenant| Labels::new([("tenant", tenant)]).map(Assignment::of_labels);
/// let acme = AssignmentRule::new(PathPattern::new("/projects/acme/**")?, labels("acme")?);
/// let rules = AssignmentRules::new(labels("own")?, [acme]);
/// let tenant = |project: &str| {
///     let assignment = rules.assignment(None, ProjectName::new(project).ok().as_ref());
///     assignment.labels.get("tenant").map(|tenant| tenant.to_string())
/// };
/// assert_eq!(tenant("/projects/acme/web").as_deref(), Some("acme"));
/// assert_eq!(tenant("/home/user").as_deref(), Some("own"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentRules(Option<Arc<Rules>>);

#[derive(Debug, PartialEq, Eq)]
struct Rules {
    defaults: Assignment,
    rules: Vec<AssignmentRule>,
}

impl From<Assignment> for AssignmentRules {
    /// Returns the rules that assign every response so.
    fn from(defaults: Assignment) -> Self {
        Self::new(defaults, [])
    }
}

impl AssignmentRules {
    /// Returns these rules, in the order in which they are tried.
    #[must_use]
    pub fn new(defaults: Assignment, rules: impl IntoIterator<Item = AssignmentRule>) -> Self {
        let rules = Rules { defaults, rules: rules.into_iter().collect() };
        let is_empty = rules.defaults == Assignment::default() && rules.rules.is_empty();
        Self((!is_empty).then(|| Arc::new(rules)))
    }

    /// Returns the assignment of a response of this transcript and this project, by the whole path that the transcript
    /// names.
    #[must_use]
    pub fn assignment(&self, transcript: Option<&Path>, project: Option<&ProjectName>) -> Assignment {
        let Some(rules) = &self.0 else { return Assignment::default() };
        let transcript = transcript.map(Path::to_string_lossy);
        let matches = |rule: &&AssignmentRule| {
            project.is_some_and(|project| rule.pattern.matches(project.as_str()))
                || transcript.as_ref().is_some_and(|path| rule.pattern.matches(path))
        };
        match rules.rules.iter().find(matches) {
            Some(rule) => rule.assignment.clone().or(&rules.defaults),
            None => rules.defaults.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        PathPattern::new(pattern).unwrap().matches(path)
    }

    #[test]
    fn a_star_stays_within_a_component_and_two_cross_them() {
        assert!(matches("/projects/*", "/projects/acme") && !matches("/projects/*", "/projects/acme/web"));
        assert!(matches("/projects/**", "/projects/acme/web") && matches("**/acme/**", "/projects/acme/web"));
        assert!(matches(
            "**/-projects-acme*/*.jsonl",
            "/home/user/.claude/projects/-projects-acme-web/s.jsonl"
        ));
        assert!(
            matches("C:/projects/**", r"C:\projects\acme") && matches(r"C:\projects\**", "C:/projects/acme")
        );
        assert!(!matches("/Projects/*", "/projects/acme"));
    }

    #[test]
    fn a_pattern_that_cannot_be_meant_is_refused_with_its_place() {
        let error = PathPattern::new("/projects/a**").unwrap_err().to_string();
        assert!(error.ends_with("of the pattern") && error.contains("at character"), "{error}");
        assert!(PathPattern::new("/projects/[a").is_err());
    }

    #[test]
    fn the_first_rule_that_matches_applies_by_project_or_transcript() {
        let team = |name: &str| Assignment {
            team: bridge_core::AttributionValue::new(name).ok(),
            ..Assignment::default()
        };
        let rule = |pattern, name| AssignmentRule::new(PathPattern::new(pattern).unwrap(), team(name));
        let rules = AssignmentRules::new(
            team("default"),
            [
                rule("/projects/acme/**", "acme"),
                rule("/projects/**", "projects"),
                rule("**/ci/*.jsonl", "ci"),
            ],
        );
        let of = |transcript: &str, project: &str| {
            let project = ProjectName::new(project).ok();
            rules.assignment(Some(Path::new(transcript)), project.as_ref()).team.unwrap().to_string()
        };
        assert_eq!(of("/t/s.jsonl", "/projects/acme/web"), "acme");
        assert_eq!(of("/t/ci/s.jsonl", "/projects/other"), "projects");
        assert_eq!(of("/t/ci/s.jsonl", ""), "ci");
        assert_eq!(of("/t/s.jsonl", "/home"), "default");
        assert_eq!(AssignmentRules::default().assignment(None, None), Assignment::default());
    }
}
