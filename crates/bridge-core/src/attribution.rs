//! Where a response comes from: what the client's record says besides counters and names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{has_valid_length, text_type};

text_type!(
    /// A value that a client recorded, as it is: no list of known values exists. It may hold control characters; show it
    /// through [`Escaped`](crate::Escaped).
    AttributionValue, "attribution value"
);
text_type!(
    /// The provider's id of a request.
    RequestId, "request id"
);

/// Defines [`Attribution`], so that its fields are listed once.
macro_rules! attribution {
    ($($(#[$doc:meta])* $field:ident,)+) => {
        /// The origin of a response: branch, client and the like. A value that the record lacks is `None`.
        ///
        /// ```
        /// use bridge_core::{Attribution, AttributionValue};
        ///
        /// let mut attribution = Attribution::default();
        /// attribution.branch = AttributionValue::new("main").ok();
        /// let set: Vec<_> = attribution.values().filter_map(|(name, value)| Some((name, value?.as_str()))).collect();
        /// assert_eq!(set, [("branch", "main")]);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct Attribution<T = AttributionValue> {
            $($(#[$doc])* #[serde(default = "none", skip_serializing_if = "Option::is_none")] pub $field: Option<T>,)+
        }

        impl<T> Default for Attribution<T> {
            fn default() -> Self {
                Self { $($field: None,)+ }
            }
        }

        impl<T> Attribution<T> {
            /// Returns each field's name and value, in a fixed order.
            pub fn values(&self) -> impl Iterator<Item = (&'static str, Option<&T>)> {
                [$((stringify!($field), self.$field.as_ref()),)+].into_iter()
            }

            /// Returns the values that `map` makes of these; where it returns `None`, there is none.
            #[must_use]
            pub fn and_then<U>(self, mut map: impl FnMut(T) -> Option<U>) -> Attribution<U> {
                Attribution { $($field: self.$field.and_then(&mut map),)+ }
            }

            /// Returns these values, and those of `other` where there is none.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)+ }
            }
        }
    };
}

attribution! {
    /// The branch that was checked out.
    branch,
    /// The version of the client that sent the request.
    client_version,
    /// The way in which the client was started, for example `cli` or `sdk-py`.
    entrypoint,
    /// The effort that the request asked for.
    effort,
    /// The type of the subagent that asked.
    agent_type,
    /// The skill that was active.
    skill,
    /// The plugin that the skill, agent or server belongs to.
    plugin,
    /// The MCP server whose tool was used.
    mcp_server,
    /// That tool.
    mcp_tool,
    /// The speed at which the API answered.
    speed,
    /// The geography in which the API computed the answer.
    inference_geo,
    /// The name of the client's worktree that was worked in.
    worktree,
}

fn none<T>() -> Option<T> {
    None
}

/// An [`Attribution`] that many rows share. It reads as one; writing to it copies it if others have it too.
#[derive(Clone, Default)]
pub struct SharedAttribution(Option<Arc<Attribution>>);

impl SharedAttribution {
    /// Returns whether no value is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|attribution| attribution.values().all(|(_, value)| value.is_none()))
    }
}

impl From<Attribution> for SharedAttribution {
    fn from(attribution: Attribution) -> Self {
        let is_empty = attribution.values().all(|(_, value)| value.is_none());
        Self((!is_empty).then(|| Arc::new(attribution)))
    }
}

impl Deref for SharedAttribution {
    type Target = Attribution;

    fn deref(&self) -> &Attribution {
        static EMPTY: LazyLock<Attribution> = LazyLock::new(Attribution::default);
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for SharedAttribution {
    fn deref_mut(&mut self) -> &mut Attribution {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl PartialEq for SharedAttribution {
    fn eq(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (&self.0, &other.0) else { return self.is_empty() && other.is_empty() };
        Arc::ptr_eq(a, b) || a == b
    }
}

impl Eq for SharedAttribution {}

impl Hash for SharedAttribution {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SharedAttribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.values().filter_map(|(name, value)| Some((name, value?)));
        f.debug_map().entries(set).finish()
    }
}

impl Serialize for SharedAttribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedAttribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Attribution::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_branch(branch: &str) -> SharedAttribution {
        let branch = AttributionValue::new(branch).ok();
        Attribution { branch, ..Attribution::default() }.into()
    }

    #[test]
    fn a_change_does_not_reach_those_who_share_it() {
        let first = of_branch("main");
        let mut second = first.clone();
        second.branch = None;
        assert_eq!(first, of_branch("main"));
        assert_eq!(second, SharedAttribution::default());
        assert!(second.is_empty() && !first.is_empty());
    }

    #[test]
    fn json_has_the_set_values_only() {
        assert_eq!(serde_json::to_string(&of_branch("main")).unwrap(), r#"{"branch":"main"}"#);
        let read: SharedAttribution = serde_json::from_str(r#"{"branch":"x","later":1}"#).unwrap();
        assert_eq!(read, of_branch("x"));
        assert_eq!(serde_json::from_str::<SharedAttribution>("{}").unwrap(), SharedAttribution::default());
    }
}
