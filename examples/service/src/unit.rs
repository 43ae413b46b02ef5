//! Units for the system's service managers. They are printed: installing them is up to the administrator.

use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Returns the user whose transcripts are read: the one of this environment, or who became root by `sudo`.
#[must_use]
pub fn user(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let named = |name: &&str| variable(name).filter(|user| !user.is_empty());
    let user = ["USER", "LOGNAME"].iter().find_map(named)?;
    if user == "root" { named(&"SUDO_USER").or(Some(user)) } else { Some(user) }
}

/// Returns a unit for systemd: for `/etc/systemd/system` with the user whose transcripts are read, without a user for
/// `~/.config/systemd/user`.
#[must_use]
pub fn systemd(program: &Path, settings: &Settings, user: Option<&str>) -> String {
    // In a unit `%` begins a specifier, and `\` and `"` end a quoted text.
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        format!("\"{text}\"")
    };
    // Variables are replaced in arguments only, not in the path of the program.
    let argument = |(name, value): &(&str, String)| format!(" {name} {}", quoted(value).replace('$', "$$"));
    let arguments: String = arguments(settings).iter().map(argument).collect();
    let user_line = user.map_or_else(String::new, |user| format!("User={}\n", user.replace('%', "%%")));
    let target = if user.is_some() { "multi-user.target" } else { "default.target" };
    format!(
        "[Unit]\n\
         Description=Token usage of AI coding sessions\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         \n\
         [Service]\n\
         ExecStart={}{arguments}\n\
         WorkingDirectory={}\n\
         {user_line}\
         Restart=on-failure\n\
         RestartSec=5\n\
         # Wrong settings do not become right by a restart.\n\
         RestartPreventExitStatus=2\n\
         TimeoutStopSec=15\n\
         NoNewPrivileges=yes\n\
         PrivateTmp=yes\n\
         \n\
         [Install]\n\
         WantedBy={target}\n",
        quoted(&program.display().to_string()),
        folder().display().to_string().replace('%', "%%"),
    )
}

/// Returns a property list for launchd, for `~/Library/LaunchAgents/token-bridge.plist`, with the log in a folder.
#[must_use]
pub fn launchd(program: &Path, settings: &Settings, logs: &Path) -> String {
    let text = |path: &Path| format!("<string>{}</string>", escaped(&path.display().to_string()));
    let mut all = text(program);
    for (name, value) in arguments(settings) {
        all += &format!("\n    <string>{name}</string>\n    <string>{}</string>", escaped(&value));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n\
         <dict>\n  \
           <key>Label</key>\n  <string>token-bridge</string>\n  \
           <key>ProgramArguments</key>\n  <array>\n    {all}\n  </array>\n  \
           <key>WorkingDirectory</key>\n  {}\n  \
           <key>RunAtLoad</key>\n  <true/>\n  \
           <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n  \
         <!-- launchd restarts after any failure: wrong settings, too, are read again each minute. -->\n  \
           <key>ThrottleInterval</key>\n  <integer>60</integer>\n  \
           <key>StandardErrorPath</key>\n  {}\n\
         </dict>\n\
         </plist>\n",
        text(&folder()),
        text(&logs.join("token-bridge.log")),
    )
}

/// Returns the arguments with which the service was called, by name.
fn arguments(settings: &Settings) -> Vec<(&'static str, String)> {
    let file = settings.file.as_ref().map(|file| ("--config", file.display().to_string()));
    let listen = settings.listen_argument.clone().map(|address| ("--listen", address));
    file.into_iter().chain(listen).collect()
}

/// Returns the folder at which relative paths start.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_break_out_of_their_place() {
        let program = Path::new("/opt/a \"b\" 100%/<$HOME>&");
        let settings = Settings { file: Some("/etc/$HOME 100%.toml".into()), ..Settings::default() };
        let unit = systemd(program, &settings, Some("me"));
        let start = r#"ExecStart="/opt/a \"b\" 100%%/<$HOME>&" --config "/etc/$$HOME 100%%.toml""#;
        assert!(unit.contains(start), "{unit}");
        let list = launchd(program, &settings, Path::new("/logs <1>"));
        for path in [
            "/opt/a \"b\" 100%/&lt;$HOME&gt;&amp;",
            "/etc/$HOME 100%.toml",
            "/logs &lt;1&gt;/token-bridge.log",
        ] {
            assert!(list.contains(&format!("<string>{path}</string>")), "{list}");
        }
    }

    #[test]
    fn a_unit_of_the_system_names_its_user() {
        let unit = |user| systemd(Path::new("/opt/token-bridge"), &Settings::default(), user);
        assert!(unit(Some("me")).contains("\nUser=me\n"), "{}", unit(Some("me")));
        assert!(!unit(None).contains("User="), "{}", unit(None));
    }
}
