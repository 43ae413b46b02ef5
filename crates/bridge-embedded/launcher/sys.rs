//! libc calls that std does not offer.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::path::Path;

const SIGHUP: c_int = 1;
const SIGINT: c_int = 2;
const SIGKILL: c_int = 9;
const SIGTERM: c_int = 15;
const SIG_BLOCK: c_int = 0;
const RTLD_NOW: c_int = 2;

/// `sigset_t` of glibc on Linux: 1024 bits.
#[repr(C)]
struct SignalSet([u64; 16]);

/// The main function of `clickhouse local` as the engine's library exports it.
type EngineMain = unsafe extern "C" fn(c_int, *mut *mut c_char) -> c_int;

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

unsafe extern "C" {
    fn setsid() -> c_int;
    fn umask(mask: u32) -> u32;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn dup(fd: c_int) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn sigwait(set: *const SignalSet, signal: *mut c_int) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
}

/// Detaches from the session and the terminal of the program that started this process.
pub(crate) fn detach() -> io::Result<()> {
    // SAFETY: takes no arguments and touches no memory of ours.
    checked(unsafe { setsid() }).map(drop)
}

/// Kills the process `pid` at once.
pub(crate) fn kill_now(pid: u32) {
    if let Ok(pid) = c_int::try_from(pid) {
        // SAFETY: touches no memory of ours.
        unsafe { kill(pid, SIGKILL) };
    }
}

/// Closes all inherited descriptors but the three standard streams: a pipe of the starting program must end with it.
pub(crate) fn close_inherited() {
    let open: Vec<c_int> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // SAFETY: called before this process has opened a file of its own. The directory listing above is
        // already closed, so its number is answered with EBADF.
        unsafe { close(fd) };
    }
}

/// Signals that request a shutdown. They are waited for instead of handled, so they are blocked before any thread
/// starts.
pub(crate) struct ShutdownSignals(SignalSet);

impl ShutdownSignals {
    /// Blocks the signals in this thread and in those that it starts.
    pub(crate) fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::<SignalSet>::uninit();
        // SAFETY: sigemptyset initializes the whole set, and the pointers are valid for the calls.
        unsafe {
            checked(sigemptyset(set.as_mut_ptr()))?;
            for signal in [SIGHUP, SIGINT, SIGTERM] {
                checked(sigaddset(set.as_mut_ptr(), signal))?;
            }
            let set = set.assume_init();
            match pthread_sigmask(SIG_BLOCK, &raw const set, std::ptr::null_mut()) {
                0 => Ok(Self(set)),
                code => Err(io::Error::from_raw_os_error(code)),
            }
        }
    }

    /// Waits until one of the signals arrives.
    pub(crate) fn wait(&self) {
        let mut signal = 0;
        // SAFETY: both pointers are valid for the call.
        unsafe { sigwait(&raw const self.0, &raw mut signal) };
    }
}

/// Duplicates a descriptor for this process's lifetime and for its children; returns the duplicate.
pub(crate) fn keep_inheritable(descriptor: impl std::os::fd::AsRawFd) -> io::Result<c_int> {
    // SAFETY: the descriptor is open; unlike the original its copy is not closed by `exec`.
    checked(unsafe { dup(descriptor.as_raw_fd()) })
}

/// Makes `file` the standard input of this process.
pub(crate) fn replace_stdin(file: impl Into<std::os::fd::OwnedFd>) -> io::Result<File> {
    let previous = checked(
        // SAFETY: descriptor 0 is open: the supervisor made it a pipe.
        unsafe { dup(0) },
    )?;
    redirect(file, 0)?;
    // SAFETY: `previous` was just made and is owned by nothing else.
    Ok(unsafe { File::from_raw_fd(previous) })
}

/// Keeps the current standard output open under another descriptor and redirects standard output to `file`.
pub(crate) fn keep_stdout_open(file: impl Into<std::os::fd::OwnedFd>) -> io::Result<()> {
    // SAFETY: descriptor 1 is open; the copy stays open until the process ends, on purpose.
    checked(unsafe { dup(1) })?;
    redirect(file, 1)
}

fn redirect(file: impl Into<std::os::fd::OwnedFd>, number: c_int) -> io::Result<()> {
    let source = file.into().into_raw_fd();
    // SAFETY: `source` is open and ours; it is closed once and not used after.
    unsafe {
        let outcome = checked(dup2(source, number));
        close(source);
        outcome.map(drop)
    }
}

/// Makes all files that this process creates private to their owner.
pub(crate) fn make_files_private() {
    // SAFETY: touches no memory of ours and cannot fail.
    unsafe { umask(0o077) };
}

/// The engine's library in this process.
pub(crate) struct LoadedEngine(EngineMain);

impl LoadedEngine {
    pub(crate) fn load(library: &Path) -> Result<Self, super::Reason> {
        use std::os::unix::ffi::OsStrExt;
        let path = CString::new(library.as_os_str().as_bytes())?;
        // SAFETY: both names end in NUL; the symbol has this type in the pinned version.
        unsafe {
            let library = dlopen(path.as_ptr(), RTLD_NOW);
            if library.is_null() {
                return Err(last_loader_error().into());
            }
            let symbol = dlsym(library, c"chdb_query_cmdline".as_ptr());
            if symbol.is_null() {
                return Err(last_loader_error().into());
            }
            Ok(Self(std::mem::transmute::<*mut c_void, EngineMain>(symbol)))
        }
    }

    /// Runs the main function of the library until it returns.
    pub(crate) fn run(&self, arguments: &[CString]) -> Result<c_int, super::Reason> {
        let mut pointers: Vec<*mut c_char> = arguments.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = c_int::try_from(pointers.len())?;
        pointers.push(std::ptr::null_mut());
        // SAFETY: all strings end in NUL and outlive the call, and the library is never unloaded.
        Ok(unsafe { (self.0)(count, pointers.as_mut_ptr()) })
    }
}

/// Exits without running the destructors of the engine's library.
pub(crate) fn exit_now(status: c_int) -> ! {
    // SAFETY: does not return.
    unsafe { _exit(status) }
}

fn last_loader_error() -> String {
    // SAFETY: dlerror answers null or a string that stays valid until the next call of this thread.
    unsafe {
        let text = dlerror();
        if text.is_null() {
            return "the library could not be loaded".to_owned();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

fn checked(outcome: c_int) -> io::Result<c_int> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}
