//! docs/performance.md and other pages: the figures of benchmarks and other tasks between marks, one pair of marks for each; the prose around them stays.
use anyhow::{Context, Result};

use crate::shell::{self, say};

/// The machine that the figures are of.
pub fn machine() -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).map_or("unknown", |model| model.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    Ok(format!("{model}, {cores} cores, Linux {version}."))
}

/// Puts a benchmark's figures between its marks in docs/performance.md.
pub fn write(bench: &str, figures: &str) -> Result<()> {
    write_in("docs/performance.md", &format!("bench {bench}"), figures)
}

/// Puts a task's figures between its marks in a page.
pub fn write_in(page: &str, task: &str, figures: &str) -> Result<()> {
    let file = shell::root().join(page);
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    std::fs::write(&file, replaced(&text, task, figures)?)?;
    say(format_args!("wrote {}", file.display()));
    Ok(())
}

fn mark(task: &str, end: &str) -> String {
    format!("<!-- figures of `cargo xtask {task}`: {end} -->\n")
}

fn replaced(text: &str, task: &str, figures: &str) -> Result<String> {
    let (begin, end) = (mark(task, "begin"), mark(task, "end"));
    let (head, rest) = text.split_once(&begin).with_context(|| format!("the page has lost its mark {begin}"))?;
    let (_, tail) = rest.split_once(&end).with_context(|| format!("the page has lost its mark {end}"))?;
    Ok(format!("{head}{begin}\n{figures}\n{end}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let (begin, end, other) = (mark("some", "begin"), mark("some", "end"), mark("other", "begin"));
        let once = replaced(&format!("a\n{other}{begin}old\n{end}b\n"), "some", "new").unwrap();
        assert_eq!(once, format!("a\n{other}{begin}\nnew\n{end}b\n"));
        assert_eq!(replaced(&once, "some", "new").unwrap(), once);
        assert!(replaced("no marks", "some", "new").is_err());
    }
}
