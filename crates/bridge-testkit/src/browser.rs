//! Headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bridge_core::Stopwatch;
use serde_json::{Value, json};

/// Longer than any step takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The color scheme that a person prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light page.
    Light,
    /// Light text on a dark page.
    Dark,
}

/// A browser with one tab. It ends when it is dropped.
///
/// Every method panics if Chromium does not do as it is asked within a minute.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The session of the tab.
    session: String,
    next_id: u64,
    /// The errors and warnings of the page so far.
    complaints: Vec<String>,
    /// The URLs that it requested.
    requests: Vec<String>,
}

impl Browser {
    /// Starts Chromium: the program in `CHROMIUM`, or `chromium`. `profile` is an empty folder.
    #[must_use]
    pub fn start(profile: &Path) -> Self {
        let program = std::env::var_os("CHROMIUM").unwrap_or_else(|| "chromium".into());
        // It reads commands from file 3 and writes answers to file 4.
        let script = r#"exec "$0" --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars \
            --disable-background-networking --disable-component-update --remote-debugging-pipe \
            --user-data-dir="$1" about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;
        let mut process = Command::new("sh")
            .args(["-c", script])
            .args([program.as_os_str(), profile.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("messages are JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let session = String::new();
        let (complaints, requests) = (Vec::new(), Vec::new());
        let mut browser = Self { process, input, messages, session, next_id: 0, complaints, requests };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().expect("the tab has a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a page, and waits until it and what it needs is loaded.
    pub fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.wait_until("document.readyState === 'complete'");
    }

    /// Returns the value of a JavaScript expression, awaited if it is a promise.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until a JavaScript expression is true.
    pub fn wait_until(&mut self, expression: &str) {
        let waiting = Stopwatch::start();
        while self.evaluate(&format!("Boolean({expression})")) != true {
            assert!(waiting.elapsed() < DEADLINE, "not within {DEADLINE:?}: {expression}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Shows the page in a window of this size, under this color scheme.
    pub fn show_as(&mut self, width: u32, height: u32, theme: Theme) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if theme == Theme::Dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Presses a key, named as in `KeyboardEvent.key`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            other => panic!("no code for {other}"),
        };
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Allows scripts that the page's policy forbids, for tools that examine it.
    pub fn bypass_policy(&mut self) {
        self.call("Page.setBypassCSP", &json!({ "enabled": true }));
    }

    /// Turns scripts on or off, from the next page on.
    pub fn set_scripts(&mut self, enabled: bool) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({ "value": !enabled }));
    }

    /// Returns a picture of the window as PNG.
    pub fn screenshot(&mut self) -> Vec<u8> {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let picture = answer["data"].as_str().expect("the picture is a text");
        BASE64_STANDARD.decode(picture).expect("the picture is in base64")
    }

    /// Returns what the page complained about so far: errors, warnings of the policy, dialogs.
    pub fn complaints(&mut self) -> &[String] {
        // Events that precede the answer are read before it.
        self.evaluate("0");
        &self.complaints
    }

    /// Returns the URLs that the page requested so far.
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.next_id += 1;
        let mut message = json!({ "id": self.next_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let sent = self.input.write_all(format!("{message}\0").as_bytes());
        sent.expect("Chromium runs; it is Debian's package `chromium`, or the program in CHROMIUM");
        let waiting = Stopwatch::start();
        loop {
            let left = DEADLINE.saturating_sub(waiting.elapsed());
            let mut answer = self.messages.recv_timeout(left).unwrap_or_else(|error| {
                panic!(
                    "{method}: {error}; Chromium is Debian's package `chromium`, or the program in CHROMIUM"
                )
            });
            if answer["id"] == self.next_id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(parameters["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if parameters["type"] == "error" => {
                self.complaints.push(parameters["args"].to_string());
            }
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            "Page.javascriptDialogOpening" => self.complaints.push(parameters.to_string()),
            "Network.requestWillBeSent" => {
                let url = parameters["request"]["url"].as_str().unwrap_or_default();
                self.requests.push(url.to_owned());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that has ended already cannot be killed, and that is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
