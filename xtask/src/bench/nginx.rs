//! The observed server of the benchmarks: one nginx worker on core 0, run as the calling user.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell;

/// A running nginx; ended when dropped.
pub struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts a server for a file of 1 KiB and waits until it answers.
    pub fn start() -> Result<Self> {
        let folder = folder()?;
        let port = shell::free_port()?;
        let text = configuration(&folder, port)?;
        Self::configured(&folder, port, &text)
    }

    /// One with this configuration, which serves files from `files` and listens on `port`.
    pub fn configured(folder: &Path, port: u16, text: &str) -> Result<Self> {
        let conf = folder.join("nginx.conf");
        std::fs::write(&conf, text)?;
        let _absent_is_fine = std::fs::remove_file(folder.join("nginx.sock"));
        let program = shell::find("nginx").context("nginx is not installed")?;
        let mut command = Command::new(program);
        command.arg("-c").arg(conf).arg("-p").arg(folder).arg("-e").arg("stderr");
        let child = command.stdin(Stdio::null()).spawn().context("cannot start nginx")?;
        let mut nginx = Self { child, port };
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(nginx);
            }
            if let Some(status) = nginx.child.try_wait()? {
                bail!("nginx ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer on port {port}")
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/1k", self.port)
    }

    /// CPU time in nanoseconds that the workers have used.
    pub fn cpu_ns(&self) -> Result<u64> {
        let master = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
        children.split_whitespace().map(|pid| process_cpu_ns(pid.parse()?)).sum()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // The master ends its workers on SIGTERM; on SIGKILL they would stay.
        if Command::new("kill").args(["-TERM", &pid]).status().is_ok() {
            let _status_is_of_no_use = self.child.wait();
        }
    }
}

/// Its folder, with a file of 1 KiB in `files`.
pub fn folder() -> Result<PathBuf> {
    let folder = shell::cache().join("bench-nginx");
    std::fs::create_dir_all(folder.join("files")).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(folder.join("files/1k"), [b'x'; 1024])?;
    Ok(folder)
}

fn configuration(folder: &Path, port: u16) -> Result<String> {
    let template = std::fs::read_to_string(shell::root().join("tests/servers/nginx.conf"))?;
    let socket = folder.join("nginx.sock");
    let values = [
        ("{folder}", folder.display().to_string()),
        ("{socket}", socket.display().to_string()),
        ("{port}", port.to_string()),
        ("{workers}", "1".into()),
        ("{affinity}", "01".into()),
        ("{upstream}", format!("127.0.0.1:{port}")),
    ];
    Ok(values.iter().fold(template, |text, (name, value)| text.replace(name, value)))
}

/// CPU time in nanoseconds of all living threads of a process.
pub fn process_cpu_ns(pid: u32) -> Result<u64> {
    let mut total = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))? {
        let schedstat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = schedstat.split_whitespace().next().context("/proc/PID/task/TID/schedstat is empty")?;
        total += on_cpu.parse::<u64>()?;
    }
    Ok(total)
}
