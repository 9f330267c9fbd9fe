//! What a guest said: its kernel, the tiers that it can do with what the verifier walked, the checks. Lines `@ ` have JSON, a last line PASS or FAIL.
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Growth of a program's instructions that is shown.
const GROWTH: f64 = 1.1;

/// A kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KernelReport {
    /// Its release.
    pub kernel: String,
    /// The suite said PASS and the guest came to its end.
    pub passed: bool,
    /// By number.
    pub tiers: BTreeMap<u64, TierReport>,
}

/// A capture tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TierReport {
    /// The kernel can do it.
    pub able: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What the verifier walked, by program.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instructions: BTreeMap<String, u64>,
    /// Checks that passed.
    pub passed: u64,
    /// Those that failed, with their problems.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, Vec<String>>,
}

impl KernelReport {
    /// Of a guest's output.
    pub fn of(output: &str) -> Self {
        let mut report = Self::default();
        for line in output.lines() {
            if let Some(said) = line.strip_prefix("@ ").and_then(|json| serde_json::from_str::<Value>(json).ok()) {
                report.take(&said);
            }
        }
        let has_line = |wanted: &str| output.lines().any(|line| line == wanted);
        report.passed = has_line("PASS") && has_line("DONE") && report.tiers.values().any(|tier| tier.able);
        report
    }

    fn take(&mut self, said: &Value) {
        let texts =
            |value: &Value| value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default().to_owned()).collect();
        if let Some(kernel) = said["kernel"].as_str() {
            self.kernel = kernel.to_owned();
        }
        let tier = self.tiers.entry(said["tier"].as_u64().unwrap_or(0)).or_default();
        if let Some(able) = said["able"].as_bool() {
            (tier.able, tier.reasons) = (able, texts(&said["reasons"]));
            let instructions = said["instructions"].as_object().into_iter().flatten();
            tier.instructions = instructions.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        }
        let Some(check) = said["check"].as_str() else {
            // What is of no tier has an entry when it is a check.
            if said["tier"].is_null() && *tier == TierReport::default() {
                self.tiers.remove(&0);
            }
            return;
        };
        let problems: Vec<String> = texts(&said["problems"]);
        if problems.is_empty() {
            tier.passed += 1;
        } else {
            tier.failed.insert(check.to_owned(), problems);
        }
    }

    /// In a word or two.
    pub fn verdict(&self) -> String {
        let able = self.tiers.iter().filter(|(_, tier)| tier.able).map(|(number, _)| number.to_string()).collect::<Vec<_>>();
        match (self.passed, able.is_empty()) {
            (true, _) => format!("PASS (tiers {})", able.join(", ")),
            (false, true) => "FAIL (no tier works)".into(),
            (false, false) => format!("FAIL (of tiers {})", able.join(", ")),
        }
    }

    /// Checks that failed, tiers that the kernel cannot do.
    pub fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.tiers.iter().flat_map(|(number, tier)| {
            let failed = tier.failed.iter().map(move |(check, problems)| format!("tier {number}, {check}: {}", problems.join("; ")));
            tier.reasons.iter().map(move |reason| format!("tier {number} is not possible: {reason}")).chain(failed)
        })
    }

    /// Programs of which the verifier walked more than before, by over a tenth.
    pub fn growth<'a>(&'a self, before: Option<&'a Self>) -> impl Iterator<Item = String> + 'a {
        self.tiers.iter().flat_map(move |(number, tier)| {
            tier.instructions.iter().filter_map(move |(name, count)| {
                let known = *before?.tiers.get(number)?.instructions.get(name)?;
                (*count as f64 > known as f64 * GROWTH)
                    .then(|| format!("tier {number}, {name}: {count} instructions verified, before {known}"))
            })
        })
    }
}

/// For the README.
pub fn table(kernels: &BTreeMap<String, KernelReport>) -> String {
    let mut kernels: Vec<&KernelReport> = kernels.values().collect();
    let numbers =
        |report: &&KernelReport| -> Vec<u64> { report.kernel.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect() };
    kernels.sort_by_key(numbers);
    let mut text = String::from("| Linux | tier 1 | tier 2 | tier 3 |\n|---|---|---|---|\n");
    for report in kernels {
        let cell = |number: u64| match report.tiers.get(&number) {
            Some(tier) if tier.able && tier.failed.is_empty() => format!("{} checks passed", tier.passed),
            Some(tier) if tier.able => format!("{} of {} checks passed", tier.passed, tier.passed + tier.failed.len() as u64),
            _ => "no".into(),
        };
        let _infallible = writeln!(text, "| {} | {} | {} | {} |", report.kernel, cell(1), cell(2), cell(3));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = r#"@ {"kernel": "6.1.0-56-cloud-amd64"}
@ {"tier": 1, "able": false, "reasons": ["no tracepoints"]}
@ {"tier": 3, "able": true, "instructions": {"syscall_exit": 300, "sock_state": 10}}
@ {"tier": 3, "check": "late", "problems": []}
@ {"tier": 3, "check": "pipelined", "problems": ["one is missing"]}
@ {"tier": null, "check": "kernel log", "problems": []}
"#;

    #[test]
    fn only_an_explicit_pass_at_the_end_of_a_guest_counts() {
        for (end, passed) in
            [("PASS\nDONE\n", true), ("PASS\n", false), ("FAIL 1 checks\nDONE\n", false), ("DONE\n", false), ("@ PASS\nDONE\n", false)]
        {
            assert_eq!(KernelReport::of(&format!("{OUTPUT}{end}")).passed, passed, "{end}");
        }
        assert!(!KernelReport::of("PASS\nDONE\n").passed, "no tier was tried");
    }

    #[test]
    fn what_failed_and_what_grew_is_named() {
        let report = KernelReport::of(OUTPUT);
        let problems: Vec<String> = report.problems().collect();
        assert_eq!(problems, ["tier 1 is not possible: no tracepoints", "tier 3, pipelined: one is missing"]);
        let mut before = report.clone();
        before.tiers.get_mut(&3).unwrap().instructions = [("syscall_exit".to_owned(), 250), ("sock_state".to_owned(), 10)].into();
        let growth: Vec<String> = report.growth(Some(&before)).collect();
        assert_eq!(growth, ["tier 3, syscall_exit: 300 instructions verified, before 250"]);
        assert_eq!(report.growth(None).count(), 0);
        let known = [("6.1".to_owned(), report)].into();
        assert!(table(&known).ends_with("| 6.1.0-56-cloud-amd64 | no | no | 1 of 2 checks passed |\n"), "{}", table(&known));
        assert_eq!(serde_json::from_str::<BTreeMap<String, KernelReport>>(&serde_json::to_string(&known).unwrap()).unwrap(), known);
    }
}
