//! How much memory the process has used.

/// The most memory that the process has held so far, in MiB; 0 where the system does not tell.
#[must_use]
pub fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib =
        line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u32>().ok());
    kib.map_or(0.0, |kib| f64::from(kib) / 1024.0)
}
