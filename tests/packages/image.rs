//! The container image, run as the manual says: by any user, on a read-only root, with only a
//! directory for the files mounted. Takes about 5 s plus the build of the binary.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::container::{bind_mount, run_bundle};
use crate::common::packaged::{make, package, released};
use crate::common::{Running, assert_ended, names_in, number, parsed, temp_dir, text, tool};

/// A user that no image defines.
const ANYONE: u32 = 12345;

/// A whole job on a small set.
const JOB: &str = "fileio --mode rndrw --files 2 --total-size 1M --events 100 --json -";

/// The image, and whether a second build gave the same bytes. Built once for all tests, which run
/// in parallel.
static ARCHIVE: LazyLock<(PathBuf, bool)> = LazyLock::new(|| {
    let build = || {
        make(&["image"]);
        let archive = package(".oci.tar");
        let bytes = fs::read(&archive).unwrap();
        (archive, bytes)
    };
    let (_, first) = build();
    let (archive, second) = build();
    (archive, first == second)
});

/// The parts of an image.
struct Image {
    layout: TempDir,
    config: Value,
    layer: PathBuf,
}

impl Image {
    fn unpack() -> Self {
        let layout = temp_dir();
        untar(&ARCHIVE.0, layout.path());
        let blob = |at: &Value| {
            let digest = at["digest"].as_str().expect("a digest");
            layout.path().join("blobs").join(digest.replace(':', "/"))
        };
        let read = |file: &Path| parsed(&fs::read(file).unwrap());
        let manifest = read(&blob(
            &read(&layout.path().join("index.json"))["manifests"][0],
        ));
        let [layer] = manifest["layers"].as_array().unwrap().as_slice() else {
            panic!("one layer is expected: {manifest:#}")
        };
        let layer = blob(layer);
        let config = read(&blob(&manifest["config"]))["config"].take();
        Self {
            layout,
            config,
            layer,
        }
    }

    fn strings(&self, field: &str) -> Vec<String> {
        serde_json::from_value(self.config[field].clone()).unwrap()
    }
}

fn untar(archive: &Path, directory: &Path) {
    let mut tar = tool("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(directory);
    assert_ended(&Running::start(tar).finish(), 0);
}

/// A container of the image, not yet started.
struct Container {
    image: Image,
    user: u32,
    /// What is mounted over the image's data directory.
    data: Option<Value>,
}

impl Container {
    fn new(data: Option<Value>) -> Self {
        let image = Image::unpack();
        fs::create_dir(image.layout.path().join("rootfs")).unwrap();
        untar(&image.layer, &image.layout.path().join("rootfs"));
        Self {
            image,
            user: ANYONE,
            data,
        }
    }

    fn root(&self) -> PathBuf {
        self.image.layout.path().join("rootfs")
    }

    /// Runs it with these arguments to the entry point, or with the image's default.
    fn run(&self, arguments: Option<&str>) -> Output {
        run_bundle(self.image.layout.path(), &self.config(arguments))
    }

    fn config(&self, arguments: Option<&str>) -> Value {
        let mut args = self.image.strings("Entrypoint");
        args.extend(arguments.map_or_else(
            || self.image.strings("Cmd"),
            |arguments| arguments.split(' ').map(Into::into).collect(),
        ));
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc"}),
            json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "ro"]}),
        ];
        mounts.extend(self.data.clone());
        let namespaces = ["pid", "mount", "ipc", "uts", "network"];
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": self.user, "gid": self.user},
                "args": args,
                "env": self.image.strings("Env"),
                "cwd": self.image.config["WorkingDir"],
                "noNewPrivileges": true,
                "capabilities": {},
            },
            "root": {"path": "rootfs", "readonly": true},
            "mounts": mounts,
            "linux": {"namespaces": namespaces.map(|kind| json!({"type": kind}))},
        })
    }

    /// Runs the job, which must fail with nothing but its result on standard output, and returns
    /// its message.
    #[track_caller]
    fn fails(&self) -> String {
        let output = self.run(Some(JOB));
        assert_ended(&output, 1);
        text(&output.stderr)
    }
}

/// A bind mount of a host directory over the data directory.
fn mounted(directory: &Path, access: &str) -> Option<Value> {
    Some(bind_mount(directory, "/data", access))
}

/// A directory that a user owns.
fn directory_of(user: u32) -> TempDir {
    let directory = temp_dir();
    chown(directory.path(), Some(user), Some(user)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn the_image_is_the_binary_and_an_empty_directory_in_less_than_5_mib() {
    assert!(fs::metadata(&ARCHIVE.0).unwrap().len() < 5 << 20);
    let container = Container::new(None);
    assert_eq!(names_in(&container.root()), ["data", "wbench"]);
    assert_eq!(names_in(&container.root().join("data")), [""; 0]);
    let inside = fs::read(container.root().join("wbench")).unwrap();
    assert!(inside == fs::read(released()).unwrap(), "another binary");
}

#[test]
fn any_user_can_run_it_on_a_read_only_root_with_only_the_data_directory_mounted() {
    for user in [0, ANYONE] {
        let data = directory_of(user);
        let mut container = Container::new(mounted(data.path(), "rw"));
        container.user = user;
        for (args, events) in [
            ("cpu --max-prime 100 --events 100 --json -", 100.0),
            ("memory --total-size 1M --json -", 1024.0),
            (JOB, 100.0),
        ] {
            let output = container.run(Some(args));
            assert_ended(&output, 0);
            let result = parsed(&output.stdout);
            assert_eq!(result["status"], "complete", "{args}");
            assert_eq!(number(&result, "/totals/events"), events, "{args}");
        }
        assert_eq!(names_in(data.path()), [""; 0], "the job cleans up");
        let output = container.run(Some(
            "cpu --max-prime 100 --events 1 --quiet --json cpu.json",
        ));
        assert_ended(&output, 0);
        assert_eq!(names_in(data.path()), ["cpu.json"]);
    }
}

#[test]
fn without_arguments_it_prints_its_usage() {
    let output = Container::new(None).run(None);
    assert_ended(&output, 0);
    assert!(text(&output.stdout).contains("Usage: wbench"));
}

#[test]
fn it_accepts_the_command_line_of_sysbench() {
    let output = Container::new(None).run(Some("--test=cpu --cpu-max-prime=100 run"));
    assert_ended(&output, 0);
    assert!(text(&output.stdout).starts_with("sysbench 0.4.12"));
}

#[test]
fn an_unwritable_directory_is_named_with_the_reason_and_what_to_do() {
    let others = directory_of(0);
    let of_another_user = Container::new(mounted(others.path(), "rw")).fails();
    for part in [
        "user 12345",
        "may not create files in /data",
        "grant write permission",
        "--dir",
    ] {
        assert!(of_another_user.contains(part), "{of_another_user}");
    }
    let nothing_mounted = Container::new(None).fails();
    let mounted_read_only = Container::new(mounted(directory_of(ANYONE).path(), "ro")).fails();
    for message in [nothing_mounted, mounted_read_only] {
        for part in ["/data is read-only", "mount a writable directory", "--dir"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn a_directory_without_o_direct_is_refused_before_anything_is_written() {
    let data = json!({"destination": "/data", "type": "ramfs", "source": "ramfs"});
    let mut container = Container::new(Some(data));
    container.user = 0;
    let message = container.fails();
    for part in [
        "/data",
        "does not support O_DIRECT",
        "in a container, a mounted one",
        "--flags none",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let output = container.run(Some(&format!("{JOB} --flags none")));
    assert_ended(&output, 0);
}

#[test]
fn files_in_memory_or_in_an_overlay_are_a_warning_in_the_result() {
    let layers = directory_of(ANYONE);
    let layer = |name: &str| {
        let path = layers.path().join(name);
        fs::create_dir(&path).unwrap();
        chown(&path, Some(ANYONE), Some(ANYONE)).unwrap();
        format!("{name}dir={}", path.display())
    };
    let overlay = json!({
        "destination": "/data", "type": "overlay", "source": "overlay",
        "options": [layer("lower"), layer("upper"), layer("work")],
    });
    let memory = json!({
        "destination": "/data", "type": "tmpfs", "source": "tmpfs",
    });
    for (user, data, code) in [
        (ANYONE, overlay, "files-in-overlay"),
        (0, memory, "files-in-memory"),
    ] {
        let mut container = Container::new(Some(data));
        container.user = user;
        let output = container.run(Some(&format!("{JOB} --flags none")));
        assert_ended(&output, 0);
        let result = parsed(&output.stdout);
        let mut codes = result["warnings"].as_array().unwrap().iter();
        assert!(codes.any(|warning| warning["code"] == code), "{result:#}");
    }
}

#[test]
fn two_builds_are_identical() {
    assert!(ARCHIVE.1);
}
