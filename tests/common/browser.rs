//! Pages in a headless browser.

use crate::common::{Running, assert_ended, text, tool};

/// The document that chromium builds from a page, after its scripts have run, and the browser's
/// messages.
pub fn rendered(url: &str, options: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let mut browser = tool("chromium");
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(url);
    let output = Running::start(browser).finish();
    assert_ended(&output, 0);
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    (text(&output.stdout), messages)
}
