//! `cargo xtask capture NAME`: makes a corpus file from live traffic. `perfmon record` writes the kernel's events to
//! `tests/corpus/recordings/NAME.perfmon`, `perfmon replay` makes the golden records `NAME.jsonl` from it. Look at the golden records
//! before committing both: the replay test holds every later version to them. A recording holds payload: never record real users.
use anyhow::{Context, Result, ensure};

use crate::shell::{self, as_root, command, execute, say};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Name of the corpus file, e.g. `nginx-keepalive`
    name: String,
    /// How long to record
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Target as for `perfmon run`, e.g. `--port 8080`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    target: Vec<String>,
}

/// Records, hands the file to the calling user, replays.
pub fn run(args: &Args) -> Result<()> {
    let plain = !args.name.is_empty() && args.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    ensure!(plain, "NAME may hold letters, digits and `-` only");
    let binary = shell::build_perfmon()?;
    let folder = shell::root().join("tests/corpus/recordings");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (events, golden) = (folder.join(format!("{}.perfmon", args.name)), folder.join(format!("{}.jsonl", args.name)));

    say(format_args!("recording for {} s: make the traffic now", args.seconds));
    let mut record = as_root(&binary);
    record.arg("record").arg("-o").arg(&events).arg("--duration").arg(format!("{}s", args.seconds));
    execute(record.args(&args.target))?;
    if !shell::is_root() {
        let user = std::env::var("USER").context("USER is not set")?;
        execute(as_root("chown").arg(user).arg(&events))?;
    }
    execute(command(&binary).arg("replay").arg(&events).arg("--jsonl").arg(&golden))?;
    say(format_args!("wrote {} and {}", events.display(), golden.display()));
    Ok(())
}
