//! The terminal: one line with the state, below everything that is logged.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Goes to the start of the line and erases it.
const ERASE: &str = "\r\x1b[K";
/// Cuts off what is longer than the terminal is wide, in place of another line.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// A terminal and the line that it shows; empty if it shows none. Events are logged to standard error, above the line.
#[derive(Debug, Clone, Default)]
pub struct Terminal(Arc<Mutex<String>>);

impl Terminal {
    /// Shows the line in place of the one before.
    pub fn show(&self, line: String) {
        let mut shown = self.shown();
        if *shown != line {
            *shown = line;
            // A terminal that is gone shows nothing.
            let _ = draw(&mut io::stdout(), &shown);
        }
    }

    /// Ends the line, so that what is printed next is below it.
    pub fn end(&self) {
        if !std::mem::take(&mut *self.shown()).is_empty() {
            println!();
        }
    }

    fn shown(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = LogWriter<'a>;

    fn make_writer(&'a self) -> LogWriter<'a> {
        LogWriter(self)
    }
}

/// Writes whole events of the log.
#[derive(Debug)]
pub struct LogWriter<'a>(&'a Terminal);

impl Write for LogWriter<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        log(&mut io::stdout(), &mut io::stderr(), &self.0.shown(), event)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn draw(terminal: &mut impl Write, line: &str) -> io::Result<()> {
    write!(terminal, "{ERASE}{NO_WRAP}{line}{WRAP}")?;
    terminal.flush()
}

/// Writes an event. The log may be a file, so only the terminal gets what moves its cursor.
fn log(terminal: &mut impl Write, log: &mut impl Write, line: &str, event: &[u8]) -> io::Result<()> {
    if line.is_empty() {
        return log.write_all(event);
    }
    write!(terminal, "{ERASE}")?;
    terminal.flush()?;
    log.write_all(event)?;
    log.flush()?;
    draw(terminal, line)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Two outputs that show on one screen.
    #[derive(Debug, Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn events_are_logged_above_the_line() {
        let screen = Screen::default();
        log(&mut screen.clone(), &mut screen.clone(), "42 tokens", b"WARN slow\n").unwrap();
        let expected = format!("{ERASE}WARN slow\n{ERASE}{NO_WRAP}42 tokens{WRAP}");
        assert_eq!(String::from_utf8_lossy(&screen.0.borrow()), expected);
    }

    #[test]
    fn a_log_in_a_file_has_nothing_but_events() {
        for line in ["", "42 tokens"] {
            let (terminal, file) = (Screen::default(), Screen::default());
            log(&mut terminal.clone(), &mut file.clone(), line, b"WARN slow\n").unwrap();
            assert_eq!(*file.0.borrow(), b"WARN slow\n");
            assert_eq!(terminal.0.borrow().is_empty(), line.is_empty());
        }
    }
}
