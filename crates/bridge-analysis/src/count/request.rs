//! The ids of requests, end to end: nearly every response has another one.

/// Texts that are found by their place.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    text: String,
}

/// The place of an id, or of none. 48 bits are its start, 16 its length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestPlace(u64);

const START_BITS: u32 = 48;
const START: u64 = (1 << START_BITS) - 1;

impl RequestIds {
    /// Adds an id; an empty one is none. One that is too long for a [`RequestId`](bridge_core::RequestId) must not
    /// come.
    pub(crate) fn add(&mut self, id: &str) -> RequestPlace {
        let place = (id.len() as u64) << START_BITS | self.text.len() as u64 & START;
        self.text.push_str(id);
        if id.is_empty() { RequestPlace::default() } else { RequestPlace(place) }
    }

    /// Returns the id of this place; an empty one if there is none.
    pub(crate) fn get(&self, place: RequestPlace) -> &str {
        let start = usize::try_from(place.0 & START).unwrap_or(usize::MAX);
        let length = usize::try_from(place.0 >> START_BITS).unwrap_or_default();
        self.text.get(start..start.saturating_add(length)).unwrap_or_default()
    }

    /// Clears everything but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
    }
}
