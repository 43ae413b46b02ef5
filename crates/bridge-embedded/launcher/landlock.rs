//! Landlock system calls, which std does not offer.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const SYS_CREATE_RULESET: c_long = 444;
const SYS_ADD_RULE: c_long = 445;
const SYS_RESTRICT_SELF: c_long = 446;
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: c_int = 1;
const PR_SET_NO_NEW_PRIVS: c_int = 38;

/// `struct landlock_ruleset_attr`: the accesses that are denied unless a rule allows them.
#[repr(C)]
pub(crate) struct Handled {
    pub(crate) files: u64,
    pub(crate) network: u64,
    pub(crate) scoped: u64,
}

impl Handled {
    /// Returns the size of the structure in this version of Landlock; the kernel refuses a longer one.
    fn size(version: u32) -> usize {
        match version {
            0..=3 => 8,
            4..=5 => 16,
            _ => size_of::<Self>(),
        }
    }
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: c_int,
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn prctl(option: c_int, ...) -> c_int;
}

/// Returns the Landlock version of the kernel, or an error if it has none.
pub(crate) fn version() -> io::Result<u32> {
    // SAFETY: with this flag the kernel takes no structure and touches no memory of ours.
    let version =
        unsafe { syscall(SYS_CREATE_RULESET, std::ptr::null::<Handled>(), 0_usize, CREATE_RULESET_VERSION) };
    checked(version).map(|version| u32::try_from(version).unwrap_or(0))
}

/// A set of rules under construction.
pub(crate) struct Ruleset(OwnedFd);

impl Ruleset {
    pub(crate) fn new(handled: &Handled, version: u32) -> io::Result<Self> {
        // SAFETY: the structure is valid for the call, and at least as long as the size says.
        let fd = unsafe {
            syscall(SYS_CREATE_RULESET, std::ptr::from_ref(handled), Handled::size(version), 0_u32)
        };
        let fd = checked(fd).and_then(|fd| c_int::try_from(fd).map_err(io::Error::other))?;
        // SAFETY: the kernel just made the descriptor, and it is owned by nothing else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Allows these accesses to the open file, or to all that is beneath the open folder.
    pub(crate) fn allow(&self, path: &File, allowed: u64) -> io::Result<()> {
        let rule = PathBeneath { allowed, parent: path.as_raw_fd() };
        // SAFETY: both descriptors are open and the structure is valid for the call.
        let outcome =
            unsafe { syscall(SYS_ADD_RULE, self.0.as_raw_fd(), RULE_PATH_BENEATH, &raw const rule, 0_u32) };
        checked(outcome).map(drop)
    }

    /// Restricts this thread and those it starts from now on, irrevocably.
    pub(crate) fn restrict_this_thread(self) -> io::Result<()> {
        // SAFETY: neither call touches memory of ours; the descriptor is open.
        unsafe {
            checked(c_long::from(prctl(PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64)))?;
            checked(syscall(SYS_RESTRICT_SELF, self.0.as_raw_fd(), 0_u32)).map(drop)
        }
    }
}

fn checked(outcome: c_long) -> io::Result<c_long> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}
