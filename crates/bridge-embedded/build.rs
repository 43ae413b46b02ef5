//! Compiles the launcher, the small program that the library carries and runs the engine in.
//!
//! On a target without an engine the launcher is empty: the crate builds everywhere and says at run time
//! that a server's URL is needed.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const SUPPORTED: &str = "x86_64-unknown-linux-gnu";

/// The calls of `launcher/sockets.rs` and `launcher/files.rs` that the engine's library is to find before libc's.
const INTERPOSED: [&str; 12] = [
    "accept",
    "bind",
    "getpeername",
    "getsockname",
    "recv",
    "send",
    "setsockopt",
    "shutdown",
    "write",
    "fsync",
    "fdatasync",
    "close",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=launcher");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let launcher = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("launcher");
    let target = env::var("TARGET")?;
    if target != SUPPORTED {
        return Ok(fs::write(launcher, [])?);
    }

    let mut rustc = Command::new(env::var_os("RUSTC").ok_or("RUSTC is not set")?);
    rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name=bridge_launcher", "--target", &target]);
    rustc.args(["-Copt-level=s", "-Cstrip=symbols", "-Ccodegen-units=1"]);
    for call in INTERPOSED {
        rustc.arg(format!("-Clink-arg=-Wl,--export-dynamic-symbol={call}"));
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut setting = OsString::from("-Clinker=");
        setting.push(linker);
        rustc.arg(setting);
    }
    let status = rustc.arg("-o").arg(&launcher).arg("launcher/main.rs").status()?;
    if !status.success() {
        return Err(format!("the launcher did not compile: {status}").into());
    }
    Ok(())
}
