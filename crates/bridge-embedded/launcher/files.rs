//! The file calls of the engine's process, which the engine's library finds here before it finds libc's.
//!
//! This engine forgets that a write failed when it writes the definition of a table: on a full disk it syncs and
//! renames the empty file, acknowledges the statement, and can never start again. Here a failed write is remembered
//! until its file is closed, and syncing that file fails with the write's error, so the statement fails instead.
//!
//! By then the engine has often changed the definition in its memory, and would go on with tables that its disk does
//! not know: an `ADD COLUMN IF NOT EXISTS` that is repeated would find its column. So a definition that cannot be
//! written ends the engine's process; the supervisor starts it again with what is on the disk.
//!
//! Architecture invariant: for a file without a failed write every call does exactly what libc's does.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

const SYS_WRITE: c_long = 1;
const SYS_CLOSE: c_long = 3;
const SYS_FSYNC: c_long = 74;
const SYS_FDATASYNC: c_long = 75;

const EINTR: c_int = 4;
const EAGAIN: c_int = 11;

/// Files with a number beyond this are not watched; the engine's limit of connections keeps far below it.
const FILES_MAX: usize = 1 << 16;

/// The exit code of an engine that cannot write a table's definition (`EX_IOERR`).
pub(crate) const DEFINITION_NOT_WRITTEN: i32 = 74;

/// For each open file the error of its first write that failed, 0 if none did.
static FAILED: [AtomicI32; FILES_MAX] = [const { AtomicI32::new(0) }; FILES_MAX];

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn __errno_location() -> *mut c_int;
}

fn errno() -> c_int {
    // SAFETY: the C library answers with this thread's own, which is always there.
    unsafe { *__errno_location() }
}

fn set_errno(code: c_int) {
    // SAFETY: as above.
    unsafe { *__errno_location() = code };
}

fn failed_write(fd: c_int) -> Option<&'static AtomicI32> {
    FAILED.get(usize::try_from(fd).ok()?)
}

/// libc's `write`.
///
/// # Safety
///
/// As of libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    // SAFETY: the caller's promise is the same.
    let written = unsafe { syscall(SYS_WRITE, fd, bytes, count) };
    if written < 0 && !matches!(errno(), EINTR | EAGAIN) {
        if let Some(failed) = failed_write(fd) {
            failed.store(errno(), Ordering::Relaxed);
        }
    }
    written as isize
}

/// libc's `fsync`, which fails after a write that failed.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    sync(SYS_FSYNC, fd)
}

/// libc's `fdatasync`, which fails after a write that failed.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(SYS_FDATASYNC, fd)
}

/// libc's `close`.
#[unsafe(no_mangle)]
pub extern "C" fn close(fd: c_int) -> c_int {
    if let Some(failed) = failed_write(fd) {
        // Before it is closed: another thread may get the number at once.
        failed.store(0, Ordering::Relaxed);
    }
    // SAFETY: touches no memory of ours.
    unsafe { syscall(SYS_CLOSE, fd) as c_int }
}

fn sync(number: c_long, fd: c_int) -> c_int {
    let earlier = failed_write(fd).map_or(0, |failed| failed.load(Ordering::Relaxed));
    let code = if earlier != 0 {
        earlier
    } else {
        // SAFETY: touches no memory of ours.
        match unsafe { syscall(number, fd) } {
            0 => return 0,
            _ => errno(),
        }
    };
    end_if_definition(fd, code);
    set_errno(code);
    -1
}

/// Ends the process where the file is the definition of a table or a database.
fn end_if_definition(fd: c_int, code: c_int) {
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    if is_definition(&path) {
        let error = std::io::Error::from_raw_os_error(code);
        eprintln!("launcher: the engine ends, because {} cannot be written: {error}", path.display());
        crate::sys::exit_now(DEFINITION_NOT_WRITTEN);
    }
}

/// The engine writes each definition under such a name first.
fn is_definition(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".sql.tmp"))
}
