//! Memory of the process: its peak, and the return of freed memory to the system.

/// Returns the peak of the resident memory of the process in MiB, or 0 on systems other than Linux.
#[must_use]
pub fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u32>().ok());
    kib.map_or(0.0, |kib| f64::from(kib) / 1024.0)
}

/// Returns freed memory to the system.
///
/// A run over a whole history allocates on many threads, and glibc keeps what each of them freed in an arena of its
/// own for reuse: 20 MiB after one backfill, 40 after another. A service that is idle for hours
/// between runs would hold them all the time. Fewer arenas (`M_ARENA_MAX`) are not an option, because that is a setting
/// of the whole process, which belongs to the embedder. Other allocators return memory by themselves.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn return_freed_memory() {
    #[expect(
        unsafe_code,
        reason = "a foreign function; it takes no pointer, and any thread may call it at any time"
    )]
    // SAFETY: `malloc_trim` is thread-safe, and only releases pages that hold no allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators return memory by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn return_freed_memory() {}
