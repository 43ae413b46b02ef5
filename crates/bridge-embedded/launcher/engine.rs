//! The engine's process: a ClickHouse server in the loaded library, until its standard input ends.

use std::ffi::{CString, OsString};
use std::io::{PipeWriter, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Reason, expect, sandbox, sockets, sys};

/// Write end of the engine's standard input. The engine exits when it is dropped.
type Lifeline = Arc<Mutex<Option<PipeWriter>>>;

/// Runs the engine: `<libchdb.so> <descriptor of its listener> <port> <engine arguments>`.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<u8, Reason> {
    let mut arguments = arguments.into_iter();
    let library = PathBuf::from(expect(&mut arguments, "path of the library")?);
    let listener = number(&mut arguments, "descriptor of the listener")?;
    let port: u16 = number(&mut arguments, "port")?;
    sockets::adopt(listener, port);
    let mut engine_arguments = vec![CString::from(c"clickhouse"), CString::new(format!("--http_port={port}"))?];
    for argument in arguments {
        engine_arguments.push(CString::new(argument.into_vec())?);
    }

    // SIGTERM would end the engine without a clean shutdown. It is blocked before the library starts threads, which
    // inherit the mask.
    let signals = sys::ShutdownSignals::block()?;
    sys::keep_stdout_open(std::fs::File::options().write(true).open("/dev/null")?)?;
    let (engine_end, our_end) = std::io::pipe()?;
    let mut supervisor_end = sys::replace_stdin(engine_end)?;
    let engine = sys::LoadedEngine::load(&library)?;
    sandbox::enter(&library)?;
    let lifeline: Lifeline = Arc::new(Mutex::new(Some(our_end)));

    let held = Arc::clone(&lifeline);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        signals.wait();
        close(&held);
    })?;
    std::thread::Builder::new().name("supervisor".into()).spawn(move || {
        // The supervisor writes nothing: the read ends when it drops its end or dies.
        let _ = supervisor_end.read(&mut [0]);
        close(&lifeline);
    })?;

    let status = engine.run(&engine_arguments)?;
    sys::exit_now(status)
}

fn number<T: FromStr>(arguments: &mut impl Iterator<Item = OsString>, name: &str) -> Result<T, Reason> {
    let text = expect(arguments, name)?;
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("no number: {name}").into())
}

fn close(lifeline: &Lifeline) {
    lifeline.lock().unwrap_or_else(PoisonError::into_inner).take();
}
