//! Interposed file calls: the engine's library resolves them here before libc.
//!
//! This engine ignores a failed write of a table's definition: on a full disk it syncs and renames the empty file,
//! acknowledges the statement, and can never start again. Here a failed write is remembered until its file is closed,
//! and syncing that file fails with the error of the write, so the statement fails instead.
//!
//! By then the engine has often changed the definition in memory and would go on with tables that the disk does not
//! have: a repeated `ADD COLUMN IF NOT EXISTS` would find its column. So a definition that cannot be written ends the
//! process, and the supervisor restarts the engine from the disk.
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

/// Descriptors beyond this are not tracked; the engine's connection limit keeps it far below.
const FILES_MAX: usize = 1 << 16;

/// Exit code of an engine that cannot write a definition (`EX_IOERR`).
pub(crate) const DEFINITION_NOT_WRITTEN: i32 = 74;

/// Error of the last failed write of each open descriptor; 0 where none failed. A static array, because these calls
/// run inside the engine at any moment and must neither lock nor allocate.
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

/// libc's `fsync`, which fails after a failed write.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    sync(SYS_FSYNC, fd)
}

/// libc's `fdatasync`, which fails after a failed write.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(SYS_FDATASYNC, fd)
}

/// libc's `close`.
#[unsafe(no_mangle)]
pub extern "C" fn close(fd: c_int) -> c_int {
    if let Some(failed) = failed_write(fd) {
        // Before closing: another thread may get the same descriptor at once.
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

/// Exits the process if the file is the definition of a table or a database.
fn end_if_definition(fd: c_int, code: c_int) {
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    if is_definition(&path) {
        let error = std::io::Error::from_raw_os_error(code);
        eprintln!("launcher: the engine exits, because {} cannot be written: {error}", path.display());
        crate::sys::exit_now(DEFINITION_NOT_WRITTEN);
    }
}

/// Returns whether the engine writes a definition under this name, before it renames it.
fn is_definition(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".sql.tmp"))
}
