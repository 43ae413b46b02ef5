//! The interface of the two readers of JSON text.

/// The raw text of a value.
pub(crate) type Raw<'a> = &'a str;

/// The reader does not check that the text is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsure;

/// A reader positioned at a JSON value. Every method advances it past what it has read.
pub(crate) trait Reader<'a>: Sized {
    /// Returns the value's first byte; 0, which is not JSON, at the end.
    fn peek(&self) -> u8;

    /// Reads a value of any kind.
    fn value(&mut self) -> Result<Raw<'a>, Unsure>;

    /// Reads an object. Calls `visit` with each key and the reader at its value, which `visit` has to read.
    fn members(
        &mut self,
        visit: impl FnMut(&mut Self, &[u8]) -> Result<(), Unsure>,
    ) -> Result<Raw<'a>, Unsure>;

    /// Reads an array. Calls `visit` at each item, which `visit` has to read.
    fn items(&mut self, visit: impl FnMut(&mut Self) -> Result<(), Unsure>) -> Result<Raw<'a>, Unsure>;
}

/// Extracts values from an object by their keys. One implementation works with both readers, so the result
/// cannot depend on which of them reads.
pub(crate) trait Decode<'a> {
    type Object: Default;

    /// Reads the object at the reader's position, into an empty value.
    fn decode<R: Reader<'a>>(&mut self, reader: &mut R, object: &mut Self::Object) -> Result<(), Unsure>;
}
