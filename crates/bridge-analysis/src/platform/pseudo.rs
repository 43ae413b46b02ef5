//! Pseudo file systems of the kernel: they hold no transcripts, and reading them may never end.

#[cfg(target_os = "linux")]
use std::collections::HashSet;
use std::fs::Metadata;

/// The mounted pseudo file systems.
#[derive(Debug, Default)]
pub(crate) struct PseudoFileSystems {
    #[cfg(target_os = "linux")]
    devices: HashSet<u64>,
}

#[cfg(target_os = "linux")]
const KINDS: [&str; 14] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "securityfs",
    "configfs",
    "devpts",
    "mqueue",
    "pstore",
    "bpf",
    "binfmt_misc",
    "efivarfs",
];

impl PseudoFileSystems {
    /// Returns those that are mounted now; none if the system does not list its mounts.
    #[cfg(target_os = "linux")]
    pub(crate) fn mounted() -> Self {
        Self::listed(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn mounted() -> Self {
        Self::default()
    }

    /// Takes the lines of a `mountinfo`: `ID PARENT MAJOR:MINOR … - KIND …`.
    #[cfg(target_os = "linux")]
    fn listed(mounts: &str) -> Self {
        let device = |line: &str| {
            let (mount, file_system) = line.split_once(" - ")?;
            let kind = file_system.split(' ').next()?;
            let (major, minor) = mount.split(' ').nth(2)?.split_once(':')?;
            let device = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
            KINDS.contains(&kind).then_some(device)
        };
        Self { devices: mounts.lines().filter_map(device).collect() }
    }

    /// Returns whether a file or folder lies on one of them.
    #[cfg(target_os = "linux")]
    pub(crate) fn hold(&self, metadata: &Metadata) -> bool {
        self.devices.contains(&std::os::unix::fs::MetadataExt::dev(metadata))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn hold(&self, _: &Metadata) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_that_the_kernel_makes_up_are_listed() {
        let mounts = "22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
            23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            24 1 0:23 / /sys rw - sysfs sysfs rw\nnonsense\n";
        let listed = PseudoFileSystems::listed(mounts);
        assert_eq!(listed.devices, HashSet::from([libc::makedev(0, 21), libc::makedev(0, 23)]));
    }

    #[test]
    fn this_process_is_on_one_and_a_temporary_folder_is_not() {
        let mounted = PseudoFileSystems::mounted();
        assert!(mounted.hold(&std::fs::metadata("/proc/self").unwrap()));
        assert!(!mounted.hold(&tempfile::tempdir().unwrap().path().metadata().unwrap()));
    }
}
