//! Properties of the domain types that the code of one type does not show.

mod attribution;
mod calendar;
mod merge;
mod text;
