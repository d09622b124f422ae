//! A real browser: Debian's Chromium, driven through its WebDriver, chromedriver.
//!
//! A test has its own browser with an empty profile. One runs at a time in this process, at low priority: the tests
//! beside it must not wait for it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::LoggingPrefsLogLevel;
use thirtyfour::prelude::*;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::binary::TIMEOUT;

/// The widths at which pages are looked at, in CSS pixels: a small phone, a laptop.
pub const WIDTHS: [u32; 2] = [360, 1280];

/// One browser at a time: on two cores, another one would make the tests that measure time fail.
static SLOTS: Semaphore = Semaphore::const_new(1);

/// The colors that a person prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// chromedriver, and the browser that it starts. Killed by their id when dropped.
struct ChromeDriver {
    child: Child,
    port: u16,
}

impl ChromeDriver {
    /// Starts one on a free port, in a process group of its own, with all that it writes in `home`.
    fn start(home: &Path) -> Self {
        let mut command = Command::new("nice");
        command.args(["-n", "10"]).process_group(0);
        // As root, Chromium would raise its priority.
        if rustix::process::geteuid().is_root() {
            command.args(["setpriv", "--bounding-set=-sys_nice"]);
        }
        command.args(["chromedriver", "--port=0"]);
        command.envs(["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name, home)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let mut driver = Self { child, port: 0 };
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let _ = tell.send(port.trim_end_matches('.').parse().unwrap());
                }
            }
        });
        let port = told.recv_timeout(TIMEOUT);
        driver.port =
            port.unwrap_or_else(|_| panic!("chromedriver does not start; scripts/test installs it"));
        driver
    }
}

impl Drop for ChromeDriver {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
        // Until its last process has let go of its files, which are about to be removed.
        for _ in 0..400 {
            if test_kill_process_group(group).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A person's browser.
pub struct Browser {
    driver: WebDriver,
    // In the order in which they end.
    process: ChromeDriver,
    home: TempDir,
    _slot: SemaphorePermit<'static>,
}

impl Browser {
    /// A browser with an empty profile.
    pub async fn start() -> Self {
        Self::with_preferences(&json!({})).await
    }

    /// A browser that keeps no cookies.
    pub async fn without_cookies() -> Self {
        Self::with_preferences(&json!({ "profile.default_content_setting_values.cookies": 2 })).await
    }

    async fn with_preferences(preferences: &Value) -> Self {
        let slot = SLOTS.acquire().await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let process = ChromeDriver::start(home.path());
        let mut capabilities = DesiredCapabilities::chrome();
        for flag in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            "--no-first-run",
            "--no-proxy-server",
            "--hide-scrollbars",
        ] {
            capabilities.add_arg(flag).unwrap();
        }
        let profile = home.path().join("profile");
        capabilities.add_arg(&format!("--user-data-dir={}", profile.display())).unwrap();
        capabilities.add_experimental_option("prefs", preferences).unwrap();
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver =
            WebDriver::new(format!("http://127.0.0.1:{}", process.port), capabilities).await.unwrap();
        let browser = Self { driver, process, home, _slot: slot };
        browser.wear(1280, Scheme::Light).await;
        browser
    }

    /// The directory of the browser's files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command of the Chrome DevTools Protocol.
    pub async fn cdp(&self, method: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(method, parameters).await.unwrap()
    }

    /// A command of chromedriver that its client does not have (W3C WebDriver §6.3).
    pub async fn webdriver(&self, path: &str, body: &Value) -> Value {
        let session = self.driver.session_id();
        let url = format!("http://127.0.0.1:{}/session/{session}/{path}", self.process.port);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.post(url).json(body).send().await.unwrap();
        let (status, mut answer) = (response.status(), response.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{path}: {answer}");
        answer["value"].take()
    }

    /// Plugs in an authenticator with passkeys, which finds its user there and willing (WebAuthn §11).
    pub async fn plug_in_authenticator(&self) -> String {
        let authenticator = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "isUserConsenting": true,
        });
        self.webdriver("webauthn/authenticator", &authenticator).await.as_str().unwrap().to_owned()
    }

    /// Makes the window so wide, with these colors.
    pub async fn wear(&self, width: u32, scheme: Scheme) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme.name() });
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// Prefers these languages from now on, as in the header `Accept-Language`.
    pub async fn speak(&self, languages: &str) {
        self.cdp("Network.enable", json!({})).await;
        let headers = json!({ "headers": { "Accept-Language": languages } });
        self.cdp("Network.setExtraHTTPHeaders", headers).await;
    }

    /// Turns the scripts of pages on or off, from the next page on.
    pub async fn scripts(&self, are_on: bool) {
        self.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": !are_on })).await;
    }

    /// Follows an address as typed in.
    pub async fn goto(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        self.driver.current_url().await.unwrap().to_string()
    }

    /// Waits until it is somewhere.
    pub async fn arrives(&self, is_there: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let url = self.url().await;
            if is_there(&url) {
                return url;
            }
            assert!(Instant::now() < deadline, "still at {url}:\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an element is there.
    pub async fn finds(&self, css: &str) -> WebElement {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match self.driver.find(By::Css(css)).await {
                Ok(element) => return element,
                Err(e) if Instant::now() > deadline => {
                    panic!("no {css} at {}: {e}:\n{}", self.url().await, self.text().await)
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// What a person reads on the page.
    pub async fn text(&self) -> String {
        match self.driver.find(By::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// What a script of the page gives back.
    pub async fn evaluate(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Types into the field of this `autocomplete`.
    pub async fn fill(&self, autocomplete: &str, value: &str) {
        let field = self.finds(&format!("input[autocomplete~={autocomplete}]")).await;
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    /// Presses the first button of the page's main form, and waits for the page that follows.
    pub async fn submit(&self) {
        self.press("form[method=post] button").await;
    }

    /// Presses a button or follows a link, and waits for the page that follows.
    pub async fn press(&self, css: &str) {
        let page = self.finds("html").await;
        self.finds(css).await.click().await.unwrap();
        let deadline = Instant::now() + TIMEOUT;
        // The old page's elements are gone once there is a new one.
        while page.tag_name().await.is_ok() {
            assert!(Instant::now() < deadline, "{css} leads nowhere:\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Signs in on the sign-in page that it is at.
    pub async fn sign_in(&self, username: &str, password: &str) {
        self.fill("username", username).await;
        self.fill("current-password", password).await;
        self.submit().await;
    }

    /// What the pages and the browser wrote to the console since this was last asked; refused styles and scripts, too.
    /// Not that a page has the status of an error.
    pub async fn console(&self) -> Vec<String> {
        let page = format!(
            "{} - Failed to load resource: the server responded with a status of 4",
            self.url().await
        );
        let entries = self.driver.browser_log().await.unwrap();
        let lines = entries.into_iter().map(|entry| entry.message);
        // Chromium's own pages have errors as well.
        lines.filter(|line| !line.starts_with(&page) && !line.starts_with("chrome://")).collect()
    }

    /// Writes a picture of the whole page to `target/screenshots/`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let metrics = self.cdp("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let what = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.cdp("Page.captureScreenshot", what).await;
        let picture = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            picture["data"].as_str().unwrap(),
        );
        let directory = target().join("screenshots");
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("{name}.png"));
        std::fs::write(&path, picture.unwrap()).unwrap();
        path
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It would wait for an answer on a connection of this thread's runtime. The process ends anyway.
        let _ = self.driver.clone().leak();
    }
}

/// axe-core, which finds what makes a page hard to use for people with disabilities.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let find = "import importlib.util as u; print(u.find_spec('axe_playwright_python').submodule_search_locations[0])";
    let output = Command::new(crate::mail::python()).args(["-c", find]).output().unwrap();
    let package = String::from_utf8(output.stdout).unwrap();
    let path = Path::new(package.trim()).join("axe.min.js");
    std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; scripts/test installs it", path.display()))
});

/// Runs axe-core; each violation as a line.
const RUN_AXE: &str = r"
const done = arguments[arguments.length - 1];
const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
axe.run(document, { runOnly: { type: 'tag', values } }).then(
  ({ violations }) => done(violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html}: ${failureSummary}`))),
  (error) => done([`axe-core failed: ${error}`]),
);";

impl Browser {
    /// What violates WCAG 2.2, level A or AA, on the page as it is now, as far as axe-core can tell; and whether it has to
    /// be scrolled sideways (1.4.10).
    pub async fn violations(&self) -> Vec<String> {
        self.driver.execute(AXE.as_str(), Vec::new()).await.unwrap();
        let found = self.driver.execute_async(RUN_AXE, Vec::new()).await.unwrap();
        let mut violations: Vec<String> = found.convert().unwrap();
        let width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let too_wide = self.evaluate(width).await;
        if too_wide != 0 {
            violations.push(format!("reflow: the page is {too_wide} pixels too wide"));
        }
        violations
    }

    /// Looks at the page in light and dark, at each width: pictures, and what violates WCAG.
    pub async fn examine(&self, page: &str) -> Vec<String> {
        let lang = self.evaluate("return document.documentElement.lang").await;
        let lang = lang.as_str().unwrap().to_owned();
        let mut violations = Vec::new();
        for scheme in Scheme::ALL {
            for width in WIDTHS {
                self.wear(width, scheme).await;
                let name = format!("{page}-{lang}-{width}-{}", scheme.name());
                self.screenshot(&name).await;
                violations
                    .extend(self.violations().await.into_iter().map(|found| format!("{name}: {found}")));
            }
        }
        violations
            .extend(self.console().await.into_iter().map(|line| format!("{page}: the console says {line}")));
        violations
    }
}

/// The folder of what is built.
fn target() -> PathBuf {
    // target/debug/tenantry
    crate::binary::binary().ancestors().nth(2).unwrap().to_owned()
}

/// The processes of a browser that are alive.
fn processes_in(home: &Path) -> Vec<String> {
    let home = home.to_str().unwrap();
    let mut alive = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if arguments.contains(home) {
            alive.push(arguments);
        }
    }
    alive
}

/// Swagger UI: a page with scripts, that sends requests.
#[tokio::test]
async fn a_browser_opens_a_page_and_ends_with_its_test() {
    let t = crate::harness::T::start().await;
    let browser = Browser::start().await;
    browser.goto(&format!("http://{}/docs/", t.address)).await;
    browser.finds("#operations-users-create_user").await;
    assert!(browser.text().await.contains("User management for multi-tenant products"));
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.wear(360, Scheme::Dark).await;
    assert_eq!(browser.evaluate("return innerWidth").await, 360);
    let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(browser.evaluate(dark).await, true);
    let picture = std::fs::read(browser.screenshot("docs-en-360-dark").await).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    // axe-core runs, and finds what is wrong.
    browser
        .goto("data:text/html,<!doctype html><img src=x><p style='color:%23999;width:400px'>Hello</p>")
        .await;
    let found = browser.violations().await.join("\n");
    for rule in ["html-has-lang", "document-title", "image-alt", "color-contrast", "reflow"] {
        assert!(found.contains(rule), "{rule}: {found}");
    }
    let home = browser.home().to_owned();
    assert!(!processes_in(&home).is_empty());
    drop(browser);
    // Chromium's own children end by themselves, a moment after it.
    let deadline = Instant::now() + TIMEOUT;
    while !processes_in(&home).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", processes_in(&home));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!home.exists());
}
