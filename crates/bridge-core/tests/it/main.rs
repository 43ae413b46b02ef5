//! Properties of the domain types that the code of one type does not show.

mod calendar;
mod merge;
mod text;
