//! Virtual machines: what they need (tests/vm/prepare.sh), the image that a guest boots, a guest from its start to its end.
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{self, command, execute, say};

/// Version of the root file system's C library.
pub const C_LIBRARY: (u32, u32) = (2, 36);
/// All series of kernels, oldest first.
pub const SERIES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7"];
/// Seconds after which a guest that has not ended is ended: several times what one takes on an idle host.
const LIMIT_S: u32 = 900;
/// The same for the suite that starts perfmon a dozen times.
const PREEMPT_LIMIT_S: u32 = 1800;
/// Users that the guest's programs look up.
const USERS: &str = "root:x:0:0::/root:/bin/sh\n";
/// What prepare.sh and vmlinux.py start.
const PROGRAMS: [&str; 7] = ["apt-get", "dpkg", "python3", "openssl", "zstd", "lz4", "xz"];
/// Exit status of prepare.sh.
const UNREACHABLE: i32 = 75;

/// Puts the files of a guest in their places and packs everything. Arguments: folder, perfmon, folder of the suite, folder of perfmon's package
/// or nothing.
const PACK: &str = r#"
set -e
root=$1/root
mkdir -p $root/proc $root/sys/fs/cgroup $root/dev $root/tmp $root/t $root/run $root/root $root/var $root/etc
rm -rf $root/t/* $root/opt $root/bin/perfmon
if [ -n "$4" ]; then
  mkdir $root/opt
  cp -a "$4" $root/opt/
  ln -s "/opt/${4##*/}/perfmon" $root/bin/perfmon
else
  cp -f "$2" $root/bin/perfmon
  chmod 755 $root/bin/perfmon
fi
cp -f "$3"/*.py $1/cert.pem $1/key.pem $root/t/
[ ! -f $1/preempt ] || cp -f $1/preempt $root/t/
cp -f "$3"/init $root/init
chmod 755 $root/init
cd $root
find . | LC_ALL=C sort | ./bin/busybox cpio -o -H newc -R 0:0 2>/dev/null
"#;

/// `.cache/vm`, or VMTEST_CACHE.
fn folder() -> PathBuf {
    std::env::var_os("VMTEST_CACHE").map_or_else(|| shell::cache().join("vm"), |folder| shell::root().join(folder))
}

fn suite() -> PathBuf {
    shell::root().join("tests/vm")
}

/// Downloads what is missing for these kernels; why that is not possible here, when it is not.
pub fn prepare(kernels: &[&str]) -> Result<Option<String>> {
    let missing: Vec<&&str> = kernels.iter().filter(|kernel| !folder().join("kernels").join(kernel).is_file()).collect();
    if folder().join("ready").is_file() && missing.is_empty() {
        return Ok(None);
    }
    if let Some(program) = PROGRAMS.iter().find(|program| shell::find(program).is_none()) {
        let install = "on Debian and Ubuntu: apt-get install dpkg python3 openssl zstd lz4 xz-utils debian-archive-keyring";
        return Ok(Some(format!("virtual machines need {program}; {install}")));
    }
    say(format_args!("downloading what virtual machines need into {}: kernels {missing:?}", folder().display()));
    std::fs::create_dir_all(folder())?;
    let mut script = command("bash");
    script.arg(suite().join("prepare.sh")).arg(folder()).args(kernels);
    let status = script.status().context("cannot start bash")?;
    if status.code() == Some(UNREACHABLE) {
        return Ok(Some("Debian's archives did not give what virtual machines need (the reason is above)".into()));
    }
    ensure!(status.success(), "{} ended with {status}", shell::line(&script));
    Ok(None)
}

/// Package and version of what was fetched for this: a kernel's series, or `qemu`. Nothing when that was before it was written down.
pub fn fetched(purpose: &str) -> Option<String> {
    let packages = std::fs::read_to_string(folder().join("packages.txt")).ok()?;
    let mut lines = packages.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines.find_map(|line| match line[..] {
        [of, package, version, _] if of == purpose && (package.starts_with("linux-") || package == "qemu-system-x86") => {
            Some(format!("{package} {version}"))
        }
        _ => None,
    })
}

/// Unpacks what `cargo xtask dist` made; the folder in it.
pub fn unpack(package: &Path) -> Result<PathBuf> {
    let place = folder().join("package");
    std::fs::remove_dir_all(&place).or_else(|error| if place.exists() { Err(error) } else { Ok(()) })?;
    std::fs::create_dir_all(&place)?;
    execute(command("tar").arg("--extract").arg("--file").arg(package).arg("--directory").arg(&place))?;
    let unpacked: Vec<PathBuf> = std::fs::read_dir(&place)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    match &unpacked[..] {
        [one] if one.join("perfmon").is_file() => Ok(one.clone()),
        _ => bail!("{} is not a tarball of `cargo xtask dist`: no folder with a perfmon is in it", package.display()),
    }
}

/// Builds the program that makes the load of the suite `preempt`, with the guest's TLS library.
pub fn build_load() -> Result<()> {
    let libraries = folder().join("root/usr/lib/x86_64-linux-gnu");
    let mut compiler = command("gcc");
    compiler.args(["-O2", "-Wall", "-Werror", "-o"]).arg(folder().join("preempt")).arg(suite().join("guest/preempt.c"));
    execute(compiler.arg("-L").arg(libraries).args(["-l:libssl.so.3", "-l:libcrypto.so.3"]))
}

/// Packs the root file system with this perfmon, or the folder of a package that has it, and the suites.
pub fn image(perfmon: &Path, package: Option<&Path>) -> Result<PathBuf> {
    let image = folder().join("guest.cpio");
    std::fs::create_dir_all(folder().join("root/etc"))?;
    std::fs::write(folder().join("root/etc/passwd"), USERS)?;
    std::fs::write(folder().join("root/etc/hosts"), "127.0.0.1 localhost\n")?;
    let perfmon = std::fs::canonicalize(perfmon).with_context(|| format!("there is no {}", perfmon.display()))?;
    let mut pack = command("sh");
    pack.args(["-c", PACK, "sh"]).arg(folder()).arg(perfmon).arg(suite().join("guest")).arg(package.unwrap_or(Path::new("")));
    execute(pack.stdout(std::fs::File::create(&image)?))?;
    Ok(image)
}

/// Boots a kernel, waits for its end, and gives what the suite said; also in .cache/vm/KERNEL.SUITE.log, with the console beside it.
pub fn boot(kernel: &str, suite: &str, image: &Path, more: &str) -> Result<String> {
    let (folder, qemu) = (folder(), folder().join("qemu"));
    let (log, console) = (folder.join(format!("{kernel}.{suite}.log")), folder.join(format!("{kernel}.{suite}.console")));
    std::fs::remove_file(&log).or_else(|error| if log.exists() { Err(error) } else { Ok(()) })?;
    let mut guest = command("timeout");
    let limit = if suite == "preempt" { PREEMPT_LIMIT_S } else { LIMIT_S };
    guest.arg(limit.to_string()).arg(qemu.join("usr/bin/qemu-system-x86_64"));
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
    // The kernel gives `suite` to init as a variable.
    guest.args(["-append", &format!("console=ttyS0 panic=-1 loglevel=4 suite={suite} {more}")]);
    // The report tells how the guest ended: QEMU ends with 0 after a kernel's panic too.
    guest.stdin(Stdio::null()).status().context("cannot start the virtual machine")?;
    let output = std::fs::read(&log).with_context(|| format!("the guest wrote no {}", log.display()))?;
    Ok(String::from_utf8_lossy(&output).replace('\r', ""))
}
