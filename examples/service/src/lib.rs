//! The parts of the service. They use nothing of the other examples, so that the folder can be copied alone; a few
//! small functions are therefore in more than one of them.

pub mod access;
pub mod failure;
pub mod reader;
pub mod relay;
pub mod settings;
pub mod start;
pub mod status;
pub mod terminal;
pub mod tls;
pub mod unit;
