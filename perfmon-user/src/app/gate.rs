//! `perfmon run --assert`: judges a whole run when it ends. In: assertions and what the series count; out: a table, a JUnit file, and exit
//! status 4 when one does not hold. The file is created at the start, when files can still be.
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use quick_xml::escape::escape;

use crate::alert::{Assertion, AssertionVerdict, RuleFigures};
use crate::clock;
use crate::printable::printable;
use crate::private_file::{self, Existing};
use crate::record::RecordBatch;
use crate::series::SeriesDelta;

use super::hub::Consumer;
use super::{CommandFailure, complain};

/// An assertion does not hold.
const EXIT_NOT_HELD: u8 = 4;

/// The gate at the end of a run.
pub struct Gate {
    assertions: Vec<Assertion>,
    junit: Option<(PathBuf, File)>,
    figures: Arc<Mutex<RuleFigures>>,
    /// Standard output has records.
    is_stdout_taken: bool,
}

/// What the gate is told by the hub.
struct GateFeed(Arc<Mutex<RuleFigures>>);

impl Consumer for GateFeed {
    fn take(&mut self, _: &RecordBatch) {}

    fn series(&mut self, delta: &Arc<SeriesDelta>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(delta);
    }
}

impl Gate {
    /// With the file of results, which is created.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn new(assertions: &[Assertion], junit: Option<&Path>, is_stdout_taken: bool) -> Result<Self, CommandFailure> {
        let file = |path: &Path| match private_file::open(path, Existing::Replaced) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) => Err(CommandFailure::Usage(vec![format!("--junit {}: {error}", path.display())])),
        };
        let junit = junit.map(file).transpose()?;
        let mut figures = RuleFigures::default();
        let rules: Vec<_> = assertions.iter().map(|assertion| assertion.rule().clone()).collect();
        figures.keep(&rules, clock::wall_now());
        Ok(Self { assertions: assertions.to_vec(), junit, figures: Arc::new(Mutex::new(figures)), is_stdout_taken })
    }

    /// What feeds it; none without assertions.
    pub fn feed(&self) -> Option<Box<dyn Consumer>> {
        (!self.assertions.is_empty()).then(|| Box::new(GateFeed(self.figures.clone())) as Box<dyn Consumer>)
    }

    /// Judges the run that ended with a status, and gives its exit status: that of a command which failed, else 4 when an assertion does not
    /// hold.
    pub fn judge(self, status: u8) -> Result<u8, CommandFailure> {
        if self.assertions.is_empty() {
            return Ok(status);
        }
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let verdicts: Vec<AssertionVerdict> = self.assertions.iter().flat_map(|assertion| assertion.judge(&*figures)).collect();
        let table = table(&verdicts);
        if self.is_stdout_taken {
            complain(&table);
        } else {
            super::print(&table)?;
        }
        if let Some((path, mut file)) = self.junit {
            file.write_all(junit(&verdicts).as_bytes()).with_context(|| format!("--junit {}", path.display()))?;
        }
        let all_hold = verdicts.iter().all(|verdict| verdict.holds);
        Ok(if status == 0 && !all_hold { EXIT_NOT_HELD } else { status })
    }
}

/// For people: one assertion and subject a line.
fn table(verdicts: &[AssertionVerdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| !verdict.holds).count();
    let mut text = format!("\n{} assertions, {failed} do not hold\n", verdicts.len());
    for verdict in verdicts {
        let state = if verdict.holds { "ok    " } else { "FAILED" };
        let of = verdict.samples.map(|samples| format!(" of {samples}")).unwrap_or_default();
        let (assertion, scope, shown) = (printable(&verdict.assertion), printable(&verdict.scope), printable(&verdict.shown));
        text += &format!("  {state} {assertion}    {scope}: {shown}{of}\n");
    }
    text
}

/// For CI servers.
fn junit(verdicts: &[AssertionVerdict]) -> String {
    let failures = verdicts.iter().filter(|verdict| !verdict.holds).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"perfmon\" tests=\"{}\" failures=\"{failures}\">\n",
        verdicts.len()
    );
    for verdict in verdicts {
        let plain = |text: &str| escape(printable(text).to_string()).into_owned();
        let (name, class) = (plain(&verdict.assertion), plain(&verdict.scope));
        text += &format!("<testcase classname=\"{class}\" name=\"{name}\">");
        if !verdict.holds {
            text += &format!("<failure message=\"{class}: {}\"/>", plain(&verdict.shown));
        }
        text += "</testcase>\n";
    }
    text + "</testsuite>\n</testsuites>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_for_people_and_for_servers() {
        let verdict = |holds, scope: &str| AssertionVerdict {
            assertion: "endpoint \"/a\" p95 < 200ms".into(),
            scope: scope.into(),
            holds,
            value: Some(5.0),
            shown: "5 ms".into(),
            samples: Some(12),
        };
        let verdicts = [verdict(true, "shop GET /a"), verdict(false, "<\u{1b}&")];
        let table = table(&verdicts);
        assert!(
            table.contains("2 assertions, 1 do not hold") && table.contains("FAILED endpoint \"/a\" p95 < 200ms    <\\u{1b}&: 5 ms of 12"),
            "{table}"
        );
        let page = junit(&verdicts);
        assert!(page.contains("tests=\"2\" failures=\"1\"") && page.contains("<failure message=\"&lt;\\u{1b}&amp;: 5 ms\"/>"), "{page}");
        assert!(page.contains("name=\"endpoint &quot;/a&quot; p95 &lt; 200ms\""), "{page}");
    }
}
