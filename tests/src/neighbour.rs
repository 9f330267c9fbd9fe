//! A hostile neighbour: processes of the user nobody in every shape that hurts whoever looks at them carelessly, and a victim, a process of
//! root whose code must stay as its file has it. All end when dropped. What each process does: `programs/neighbour.c`.
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::need::{as_root, python};
use crate::process::Running;
use crate::programs::built;
use crate::{wait_until, workspace};

/// What stands in a file that only root may read.
pub const SECRET: &str = "kept-from-everybody-7141";
/// Files that call themselves libssl.so.3, by kind: `programs/fake_libraries.py`. Whole copies come first.
const FAKES: [&str; 6] = ["copy=40", "zeros=60", "noise=400", "cut=300", "middle=100", "data=100"];
/// Libraries that are swapped under whoever reads them.
const SWAPPED: usize = 60;
/// Mappings that a process may have while the neighbour is there.
const MAPPINGS: &str = "1000000";

/// The neighbour.
pub struct Neighbour {
    processes: Vec<Running>,
    victim: Running,
    victim_file: PathBuf,
    mount: PathBuf,
    mappings_before: String,
    _folder: TempDir,
}

impl Neighbour {
    /// Starts all of it; `library` is a real libssl.
    pub fn start(library: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = folder.path();
        std::fs::set_permissions(place, PermissionsExt::from_mode(0o755))?;
        let node = place.join("bin/node");
        std::fs::create_dir(place.join("bin"))?;
        std::fs::copy(built("neighbour.c")?, &node)?;
        let victim_file = place.join("bin/victim");
        std::fs::copy(built("victim.c")?, &victim_file)?;
        let victim = Running::start(as_root(&victim_file).current_dir("/"), &place.join("victim.log"))?;
        let traps = traps(place, &node)?;
        fakes(library, &place.join("fakes"), &FAKES)?;
        fakes(library, &place.join("swapped"), &[&format!("copy={SWAPPED}")])?;
        let mount = place.join("mount");
        std::fs::create_dir(&mount)?;
        for part in ["fakes", "swapped", "traps", "mount"] {
            run(as_root("chown").args(["-R", "nobody:nogroup"]).arg(place.join(part)))?;
        }
        let mappings_before = std::fs::read_to_string("/proc/sys/vm/max_map_count")?;
        run(as_root("sysctl").args(["-q", "-w", &format!("vm.max_map_count={MAPPINGS}")]))?;
        let mut neighbour = Self { processes: Vec::new(), victim, victim_file, mount, mappings_before, _folder: folder };
        neighbour.start_processes(&node, &traps)?;
        Ok(neighbour)
    }

    fn start_processes(&mut self, node: &Path, traps: &OsStr) -> Result<()> {
        let place = node.parent().and_then(Path::parent).context("the program has no folder")?;
        let (fakes, swapped) = (place.join("fakes"), place.join("swapped"));
        let starts: [(&str, Vec<(&str, &OsStr)>); 5] = [
            ("churn", vec![("NEIGHBOUR_FOLDERS", traps)]),
            ("maps", vec![]),
            ("libraries", vec![("NEIGHBOUR_FOLDER", fakes.as_os_str())]),
            (
                "swap",
                vec![
                    ("NEIGHBOUR_FOLDER", swapped.as_os_str()),
                    ("NEIGHBOUR_FILES", OsStr::new("60")),
                    ("NEIGHBOUR_VICTIM", self.victim_file.as_os_str()),
                ],
            ),
            ("talk", vec![]),
        ];
        for (mode, environment) in starts {
            let mut command = as_root("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env", &format!("NEIGHBOUR={mode}")]);
            command.args(environment.iter().map(|(name, value)| assigned(name, value)));
            if mode == "talk" {
                // An environment of a megabyte and arguments of half of one: each string is as long as the kernel lets it be.
                command.args((0..8).map(|number| format!("NEIGHBOUR_BIG_{number}={}", "e".repeat(120_000))));
                command.arg(node).arg("server.js").args((0..4).map(|_| "a".repeat(120_000)));
            } else {
                command.arg(node);
            }
            let log = place.join(format!("{mode}.log"));
            self.processes.push(Running::start(command.current_dir("/"), &log)?);
        }
        let mut command = as_root("env");
        command
            .arg("NEIGHBOUR=stall")
            .arg(assigned("NEIGHBOUR_FOLDER", self.mount.as_os_str()))
            .arg(assigned("NEIGHBOUR_NODE", node.as_os_str()));
        self.processes.push(Running::start(command.arg(node).current_dir("/"), &place.join("stall.log"))?);
        let ready = || ["mappings", "1000 libraries"].iter().all(|words| self.log().contains(words));
        wait_until(20, || Ok(ready().then_some(())))?.with_context(|| format!("the neighbour is not complete:\n{}", self.log()))
    }

    /// What its processes said.
    pub fn log(&self) -> String {
        self.processes.iter().map(Running::log).collect()
    }

    /// Fails when a process of it has ended: then it hurts nobody.
    pub fn assert_alive(&mut self) -> Result<()> {
        for process in &mut self.processes {
            let ended = process.ended()?;
            ensure!(ended.is_none(), "a process of the neighbour ended with {ended:?}: {}", process.log());
        }
        Ok(())
    }

    /// How many bytes of the victim's code in memory differ from its file.
    pub fn changed_bytes(&mut self) -> Result<usize> {
        let pid = self.victim.pid();
        ensure!(self.victim.ended()?.is_none(), "the victim ended: {}", self.victim.log());
        let maps = as_root("cat").arg(format!("/proc/{pid}/maps")).output()?.stdout;
        let code =
            String::from_utf8_lossy(&maps).lines().find(|line| line.contains("r-xp") && line.ends_with("/victim")).map(str::to_owned);
        let code = code.context("the victim has no code")?;
        let mut words = code.split(['-', ' ']).filter(|word| !word.is_empty());
        let mut number = || words.next().and_then(|word| u64::from_str_radix(word, 16).ok()).context("no address in maps");
        let (start, end) = (number()?, number()?);
        let offset = code.split_whitespace().nth(2).and_then(|word| u64::from_str_radix(word, 16).ok()).context("no offset in maps")?;
        let length = (end - start) as usize;
        let pages = [format!("skip={}", start / 4_096), format!("count={}", length / 4_096)];
        let memory = as_root("dd").arg(format!("if=/proc/{pid}/mem")).args(["bs=4096", "status=none"]).args(pages).output()?.stdout;
        ensure!(memory.len() == length, "{} of {length} bytes of the victim's code were read", memory.len());
        let mut file = vec![0; length];
        let read = File::open(&self.victim_file)?.read_at(&mut file, offset)?;
        Ok(memory.iter().zip(&file[..read]).filter(|(now, then)| now != then).count())
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.processes.clear();
        // Neither can be mended here when it fails; the next start shows it.
        run(as_root("umount").arg("-l").arg(&self.mount)).ok();
        run(as_root("sysctl").args(["-q", "-w", &format!("vm.max_map_count={}", self.mappings_before.trim())])).ok();
    }
}

fn assigned(name: &str, value: &OsStr) -> OsString {
    let mut assignment = OsString::from(format!("{name}="));
    assignment.push(value);
    assignment
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn fakes(library: &Path, folder: &Path, kinds: &[&str]) -> Result<()> {
    run(Command::new(python()).arg(workspace().join("tests/programs/fake_libraries.py")).arg(library).arg(folder).args(kinds))
}

/// Folders of programs whose package.json is a trap, as a list for `NEIGHBOUR_FOLDERS`.
fn traps(place: &Path, node: &Path) -> Result<OsString> {
    let secret = place.join("secret.json");
    std::fs::write(&secret, format!("{{\"name\": \"{SECRET}\"}}\n"))?;
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600))?;
    let mut list = OsString::new();
    let names: [&[u8]; 8] = [b"fifo", b"zeros", b"secret", b"kernel", b"sparse", b"folder", b"memory", b"\xff\xfe\x01 no utf-8"];
    for name in names {
        let folder = place.join("traps").join(OsStr::from_bytes(name));
        std::fs::create_dir_all(&folder)?;
        symlink(node, folder.join("node"))?;
        let file = folder.join("package.json");
        match name {
            b"fifo" => run(Command::new("mkfifo").arg(&file))?,
            b"zeros" => symlink("/dev/zero", &file)?,
            b"secret" => symlink(&secret, &file)?,
            b"kernel" => symlink("/proc/kmsg", &file)?,
            b"sparse" => File::create(&file)?.set_len(4 << 30)?,
            b"folder" => std::fs::create_dir(&file)?,
            b"memory" => symlink("/proc/self/mem", &file)?,
            _ => std::fs::write(&file, b"{\"name\": \"\xff\xfe\xfd\"}")?,
        }
        if !list.is_empty() {
            list.push(":");
        }
        list.push(&folder);
    }
    Ok(list)
}
