//! Units for the system's service managers. They are printed: installing them is up to the administrator.

use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Returns a unit for systemd, for `/etc/systemd/system` or `~/.config/systemd/user`.
#[must_use]
pub fn systemd(program: &Path, settings: &Settings) -> String {
    let folder = folder();
    // In a unit `%` begins a specifier, and `\` and `"` end a quoted text.
    let quoted = |path: &Path| {
        let text = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        format!("\"{text}\"")
    };
    let arguments = match &settings.file {
        Some(file) => format!(" --config {}", quoted(&absolute(file))),
        None => String::new(),
    };
    format!(
        "[Unit]\n\
         Description=Token usage of AI coding sessions\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         \n\
         [Service]\n\
         ExecStart={}{arguments}\n\
         WorkingDirectory={}\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         # Wrong settings do not become right by a restart.\n\
         RestartPreventExitStatus=2\n\
         TimeoutStopSec=15\n\
         NoNewPrivileges=yes\n\
         PrivateTmp=yes\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        quoted(program),
        folder.display().to_string().replace('%', "%%"),
    )
}

/// Returns a property list for launchd, for `~/Library/LaunchAgents/token-usage.plist`.
#[must_use]
pub fn launchd(program: &Path, settings: &Settings) -> String {
    let text = |path: &Path| format!("<string>{}</string>", escaped(&path.display().to_string()));
    let mut arguments = text(program);
    if let Some(file) = &settings.file {
        arguments += &format!("\n    <string>--config</string>\n    {}", text(&absolute(file)));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n  \
           <key>Label</key>\n  <string>token-usage</string>\n  \
           <key>ProgramArguments</key>\n  <array>\n    {arguments}\n  </array>\n  \
           <key>WorkingDirectory</key>\n  {}\n  \
           <key>RunAtLoad</key>\n  <true/>\n  \
           <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n\
         </dict>\n\
         </plist>\n",
        text(&folder()),
    )
}

/// The folder in which the service is started, to which its settings are relative.
fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_break_out_of_their_place() {
        let program = Path::new("/opt/a \"b\" 100%/<service>&");
        let unit = systemd(program, &Settings::default());
        assert!(unit.contains(r#"ExecStart="/opt/a \"b\" 100%%/<service>&""#), "{unit}");
        let list = launchd(program, &Settings::default());
        assert!(list.contains("<string>/opt/a \"b\" 100%/&lt;service&gt;&amp;</string>"), "{list}");
    }
}
