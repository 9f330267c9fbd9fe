//! Virtual machines: what they need (tests/vm/prepare.sh), the image that a guest boots, a guest from its start to its end.
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::shell::{self, command, execute, say};

/// Seconds after which a guest that has not ended is ended.
const LIMIT_S: &str = "600";
/// Users that the guest's programs look up.
const USERS: &str = "root:x:0:0::/root:/bin/sh\n";

/// Puts the files of a guest in their places and packs everything. Arguments: folder, perfmon, folder of the suite.
const PACK: &str = r#"
set -e
root=$1/root
mkdir -p $root/proc $root/sys/fs/cgroup $root/dev $root/tmp $root/t $root/run $root/root $root/var $root/etc
cp -f "$2" $root/bin/perfmon
rm -rf $root/t/*
cp -f "$3"/*.py $1/cert.pem $1/key.pem $root/t/
cp -f "$3"/init $root/init
chmod 755 $root/init $root/bin/perfmon
cd $root
find . | LC_ALL=C sort | ./bin/busybox cpio -o -H newc -R 0:0 2>/dev/null
"#;

fn folder() -> PathBuf {
    shell::cache().join("vm")
}

fn suite() -> PathBuf {
    shell::root().join("tests/vm")
}

/// Downloads what is missing; the series of kernels that are there, oldest first.
pub fn prepare() -> Result<Vec<String>> {
    if !folder().join("ready").is_file() {
        for program in ["apt-get", "dpkg", "python3", "openssl", "zstd", "lz4", "xz"] {
            if shell::find(program).is_none() {
                bail!("virtual machines need {program}; on Debian and Ubuntu: apt-get install dpkg python3 openssl zstd lz4 xz-utils");
            }
        }
        say("downloading QEMU, kernels and a small root file system into .cache/vm (1 GB, a minute)");
        // What an earlier try left there is of no use.
        std::fs::remove_dir_all(folder()).or_else(|error| if folder().exists() { Err(error) } else { Ok(()) })?;
        std::fs::create_dir_all(folder())?;
        execute(command("bash").arg(suite().join("prepare.sh")).arg(folder()))?;
    }
    let kernels = std::fs::read_dir(folder().join("kernels"))?;
    let mut kernels: Vec<String> = kernels.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let numbers = |series: &String| series.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    kernels.sort_by_key(numbers);
    Ok(kernels)
}

/// Packs the root file system with this perfmon and the suite.
pub fn image(perfmon: &Path) -> Result<PathBuf> {
    let image = folder().join("guest.cpio");
    std::fs::create_dir_all(folder().join("root/etc"))?;
    std::fs::write(folder().join("root/etc/passwd"), USERS)?;
    std::fs::write(folder().join("root/etc/hosts"), "127.0.0.1 localhost\n")?;
    let perfmon = std::fs::canonicalize(perfmon).with_context(|| format!("there is no {}", perfmon.display()))?;
    let mut pack = command("sh");
    pack.args(["-c", PACK, "sh"]).arg(folder()).arg(perfmon).arg(suite().join("guest"));
    execute(pack.stdout(std::fs::File::create(&image)?))?;
    Ok(image)
}

/// Boots a kernel, waits for its end, and gives what the suite said; also in .cache/vm/KERNEL.log, with the console beside it.
pub fn boot(kernel: &str, image: &Path, more: &str) -> Result<String> {
    let (folder, qemu) = (folder(), folder().join("qemu"));
    let (log, console) = (folder.join(format!("{kernel}.log")), folder.join(format!("{kernel}.console")));
    std::fs::remove_file(&log).or_else(|error| if log.exists() { Err(error) } else { Ok(()) })?;
    let mut guest = command("timeout");
    guest.arg(LIMIT_S).arg(qemu.join("usr/bin/qemu-system-x86_64"));
    guest.env(
        "LD_LIBRARY_PATH",
        ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|part| qemu.join(part).display().to_string()).join(":"),
    );
    guest.arg("-L").arg(qemu.join("usr/share/qemu")).arg("-L").arg(qemu.join("usr/share/seabios"));
    guest.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-M", "pc", "-m", "1536M", "-smp", "2"]);
    guest.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-nic", "none"]);
    for port in [&console, &log] {
        guest.arg("-serial").arg(format!("file:{}", port.display()));
    }
    guest.arg("-kernel").arg(folder.join("kernels").join(kernel)).arg("-initrd").arg(image);
    guest.args(["-append", &format!("console=ttyS0 panic=-1 loglevel=4 {more}")]);
    // The report tells how the guest ended: QEMU ends with 0 after a kernel's panic too.
    guest.stdin(Stdio::null()).status().context("cannot start the virtual machine")?;
    let output = std::fs::read(&log).with_context(|| format!("the guest wrote no {}", log.display()))?;
    Ok(String::from_utf8_lossy(&output).replace('\r', ""))
}
