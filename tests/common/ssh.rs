//! SSH servers on this machine, for tools that connect to their hosts over SSH.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::common::{Running, assert_ended, tool, wait_until};

/// An SSH server, stopped on drop. It accepts its key, for the user that runs the test.
pub struct Sshd {
    server: Child,
    /// The private key file.
    pub key: PathBuf,
    /// The port it listens on.
    pub port: u16,
}

impl Sshd {
    /// Starts a server on the loopback address, with its files in a directory and additional lines
    /// of sshd_config(5).
    pub fn on_loopback(directory: &Path, config: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let listen = format!("ListenAddress 127.0.0.1:{port}\n{config}");
        Self::start(directory, &listen, port, &mut Command::new(sshd_path()))
    }

    /// Starts it in a network namespace, on port 22 of all addresses.
    pub fn in_namespace(directory: &Path, namespace: &str, config: &str) -> Self {
        let mut command = tool("ip");
        command.args(["netns", "exec", namespace]).arg(sshd_path());
        Self::start(directory, &format!("Port 22\n{config}"), 22, &mut command)
    }

    fn start(directory: &Path, config: &str, port: u16, command: &mut Command) -> Self {
        // sshd's privilege separation directory, which its service normally creates.
        let _ = std::fs::create_dir_all("/run/sshd");
        for name in ["host", "user"] {
            let mut keygen = tool("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(directory.join(name));
            assert_ended(&Running::start(keygen).finish(), 0);
        }
        let directory_name = directory.display();
        let config = format!(
            "{config}\nHostKey {directory_name}/host\nAuthorizedKeysFile {directory_name}/user.pub\n\
             StrictModes no\nUsePAM no\nPidFile {directory_name}/sshd.pid\n\
             Subsystem sftp internal-sftp\n"
        );
        std::fs::write(directory.join("sshd_config"), config).expect("the configuration");
        let server = command
            .args(["-D", "-E"])
            .arg(directory.join("sshd.log"))
            .arg("-f")
            .arg(directory.join("sshd_config"))
            .spawn()
            .expect("sshd starts");
        let sshd = Self {
            server,
            key: directory.join("user"),
            port,
        };
        wait_until("sshd at work", || directory.join("sshd.pid").exists());
        sshd
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// sshd must be started by its absolute path.
fn sshd_path() -> PathBuf {
    tool("sshd").get_program().into()
}
