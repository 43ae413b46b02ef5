//! The two readers of JSON text, as the formats see them.

/// A value as it stands in the text.
pub(crate) type Raw<'a> = &'a str;

/// The text may be valid or not: the reader does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsure;

/// A reader that stands at a JSON value. Every method moves it behind what it has read.
pub(crate) trait Reader<'a>: Sized {
    /// Returns the value's first byte; 0, which is no JSON, behind the end.
    fn peek(&self) -> u8;

    /// Reads a value of any kind.
    fn value(&mut self) -> Result<Raw<'a>, Unsure>;

    /// Reads an object. Calls `visit` with each key, the reader standing at its value, which `visit` has to read.
    fn members(
        &mut self,
        visit: impl FnMut(&mut Self, &[u8]) -> Result<(), Unsure>,
    ) -> Result<Raw<'a>, Unsure>;

    /// Reads an array. Calls `visit` at each item, which `visit` has to read.
    fn items(&mut self, visit: impl FnMut(&mut Self) -> Result<(), Unsure>) -> Result<Raw<'a>, Unsure>;
}

/// Takes values out of an object by their keys. It is written once and reads by either reader, so that what it takes
/// cannot depend on which of them reads.
pub(crate) trait Decode<'a> {
    type Object: Default;

    /// Reads the object at which the reader stands, into an empty one.
    fn decode<R: Reader<'a>>(&mut self, reader: &mut R, object: &mut Self::Object) -> Result<(), Unsure>;
}
