//! Interposed socket calls: the engine's library resolves them here before libc.
//!
//! The engine is configured for a TCP port and listens on the supervisor's Unix socket instead: in a private folder
//! other users can neither connect to it nor bind it while the engine is down. On its connections the peer's address
//! is always known, and a vanished peer reads as the end of input, never as an error in the middle of a response:
//! this engine aborts when some of its destructors throw.
//!
//! Architecture invariant: in a process that has not called [`adopt`], and for any other kind of socket, every call
//! does exactly what libc's does.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_void};
use std::mem::size_of;
use std::sync::atomic::{AtomicI32, AtomicU16, Ordering};

const SYS_SENDTO: c_long = 44;
const SYS_RECVFROM: c_long = 45;
const SYS_SHUTDOWN: c_long = 48;
const SYS_BIND: c_long = 49;
const SYS_GETSOCKNAME: c_long = 51;
const SYS_GETPEERNAME: c_long = 52;
const SYS_SETSOCKOPT: c_long = 54;
const SYS_GETSOCKOPT: c_long = 55;
const SYS_ACCEPT4: c_long = 288;

const AF_UNIX: c_int = 1;
const AF_INET: u16 = 2;
const SOCK_CLOEXEC: c_int = 0o2_000_000;
const SOL_SOCKET: c_int = 1;
const SO_DOMAIN: c_int = 39;
const IPPROTO_TCP: c_int = 6;
const MSG_NOSIGNAL: c_int = 0x4000;
const EPIPE: c_int = 32;
const ECONNABORTED: c_int = 103;
const ECONNRESET: c_int = 104;
const ENOTCONN: c_int = 107;
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// `sockaddr_in`.
#[repr(C)]
#[derive(Clone, Copy)]
struct InternetAddress {
    family: u16,
    port: [u8; 2],
    address: [u8; 4],
    zero: [u8; 8],
}

const ADDRESS_BYTES: u32 = size_of::<InternetAddress>() as u32;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn __errno_location() -> *mut c_int;
}

/// Byte by which the relay learns that an engine has accepted its connection, not only the kernel's backlog.
static GREETING: u8 = b'+';

static LISTENER: AtomicI32 = AtomicI32::new(-1);
static PORT: AtomicU16 = AtomicU16::new(0);

/// Substitutes the Unix socket `listener` for the engine's TCP listener on this port of 127.0.0.1.
pub(crate) fn adopt(listener: c_int, port: u16) {
    PORT.store(port, Ordering::SeqCst);
    LISTENER.store(listener, Ordering::SeqCst);
}

fn adopted() -> bool {
    LISTENER.load(Ordering::Relaxed) >= 0
}

fn errno() -> c_int {
    // SAFETY: the C library answers with this thread's own, which is always there.
    unsafe { *__errno_location() }
}

fn fail(code: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { *__errno_location() = code };
    -1
}

/// Returns whether the socket is a connection or the listener of the relay. Preserves `errno`, which the callers
/// inspect afterwards.
fn is_ours(fd: c_int) -> bool {
    if !adopted() {
        return false;
    }
    let before = errno();
    let (mut domain, mut bytes): (c_int, u32) = (0, size_of::<c_int>() as u32);
    // SAFETY: both pointers are valid for the call.
    let outcome = unsafe {
        syscall(SYS_GETSOCKOPT, fd, SOL_SOCKET, SO_DOMAIN, &raw mut domain, &raw mut bytes)
    };
    fail(before);
    outcome == 0 && domain == AF_UNIX
}

/// Writes the address that the engine expects, its own port on the loopback interface: it cannot parse a Unix one.
///
/// # Safety
/// `address` is null or valid for `*length` bytes, `length` valid.
unsafe fn write_address(address: *mut c_void, length: *mut u32) {
    if address.is_null() || length.is_null() {
        return;
    }
    let port = PORT.load(Ordering::Relaxed).to_be_bytes();
    let value = InternetAddress { family: AF_INET, port, address: LOOPBACK, zero: [0; 8] };
    // SAFETY: no more than the caller's room is written.
    unsafe {
        let room = (*length).min(ADDRESS_BYTES) as usize;
        std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), address.cast(), room);
        *length = ADDRESS_BYTES;
    }
}

/// # Safety
/// As libc's `bind`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn bind(fd: c_int, address: *const c_void, length: u32) -> c_int {
    let listener = LISTENER.load(Ordering::SeqCst);
    if listener >= 0 && length >= ADDRESS_BYTES {
        // SAFETY: the caller's address is valid for `length` bytes.
        let wanted = unsafe { address.cast::<InternetAddress>().read_unaligned() };
        let port = PORT.load(Ordering::SeqCst).to_be_bytes();
        if wanted.family == AF_INET && wanted.address == LOOPBACK && wanted.port == port {
            // SAFETY: both are open descriptors of this process.
            return if unsafe { dup2(listener, fd) } < 0 { -1 } else { 0 };
        }
    }
    // SAFETY: the caller's arguments as they came.
    unsafe { syscall(SYS_BIND, fd, address, length) as c_int }
}

/// # Safety
/// As libc's `accept`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn accept(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int {
    let null = std::ptr::null_mut::<c_void>();
    if !is_ours(fd) {
        // SAFETY: the caller's arguments as they came.
        return unsafe { syscall(SYS_ACCEPT4, fd, address, length, 0) as c_int };
    }
    // SAFETY: null is allowed for the address; the greeting outlives the call.
    unsafe {
        let accepted = syscall(SYS_ACCEPT4, fd, null, null, SOCK_CLOEXEC) as c_int;
        if accepted < 0 {
            return accepted;
        }
        // The relay has given up waiting. To the engine it is as if the connection had never been made.
        if syscall(SYS_SENDTO, accepted, &raw const GREETING, 1_usize, MSG_NOSIGNAL, null, 0) != 1 {
            close(accepted);
            return fail(ECONNABORTED);
        }
        write_address(address, length);
        accepted
    }
}

/// # Safety
/// As libc's `getsockname`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getsockname(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the caller's arguments as they came.
    unsafe { name(SYS_GETSOCKNAME, fd, address, length) }
}

/// # Safety
/// As libc's `getpeername`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getpeername(fd: c_int, address: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the caller's arguments as they came.
    unsafe { name(SYS_GETPEERNAME, fd, address, length) }
}

/// # Safety
/// As libc's calls of these names.
unsafe fn name(call: c_long, fd: c_int, address: *mut c_void, length: *mut u32) -> c_int {
    // SAFETY: the caller's arguments as they came.
    unsafe {
        if is_ours(fd) {
            write_address(address, length);
            return 0;
        }
        syscall(call, fd, address, length) as c_int
    }
}

/// # Safety
/// As libc's `setsockopt`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: u32,
) -> c_int {
    // A Unix socket has no Nagle to turn off.
    if level == IPPROTO_TCP && is_ours(fd) {
        return 0;
    }
    // SAFETY: the caller's arguments as they came.
    unsafe { syscall(SYS_SETSOCKOPT, fd, level, option, value, length) as c_int }
}

/// # Safety
/// As libc's `shutdown`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    // SAFETY: touches no memory of ours.
    let outcome = unsafe { syscall(SYS_SHUTDOWN, fd, how) as c_int };
    if outcome < 0 && errno() == ENOTCONN && is_ours(fd) { 0 } else { outcome }
}

/// # Safety
/// As libc's `send`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn send(fd: c_int, bytes: *const c_void, length: usize, flags: c_int) -> isize {
    let null = std::ptr::null_mut::<c_void>();
    // SAFETY: the caller's arguments as they came.
    let sent = unsafe { syscall(SYS_SENDTO, fd, bytes, length, flags, null, 0) };
    if sent < 0 && matches!(errno(), EPIPE | ECONNRESET) && is_ours(fd) {
        // Reported as sent, because an exception here aborts the engine. The next read finds the end of input.
        return length.cast_signed();
    }
    sent as isize
}

/// # Safety
/// As libc's `recv`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn recv(fd: c_int, bytes: *mut c_void, length: usize, flags: c_int) -> isize {
    let null = std::ptr::null_mut::<c_void>();
    // SAFETY: the caller's arguments as they came.
    let received = unsafe { syscall(SYS_RECVFROM, fd, bytes, length, flags, null, null) };
    if received < 0 && errno() == ECONNRESET && is_ours(fd) {
        return 0;
    }
    received as isize
}
