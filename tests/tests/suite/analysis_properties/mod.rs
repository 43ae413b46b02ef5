//! The analyzer agrees with the reference model for any content and any distribution over files.

mod arbitrary_bytes;
mod comparison;
mod corpus;
mod dates;
mod order;
mod reference;
mod spreading;
mod strategy;
