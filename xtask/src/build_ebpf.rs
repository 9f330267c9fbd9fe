//! Rebuilds the objects of the kernel programs: `perfmon-ebpf` → `perfmon-user/ebpf/*.bpf.o` and their digest. Uses Debian's compiler
//! with a prebuilt `core` for BPF if available, else rustup's nightly; prints what it installs beforehand.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, as_root, command, execute, output, say};

#[path = "../../perfmon-user/ebpf/digest.rs"]
mod digest;

const TARGET: &str = "bpfel-unknown-none";
/// LLVM of Debian's compiler, which the linker must be built with.
const LLVM: &str = "22";
const LINKER: &str = "bpf-linker";
/// The object whose programs log, below the workspace; `probe/load.rs` names it too.
const LOGGING_OBJECT: &str = "perfmon-ebpf/target/perfmon-log.bpf.o";
const LINKER_VERSION: &str = "0.13.0";

/// Installs what the build needs.
pub fn prepare() -> Result<()> {
    linker(&Compiler::find()?).map(drop)
}

/// Builds the objects and writes their digest.
pub fn run() -> Result<()> {
    let folder = shell::root().join("perfmon-user/ebpf");
    for (object, options) in digest::OBJECTS {
        let object = folder.join(object);
        build(&shell::root().join("perfmon-ebpf/target"), &object, options)?;
        say(format_args!("wrote {}", object.display()));
    }
    let text = digest::text(&shell::root(), &folder).context("cannot read the objects")?;
    std::fs::write(folder.join("perfmon.bpf.digest"), text).context("cannot write the digest")?;
    Ok(())
}

/// Builds the object whose programs log, for `cargo xtask run --kernel-log`; perfmon's feature `kernel-log` reads it from there.
pub fn run_with_log() -> Result<()> {
    build(&shell::root().join("perfmon-ebpf/target/log"), &shell::root().join(LOGGING_OBJECT), &["--features", "log"])
}

fn build(target: &Path, object: &Path, options: &[&str]) -> Result<()> {
    let compiler = Compiler::find()?;
    let linker = linker(&compiler)?;
    say(format_args!("building the kernel programs with {}", compiler.name()));
    let mut cargo = compiler.cargo();
    cargo.current_dir(shell::root().join("perfmon-ebpf")).args(build_arguments(target)).args(options).envs(environment(&linker)?);
    execute(&mut cargo)?;
    strip(&compiler, &target.join(TARGET).join("release/perfmon"), object)
}

/// Where `core` for the kernel's machine comes from.
enum Compiler {
    /// Debian's packages `rustc-web` and `libstd-rust-web-dev-bpf`: prebuilt.
    Debian(PathBuf),
    /// rustup's nightly toolchain with the component rust-src: built along.
    Nightly,
}

impl Compiler {
    fn find() -> Result<Self> {
        if let Some(debian) = Self::debian() {
            return Ok(debian);
        }
        if nightly_has_source() {
            return Ok(Self::Nightly);
        }
        if shell::find("apt-get").is_some() {
            let llvm = format!("llvm-{LLVM}-dev");
            let packages = ["rustc-web", "libstd-rust-web-dev-bpf", &llvm];
            say(format_args!("installing Debian packages: {}", packages.join(" ")));
            let install = "apt-get install -y -qq --no-install-recommends \"$@\" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends \"$@\"; }";
            match execute(as_root("sh").args(["-c", install, "sh"]).args(packages)) {
                Ok(()) => return Self::debian().context("Debian's packages are installed, but hold no core for BPF"),
                Err(error) => say(format_args!("that did not work ({error})")),
            }
        }
        if shell::find("rustup").is_none() {
            bail!(
                "the kernel programs need Debian's rustc-web and libstd-rust-web-dev-bpf, or rustup (https://rustup.rs) for its nightly toolchain"
            );
        }
        say("installing rustup's nightly toolchain with rust-src");
        execute(command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal", "--component", "rust-src"]))?;
        Ok(Self::Nightly)
    }

    fn debian() -> Option<Self> {
        let rustc = PathBuf::from("/usr/bin/rustc");
        let core = Path::new("/usr/lib/rustlib").join(TARGET).join("lib");
        (rustc.is_file() && core.is_dir()).then_some(Self::Debian(rustc))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Debian(_) => "Debian's compiler",
            Self::Nightly => "rustup's nightly",
        }
    }

    /// cargo with this compiler.
    fn cargo(&self) -> std::process::Command {
        match self {
            Self::Debian(rustc) => {
                let mut cargo = shell::cargo();
                // aya-ebpf uses features that are not stable yet.
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
            Self::Nightly => {
                let mut cargo = command("rustup");
                cargo.args(["run", "nightly", "cargo", "-Z", "build-std=core"]).env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
                cargo
            }
        }
    }
}

fn nightly_has_source() -> bool {
    let sysroot = command("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).stderr(std::process::Stdio::null()).output();
    sysroot.is_ok_and(|output| {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&root).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

fn build_arguments(target: &Path) -> Vec<OsString> {
    ["build", "--release", "--locked", "--target", TARGET, "--target-dir"].map(OsString::from).into_iter().chain([target.into()]).collect()
}

/// Flags of the compiler: type information is made from debug information; the paths in it are none of this machine.
fn environment(linker: &Path) -> Result<[(&'static str, OsString); 2]> {
    let mut flags =
        vec![String::from("-Cdebuginfo=2"), "-Clink-arg=--btf".into(), format!("--remap-path-prefix={}/=", shell::root().display())];
    if let Ok(registries) = std::fs::read_dir(cargo_home()?.join("registry/src")) {
        flags.extend(registries.flatten().map(|registry| format!("--remap-path-prefix={}=crates", registry.path().display())));
    }
    let folder = linker.parent().unwrap_or(linker).to_path_buf();
    let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())))?;
    Ok([("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f").into()), ("PATH", path)])
}

/// The linker, installed when it is missing.
fn linker(compiler: &Compiler) -> Result<PathBuf> {
    let own = cargo_home()?.join("bin").join(LINKER);
    if let Some(found) = shell::find(LINKER).or_else(|| own.is_file().then(|| own.clone())) {
        return Ok(found);
    }
    say(format_args!("installing {LINKER} {LINKER_VERSION} with cargo"));
    let mut install = shell::cargo();
    // It optimises with LLVM's library, which is compiled; itself need not be.
    install.args(["install", LINKER, "--version", LINKER_VERSION, "--locked", "--debug"]);
    if matches!(compiler, Compiler::Debian(_)) {
        install.env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM}"));
        install.args(["--no-default-features", "--features", &format!("llvm-{LLVM}")]);
    }
    execute(&mut install)?;
    own.is_file().then_some(own).context("cargo installed no bpf-linker")
}

fn cargo_home() -> Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).context("neither CARGO_HOME nor HOME is set")
}

/// Copies the object without debug information; the kernel's own (.BTF, .BTF.ext) stays.
fn strip(compiler: &Compiler, built: &Path, object: &Path) -> Result<()> {
    let Some(objcopy) = objcopy(compiler)? else {
        say("no llvm-objcopy here: the object keeps its debug information, which does no harm");
        std::fs::copy(built, object).context("cannot copy the object")?;
        return Ok(());
    };
    execute(command(objcopy).arg("--strip-debug").args([built, object]))
}

/// LLVM's objcopy of Debian, or of rustup's toolchain.
fn objcopy(compiler: &Compiler) -> Result<Option<PathBuf>> {
    let debian = [format!("/usr/lib/llvm-{LLVM}/bin/llvm-objcopy")].map(PathBuf::from);
    let rustup = match compiler {
        Compiler::Debian(_) => None,
        Compiler::Nightly => Some(output(command("rustup").args(["run", "nightly", "rustc", "--print", "target-libdir"]))?),
    };
    let rustup =
        rustup.iter().flat_map(|libdir| ["llvm-objcopy", "rust-objcopy"].map(|name| Path::new(libdir.trim()).join("../bin").join(name)));
    Ok(debian.into_iter().chain(shell::find("llvm-objcopy")).chain(rustup).find(|file| file.is_file()))
}
