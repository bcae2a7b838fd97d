//! The page of a comparison in a headless browser.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::browser::rendered;

const GROUPS: [(&str, f64); 3] = [("native", 1.0), ("docker", 0.98), ("kvm", 0.6)];
const CONCURRENCIES: [u32; 6] = [1, 2, 4, 8, 16, 32];
const TESTS: usize = 6;
/// How many of them write, and therefore fsync.
const WRITING_TESTS: usize = 2;

/// Asks the browser what a reader would see: charts, elements that extend beyond their chart or the
/// page, and overlapping labels.
const PROBE: &str = r#"<script>
const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
const within = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
let cut = 0, overlapping = 0;
for (const svg of document.querySelectorAll("figure svg")) {
  const frame = svg.getBoundingClientRect();
  const labels = [...svg.querySelectorAll("text")].map(t => t.getBoundingClientRect());
  cut += labels.filter(l => !within(l, frame)).length;
  labels.forEach((a, i) => labels.slice(i + 1).forEach(b => { overlapping += apart(a, b) ? 0 : 1; }));
}
const page = document.documentElement;
document.body.innerHTML = "";
document.title = "probe";
const report = document.createElement("pre");
report.textContent = JSON.stringify(Object.assign(counts, {
  cut, overlapping, dark: getComputedStyle(document.body).backgroundColor !== "rgb(255, 255, 255)",
}));
document.body.append(report);
</script>"#;

/// Counted before the page is cleared.
const COUNTS: &str = r#"<script>
const counts = {
  width: innerWidth,
  bars: document.querySelectorAll("figure[data-chart=bars] svg rect").length,
  charts: document.querySelectorAll("figure.chart svg").length,
  lines: document.querySelectorAll("figure[data-chart=latency] svg polyline").length,
  segments: document.querySelectorAll("figure[data-chart=time] svg rect").length,
  unlabeled: [...document.querySelectorAll("figure[data-chart=time] svg")].filter(s => !s.ariaLabel).length,
  too_wide: document.documentElement.scrollWidth > innerWidth
    || [...document.querySelectorAll("body *")].some(e => e.getBoundingClientRect().right > innerWidth + 1),
};
</script>"#;

fn wbench(dir: &Path, line: &str) -> Vec<u8> {
    let mut command = assert_cmd::Command::cargo_bin("wbench").unwrap();
    let output = command
        .current_dir(dir)
        .args(line.split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// A time budget in which waiting for a CPU takes this many seconds.
fn accounting(contended: f64) -> Value {
    json!({
        "thread_s": 1.5 + contended, "user_s": 1.0, "system_s": 0.25, "contended_s": contended,
        "throttled_s": 0.0, "blocked_s": 0.2, "stolen_s": 0.1,
    })
}

/// Writes results of six tests in three groups at six concurrencies, three runs each, as one file.
fn results(dir: &Path) {
    let files = "--dir . --total-size 1M --files 2 --flags none --events 300";
    let patterns: Vec<Value> = [
        "cpu --max-prime 500 --events 300".to_owned(),
        "memory --total-size 16M --block-size 64K".to_owned(),
        format!("fileio --mode seqwr {files}"),
        format!("fileio --mode seqrd {files}"),
        format!("fileio --mode rndrd {files}"),
        format!("fileio --mode rndwr {files}"),
    ]
    .iter()
    .map(|line| serde_json::from_slice(&wbench(dir, &format!("{line} --json -"))).unwrap())
    .collect();
    assert_eq!(patterns.len(), TESTS);
    let mut all = Vec::new();
    for (i, pattern) in patterns.iter().enumerate() {
        for (g, (group, factor)) in GROUPS.iter().enumerate() {
            for concurrency in CONCURRENCIES {
                for instance in 0..3 {
                    let mut result = pattern.clone();
                    result["labels"] =
                        json!({"env": group, "concurrency": concurrency.to_string()});
                    let factor =
                        factor * (1.0 + 0.02 * f64::from(instance)) / f64::from(concurrency).sqrt();
                    for rate in ["events_per_s", "mib_per_s"] {
                        let value = pattern["rates"][rate].as_f64().unwrap() * factor;
                        result["rates"][rate] = json!(value);
                    }
                    result["accounting"] = accounting(1.0 / factor);
                    // Each group has the latencies of another run.
                    result["latency_ns"] = patterns[(i + g) % TESTS]["latency_ns"].clone();
                    all.push(result);
                }
            }
        }
    }
    fs::write(dir.join("all.json"), json!(all).to_string()).unwrap();
}

/// The page in a frame of this width: browser windows cannot be as narrow as a phone.
fn framed(page: &str, width: u32) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        r#"<!doctype html><meta name="color-scheme" content="light dark"><body>
<iframe style="width:{width}px; height:900px; border:0" srcdoc="{page}" onload="
document.body.append(this.contentDocument.querySelector('pre').cloneNode(true))"></iframe>"#
    )
}

/// What the probe reports for a page, and the browser's own messages.
fn look(page: &Path, dark: bool) -> (Value, String) {
    let scheme = if dark { 0 } else { 1 };
    let (dom, messages) = rendered(
        &format!("file://{}", page.display()),
        &[
            "--enable-logging=stderr",
            "--window-size=1400,1000",
            &format!("--blink-settings=preferredColorScheme={scheme}"),
        ],
    );
    let report = dom
        .split_once("<pre>")
        .and_then(|(_, rest)| rest.split_once("</pre>"));
    let (report, _) = report.unwrap_or_else(|| panic!("{messages}\n{dom}"));
    (serde_json::from_str(report).unwrap(), messages)
}

#[test]
fn the_page_shows_every_chart_at_any_width_with_nothing_cut_off_or_overlapping() {
    let dir = tempfile::tempdir().unwrap();
    results(dir.path());
    let line = "compare all.json --by env --baseline native --vary concurrency --format html --output page.html";
    wbench(dir.path(), line);
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    // The page loads nothing external.
    assert_eq!(page.matches("://").count(), 0);
    assert_eq!(
        page.matches("src=").count() + page.matches("@import").count(),
        0
    );
    let probed = page.replace("</body>", &format!("{COUNTS}{PROBE}</body>"));
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        let frame = dir.path().join("frame.html");
        fs::write(&frame, framed(&probed, width)).unwrap();
        let (seen, messages) = look(&frame, dark);
        let points = TESTS * CONCURRENCIES.len();
        assert_eq!(seen["width"], width, "{seen}");
        let of_fsyncs = WRITING_TESTS * CONCURRENCIES.len();
        assert_eq!(seen["charts"], TESTS + 2 * points + of_fsyncs, "{seen}");
        // User, system, contended, blocked, stolen; the remainder is negative.
        assert_eq!(seen["segments"], 5 * points * GROUPS.len(), "{seen}");
        assert_eq!(seen["unlabeled"], 0, "{seen}");
        assert_eq!(seen["bars"], points * GROUPS.len(), "{seen}");
        assert!(
            seen["lines"].as_u64().unwrap() as usize >= points * GROUPS.len(),
            "{seen}"
        );
        let faults = json!({"too_wide": false, "cut": 0, "overlapping": 0, "dark": dark});
        for (name, expected) in faults.as_object().unwrap() {
            assert_eq!(&seen[name], expected, "{name} at {width} pixels: {seen}");
        }
        assert!(!messages.contains("CONSOLE"), "{messages}");
    }
}

#[test]
fn names_in_the_page_are_never_markup() {
    let dir = tempfile::tempdir().unwrap();
    let label = "<script>alert(1)</script>";
    let run = format!("cpu --max-prime 100 --events 20 -q --json r.json --label env={label}");
    wbench(dir.path(), &run);
    let page = wbench(dir.path(), "compare r.json --by env --format html");
    let page = String::from_utf8(page).unwrap();
    assert!(
        !page.contains("<script") && page.contains("alert(1)"),
        "{page}"
    );
}
