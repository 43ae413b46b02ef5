//! The parts of the service.

pub mod access;
pub mod reader;
pub mod relay;
pub mod settings;
pub mod start;
pub mod status;
pub mod terminal;
pub mod tls;
pub mod unit;
