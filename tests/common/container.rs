//! Containers that runc runs.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::common::{Running, tool};

/// Runs a new container from a bundle, a directory with its root in `rootfs`, with this
/// configuration.
pub fn run_bundle(bundle: &Path, config: &Value) -> Output {
    start_bundle(bundle, config).finish()
}

/// Like [`run_bundle`], but does not wait. The process ID of the container's process is written to
/// the file `pid` of the bundle.
pub fn start_bundle(bundle: &Path, config: &Value) -> Running {
    static CONTAINERS: AtomicU32 = AtomicU32::new(0);
    let number = CONTAINERS.fetch_add(1, Ordering::Relaxed);
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let mut runc = tool("runc");
    runc.arg("run")
        .arg("--pid-file")
        .arg(bundle.join("pid"))
        .arg("--bundle")
        .arg(bundle)
        .arg(format!("wbench-test-{}-{number}", std::process::id()));
    Running::start(runc)
}

/// A bind mount of a directory of the host, with `rw` or `ro` access.
pub fn bind_mount(source: &Path, destination: &str, access: &str) -> Value {
    json!({
        "destination": destination,
        "type": "bind",
        "source": source,
        "options": ["bind", access],
    })
}
