//! The part of the names of projects, branches and the like that leaves this machine.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use bridge_core::{
    Assignment, Attribution, AttributionValue, ProjectName, RequestId, ResponseUsage, ToolName,
};
use siphasher::sip::SipHasher24;

/// The form in which projects' names, which are paths, are stored and shown. Other names that reveal what someone works
/// on follow it: branches are shortened and hashed like projects; agent types, skills, plugins, MCP servers and tools,
/// worktrees, developers and the ids of requests are hashed. All of them may be left out.
///
/// The name is part of a row's version, so it must be decided before there is a row: in the analyzer, and when
/// an embedder passes rows. Rows that are already stored do not change.
///
/// ```
/// use bridge_analysis::{ProjectKey, ProjectNames};
/// use bridge_core::ProjectName;
///
/// let name = ProjectName::new("/home/me/secret-plan")?;
/// let shown = |mode: ProjectNames| mode.shown(&name).map(String::from);
/// assert_eq!(shown(ProjectNames::LastComponent).as_deref(), Some("secret-plan"));
/// let key = ProjectKey::from_hex("000102030405060708090a0b0c0d0e0f")?;
/// assert!(shown(ProjectNames::KeyedHash(key)).is_some_and(|name| name.starts_with("project-")));
/// assert_eq!(shown(ProjectNames::Omitted), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectNames {
    /// The whole path.
    #[default]
    Full,
    /// The last component of the path. Projects whose folders have the same name are counted together.
    LastComponent,
    /// `project-` and 16 hexadecimal digits, the same for the same path and key.
    KeyedHash(ProjectKey),
    /// No name. All responses count as of no project, branch, skill and so on.
    Omitted,
}

/// 128 secret bits. Without them a hashed name cannot be distinguished from any other, nor found by trying out names.
///
/// The hash is SipHash-2-4, a pseudo-random function for short texts under a key of this size. An unkeyed hash of
/// a path, however strong, is found by hashing likely paths.
#[derive(Clone, PartialEq, Eq)]
pub struct ProjectKey([u8; 16]);

/// The text is not a [`ProjectKey`]. It is not quoted, because it may be one with a typo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a project key has 32 hexadecimal digits")]
pub struct InvalidProjectKey;

impl ProjectKey {
    /// Parses 32 hexadecimal digits, as `openssl rand -hex 16` prints them. A password would not do, because it could
    /// be guessed.
    ///
    /// # Errors
    ///
    /// The text is not 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, InvalidProjectKey> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidProjectKey);
        }
        let bits = u128::from_str_radix(text, 16).map_err(|_| InvalidProjectKey)?;
        Ok(Self(bits.to_be_bytes()))
    }
}

impl fmt::Debug for ProjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectKey(…)")
    }
}

const HASH_DIGITS: usize = 16;

impl ProjectNames {
    /// Returns the name to display and store, if any. A name that was already shortened or hashed stays the same.
    #[must_use]
    pub fn shown(&self, name: &ProjectName) -> Option<ProjectName> {
        let shown = match self {
            Self::Full => return Some(name.clone()),
            Self::LastComponent => last_component(name.as_str()).to_owned(),
            Self::KeyedHash(key) => hashed(key, "project", name.as_str()),
            Self::Omitted => return None,
        };
        Some(ProjectName::new(shown).unwrap_or_else(|_| name.clone()))
    }

    /// Returns the attribution to display and store. What was already shortened or hashed stays the same.
    #[must_use]
    pub fn shown_attribution(&self, attribution: Attribution) -> Attribution {
        let shown = |name: AttributionValue, text: &str| AttributionValue::new(text).unwrap_or(name);
        let key = match self {
            Self::Full => return attribution,
            Self::LastComponent => {
                let branch =
                    attribution.branch.map(|name| shown(name.clone(), last_component(name.as_str())));
                return Attribution { branch, ..attribution };
            }
            Self::KeyedHash(key) => key,
            Self::Omitted => return without_names(attribution),
        };
        let hashed = |kind, name: Option<AttributionValue>| {
            name.map(|name| shown(name.clone(), &hashed(key, kind, name.as_str())))
        };
        Attribution {
            branch: hashed("branch", attribution.branch),
            agent_type: hashed("agent", attribution.agent_type),
            skill: hashed("skill", attribution.skill),
            plugin: hashed("plugin", attribution.plugin),
            mcp_server: hashed("server", attribution.mcp_server),
            mcp_tool: hashed("tool", attribution.mcp_tool),
            worktree: hashed("worktree", attribution.worktree),
            ..attribution
        }
    }

    /// Returns the assignment to display and store: the developer's name is hashed or left out as a project's is. One
    /// that was already hashed stays the same.
    #[must_use]
    pub fn shown_assignment(&self, assignment: Assignment) -> Assignment {
        let key = match self {
            Self::Full | Self::LastComponent => return assignment,
            Self::KeyedHash(key) => key,
            Self::Omitted => return Assignment { developer: None, ..assignment },
        };
        let hashed = |name: AttributionValue| {
            AttributionValue::new(hashed(key, "developer", name.as_str())).unwrap_or(name)
        };
        Assignment { developer: assignment.developer.map(hashed), ..assignment }
    }

    /// Returns the id of a request to display and store, if any. One that was already hashed stays the same.
    #[must_use]
    pub fn shown_request<'a>(&self, id: Cow<'a, str>) -> Option<Cow<'a, str>> {
        match self {
            Self::Full | Self::LastComponent => Some(id),
            Self::KeyedHash(key) => Some(hashed(key, "request", &id).into()),
            Self::Omitted => None,
        }
    }

    /// Returns the name of a tool to display and store: that of an MCP server's tool is hashed where names are. One
    /// that was already hashed stays the same.
    #[must_use]
    pub fn shown_tool(&self, name: &ToolName) -> ToolName {
        match self {
            Self::KeyedHash(key) if name.as_str().starts_with("mcp__") => {
                ToolName::new(hashed(key, "mcp", name.as_str())).unwrap_or_else(|_| name.clone())
            }
            _ => name.clone(),
        }
    }

    /// Brings all names of a row into the form to display and store. In every form a model's name loses the number of
    /// an AWS account ([`ModelName::without_account`](bridge_core::ModelName::without_account)).
    pub fn apply_to(&self, row: &mut ResponseUsage) {
        row.model = row.model.as_ref().map(bridge_core::ModelName::without_account);
        if *self == Self::Full {
            return;
        }
        row.project = row.project.as_ref().and_then(|name| self.shown(name));
        if !row.attribution.is_empty() {
            row.attribution = self.shown_attribution((*row.attribution).clone()).into();
        }
        if !row.assignment.is_empty() {
            row.assignment = self.shown_assignment((*row.assignment).clone()).into();
        }
        if let Some(id) = &row.request_id {
            row.request_id = self.shown_request(id.as_str().into()).and_then(|id| RequestId::new(id).ok());
        }
    }

    /// Returns the path under which a transcript is recorded. The client names the folder of a transcript after the
    /// project, so if names are not shown in full, the folder is replaced by a hash. The file's name stays.
    #[must_use]
    pub fn recorded_path(&self, path: &Path) -> PathBuf {
        // Without a key the hash hides little from those who know the folders; it still shows nothing by itself.
        let key = match self {
            Self::Full => return path.to_owned(),
            Self::LastComponent | Self::Omitted => &ProjectKey([0; 16]),
            Self::KeyedHash(key) => key,
        };
        let folder = path.parent().unwrap_or(Path::new("")).as_os_str().as_encoded_bytes();
        let mut recorded = PathBuf::from(format!("{:016x}", hash(key, folder)));
        recorded.push(path.file_name().unwrap_or_default());
        recorded
    }
}

/// Returns the attribution without what reveals anything of the work.
fn without_names(attribution: Attribution) -> Attribution {
    Attribution {
        branch: None,
        agent_type: None,
        skill: None,
        plugin: None,
        mcp_server: None,
        mcp_tool: None,
        worktree: None,
        ..attribution
    }
}

fn hash(key: &ProjectKey, bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(&key.0).hash(bytes)
}

/// Returns the name's kind and hash, or the name if it is one already.
fn hashed(key: &ProjectKey, kind: &str, name: &str) -> String {
    if is_hashed(kind, name) {
        return name.to_owned();
    }
    format!("{kind}-{:016x}", hash(key, name.as_bytes()))
}

fn is_hashed(kind: &str, name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|digits| digits.len() == HASH_DIGITS && digits.bytes().all(is_digit))
}

/// By either system's separators. If a path has no component, all of it.
fn last_component(path: &str) -> &str {
    let last = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next();
    last.filter(|last| !last.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(digit: char) -> ProjectKey {
        ProjectKey::from_hex(&digit.to_string().repeat(32)).unwrap()
    }

    fn shown(mode: &ProjectNames, name: &str) -> String {
        let once = mode.shown(&ProjectName::new(name).unwrap()).unwrap();
        assert_eq!(mode.shown(&once).as_ref(), Some(&once), "done twice is done once");
        once.to_string()
    }

    #[test]
    fn the_last_component_by_either_separator() {
        let mode = ProjectNames::LastComponent;
        for path in ["/home/user/app", "C:\\Users\\me\\app\\", "app", "app//"] {
            assert_eq!(shown(&mode, path), "app");
        }
        assert_eq!(shown(&mode, "/"), "/");
        assert_eq!(shown(&ProjectNames::Full, "/home/user/app"), "/home/user/app");
    }

    /// The vector of the algorithm's authors: key 00..0f, message 00..0e.
    #[test]
    fn the_hash_is_siphash_2_4() {
        let key = ProjectKey::from_hex("000102030405060708090A0B0C0D0E0F").unwrap();
        assert_eq!(hash(&key, &(0..15).collect::<Vec<u8>>()), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn a_hash_depends_on_the_name_and_on_the_key_and_shows_neither() {
        let of = |key, name| shown(&ProjectNames::KeyedHash(key), name);
        assert_eq!(of(key('1'), "/home/user/app"), of(key('1'), "/home/user/app"));
        assert_ne!(of(key('1'), "/home/user/app"), of(key('1'), "/home/user/app2"));
        assert_ne!(of(key('1'), "/home/user/app"), of(key('2'), "/home/user/app"));
        assert!(!of(key('1'), "/home/user/app").contains("app"));
        assert!(!format!("{:?}", ProjectNames::KeyedHash(key('7'))).contains('7'));
    }

    #[test]
    fn attribution_follows_the_mode_and_stays_the_same_when_done_twice() {
        let all = Attribution::<()> {
            branch: Some(()),
            skill: Some(()),
            speed: Some(()),
            ..Attribution::default()
        };
        let all = all.and_then(|()| AttributionValue::new("me/plan").ok());
        let texts = |mode: ProjectNames| {
            let once = mode.shown_attribution(all.clone());
            assert_eq!(mode.shown_attribution(once.clone()), once);
            let text = |value: Option<AttributionValue>| value.unwrap().to_string();
            [text(once.branch), text(once.skill), text(once.speed)]
        };
        assert_eq!(texts(ProjectNames::Full), ["me/plan"; 3]);
        assert_eq!(texts(ProjectNames::LastComponent), ["plan", "me/plan", "me/plan"]);
        let [branch, skill, speed] = texts(ProjectNames::KeyedHash(key('1')));
        assert!(branch.starts_with("branch-") && skill.starts_with("skill-") && speed == "me/plan");
        assert!(!branch.contains("plan") && !skill.contains("plan"));
    }

    #[test]
    fn only_the_developer_of_an_assignment_is_hashed() {
        let value = |text| AttributionValue::new(text).ok();
        let assignment = Assignment { developer: value("me"), team: value("t"), ..Assignment::default() };
        let keyed = ProjectNames::KeyedHash(key('1'));
        let shown = keyed.shown_assignment(assignment.clone());
        assert!(shown.developer.as_ref().is_some_and(|name| name.as_str().starts_with("developer-")));
        assert_eq!((&shown.team, keyed.shown_assignment(shown.clone())), (&value("t"), shown.clone()));
        assert_eq!(ProjectNames::LastComponent.shown_assignment(assignment.clone()), assignment);
    }

    #[test]
    fn a_hashed_request_is_no_request_of_the_provider() {
        let keyed = ProjectNames::KeyedHash(key('1'));
        let hidden = keyed.shown_request("req_011".into()).unwrap();
        assert!(hidden.starts_with("request-") && !hidden.contains("011"));
        assert_eq!(keyed.shown_request(hidden.clone()), Some(hidden));
        assert_eq!(ProjectNames::LastComponent.shown_request("req_011".into()).as_deref(), Some("req_011"));
        assert_eq!(ProjectNames::Omitted.shown_request("req_011".into()), None);
    }

    #[test]
    fn tools_of_servers_are_hashed_and_those_of_the_client_are_not() {
        let keyed = ProjectNames::KeyedHash(key('1'));
        let shown = |name: &str| keyed.shown_tool(&ToolName::new(name).unwrap());
        assert_eq!(shown("Bash").as_str(), "Bash");
        let hidden = shown("mcp__plans__read");
        assert!(hidden.as_str().starts_with("mcp-") && !hidden.as_str().contains("plans"));
        assert_eq!(keyed.shown_tool(&hidden), hidden);
    }

    #[test]
    fn only_a_key_of_full_length_is_taken() {
        for text in
            ["", "secret", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32), &format!("+{}", "0".repeat(31))]
        {
            let error = ProjectKey::from_hex(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text));
        }
    }

    #[test]
    fn a_recorded_path_keeps_the_file_apart_and_the_folder_secret() {
        let path = |folder: &str| PathBuf::from(format!("/home/user/.claude/projects/{folder}/s.jsonl"));
        assert_eq!(ProjectNames::Full.recorded_path(&path("-plan")), path("-plan"));
        for mode in [ProjectNames::LastComponent, ProjectNames::KeyedHash(key('1')), ProjectNames::Omitted] {
            let recorded = mode.recorded_path(&path("-plan"));
            assert_ne!(recorded, mode.recorded_path(&path("-other")));
            assert!(recorded.ends_with("s.jsonl") && !recorded.to_str().unwrap().contains("plan"));
        }
    }
}
