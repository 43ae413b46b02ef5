//! The differences between operating systems: file identity, opening, permissions, durability, folders, memory,
//! sockets.
//!
//! All code that depends on the operating system is here, so that a port begins and ends in this module. Not part of
//! the public API: the facade uses it too.

mod folders;
mod identity;
mod memory;
mod open;
mod private;
mod pseudo;
mod sockets;

pub use folders::managed_settings;
pub use identity::FileIdentity;
pub use memory::{peak_memory_mib, return_freed_memory};
pub use private::{create_private_folder, open_private, sync_folder};
pub use sockets::REUSES_ADDRESS;

pub(crate) use folders::{HAS_DRIVES, PATH_LIST_SEPARATOR, application_data};
pub(crate) use identity::{change_time_nanos, has_further_names, state_hash};
pub(crate) use open::open_regular;
pub(crate) use pseudo::PseudoFileSystems;
