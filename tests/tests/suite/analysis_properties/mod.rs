//! The analyzer gives what the reference model gives, whatever stands in the files and however it is spread.

mod arbitrary_bytes;
mod comparison;
mod corpus;
mod dates;
mod order;
mod reference;
mod spreading;
mod strategy;
