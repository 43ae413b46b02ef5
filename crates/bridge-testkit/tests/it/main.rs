//! The reference and the generators, held to the counting rule and to each other.

mod adversarial;
mod counting_rule;
mod history;
mod real_transcripts;
