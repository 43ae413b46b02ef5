//! Values that many rows share.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of which a row may have none, and which many rows may share.
pub trait SharedValue: Clone + Default + Eq + Hash + fmt::Debug + 'static {
    /// Returns the value of rows that have none.
    fn none() -> &'static Self;

    /// Returns whether nothing is set.
    fn is_empty(&self) -> bool {
        self == Self::none()
    }
}

/// A value that many rows share. It reads as the value; writing to it copies it if others have it too.
#[derive(Clone)]
pub struct Shared<T>(Option<Arc<T>>);

impl<T: SharedValue> Shared<T> {
    /// Returns whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|value| value.is_empty())
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: SharedValue> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self((!value.is_empty()).then(|| Arc::new(value)))
    }
}

impl<T: SharedValue> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::none())
    }
}

impl<T: SharedValue> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl<T: SharedValue> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (&self.0, &other.0) else { return self.is_empty() && other.is_empty() };
        Arc::ptr_eq(a, b) || a == b
    }
}

impl<T: SharedValue> Eq for Shared<T> {}

impl<T: SharedValue> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: SharedValue> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: SharedValue + Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: SharedValue + Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}
