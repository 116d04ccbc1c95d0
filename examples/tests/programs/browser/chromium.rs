//! A headless Chromium without anything of a user's, spoken to in the DevTools protocol. It never outlives its test.

use std::cell::{Cell, RefCell};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tideway::Tasks;
use tideway::ws::{Socket, connect};
use tokio::runtime::Runtime;

/// Tells late from never.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Chromium {
    child: Child,
    runtime: Runtime,
    socket: RefCell<Socket>,
    calls: Cell<u64>,
    _profile: TempDir,
}

/// One page.
pub(crate) struct Tab<'a> {
    of: &'a Chromium,
    target: String,
    session: String,
}

impl Chromium {
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--no-first-run", "--mute-audio"])
            .args(["--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`chromium` starts; install it with: sudo apt-get install chromium");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut lines = log.lines().map_while(Result::ok);
        let url = lines
            .find_map(|line| {
                line.strip_prefix("DevTools listening on ")
                    .map(str::to_owned)
            })
            .expect("it says where it listens");
        // Its log goes on; a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let socket = runtime.block_on(async {
            let tasks: Arc<dyn Tasks> = tideway_driver::tasks(tideway_tokio::Tokio::current());
            connect(&tasks, &url).max_message(64 << 20).await
        });
        Self {
            child,
            runtime,
            socket: RefCell::new(socket.expect("its own address")),
            calls: Cell::new(0),
            _profile: profile,
        }
    }

    /// A page that has loaded.
    pub(crate) fn open(&self, url: &str) -> Tab<'_> {
        let made = self.call(None, "Target.createTarget", json!({ "url": url }));
        let target = made["targetId"].as_str().expect("an id").to_owned();
        let how = json!({ "targetId": target, "flatten": true });
        let attached = self.call(None, "Target.attachToTarget", how);
        let session = attached["sessionId"].as_str().expect("an id").to_owned();
        let tab = Tab {
            of: self,
            target,
            session,
        };
        tab.until("document.readyState === 'complete' && location.href !== 'about:blank'");
        tab
    }

    fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.calls.replace(self.calls.get() + 1);
        let mut call = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        let mut socket = self.socket.borrow_mut();
        let answered = async {
            socket.send_json(&call).await.expect("it is open");
            loop {
                let said = socket.recv_json::<Value>().await.expect("it is open");
                let said = said.expect("JSON");
                // Between answers it tells events.
                if said["id"] == id {
                    return said;
                }
            }
        };
        let limited = async { tokio::time::timeout(LIMIT, answered).await };
        let answer = self.runtime.block_on(limited);
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {call}"));
        assert!(answer["error"].is_null(), "{call}: {answer}");
        answer["result"].clone()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tab<'_> {
    /// What a script in the page comes to.
    pub(crate) fn run(&self, script: &str) -> Value {
        let script = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let result = self
            .of
            .call(Some(&self.session), "Runtime.evaluate", script);
        let threw = &result["exceptionDetails"];
        assert!(threw.is_null(), "{threw}");
        result["result"]["value"].clone()
    }

    /// Waits until `condition` holds in the page.
    pub(crate) fn until(&self, condition: &str) {
        let begun = Instant::now();
        while self.run(condition) != json!(true) {
            let page = || self.run("document.documentElement.innerText");
            assert!(begun.elapsed() < LIMIT, "{condition}, in: {}", page());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn close(self) {
        let which = json!({ "targetId": self.target });
        self.of.call(None, "Target.closeTarget", which);
    }
}
