//! Attribution of a response: the client's record apart from counters and names.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::id::{has_valid_length, text_type};
use crate::{Shared, SharedValue};

text_type!(
    /// A value that a client recorded, as it is: no list of known values exists. It may hold control characters; show
    /// it through [`Escaped`](crate::Escaped).
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
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The status of the credit for a declined attempt of another model, as the API reports it.
    fallback_credit,
}

fn none<T>() -> Option<T> {
    None
}

/// An [`Attribution`] that many rows share.
pub type SharedAttribution = Shared<Attribution>;

impl SharedValue for Attribution {
    fn none() -> &'static Self {
        static NONE: LazyLock<Attribution> = LazyLock::new(Attribution::default);
        &NONE
    }
}

impl<T: fmt::Debug> fmt::Debug for Attribution<T> {
    /// Shows the values that are set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.values().filter_map(|(name, value)| Some((name, value?)));
        f.debug_map().entries(set).finish()
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
