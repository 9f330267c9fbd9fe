//! The result of `perfmon check` as text: whether capture can run, what is not seen and why, then the processes, those with the same coverage
//! together. The long form lists every kernel program and every process.
use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::http::HardeningStatus;
use crate::record::ServiceSource;

use super::{Coverage, Findings, Protocols, TargetProcess, printable};

/// Services named for one coverage; the rest is a number.
const NAMED_SERVICES: usize = 12;
/// Width of a line of services.
const WIDTH: usize = 100;

/// Behind a name that a process gave itself.
const CLAIMED: &str = "*";

/// The text.
pub fn text(findings: &Findings, long: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    write(findings, long, &mut text).ok();
    text
}

fn write(findings: &Findings, long: bool, text: &mut String) -> fmt::Result {
    writeln!(text, "perfmon {} on Linux {}", if findings.can_run { "can run" } else { "cannot run" }, printable(&findings.kernel))?;
    for problem in &findings.problems {
        problem.lines().try_for_each(|line| writeln!(text, "  {}", printable(line)))?;
    }
    if let (Some(tier), Some(capture), Some(bytes)) = (findings.capture_tier, findings.capture, findings.map_bytes) {
        writeln!(text, "Capture tier {tier}: {capture}; {:.1} MB of kernel maps", bytes as f64 / 1e6)?;
    }
    programs(findings, long, text)?;
    let Protocols { read, unread } = &findings.protocols;
    writeln!(text, "Protocols")?;
    writeln!(text, "  read: {}", read.join(", "))?;
    writeln!(text, "  recognised and not read yet: {}", unread.join(", "))?;
    blind_spots(&findings.targets, text)?;
    hardening(&findings.hardening, text)?;
    match long {
        true => every_process(&findings.targets, text),
        false => coverages(&findings.targets, text),
    }
}

/// Kernel programs: all of them, or those whose absence means that something is not seen.
fn programs(findings: &Findings, long: bool, text: &mut String) -> fmt::Result {
    if findings.probes.is_empty() {
        return Ok(());
    }
    if long {
        writeln!(text, "Kernel programs")?;
    } else {
        let attached = findings.probes.iter().filter(|probe| probe.state == "attached").count();
        let others = findings.probes.iter().filter(|probe| probe.state != "attached" && probe.missed.is_none()).count();
        writeln!(text, "Kernel programs: {attached} attached, {others} not needed here")?;
    }
    for probe in findings.probes.iter().filter(|probe| long || probe.missed.is_some()) {
        let line = format!("  {:<18} {:<9} {}", probe.name, probe.state, printable(probe.reason.as_deref().unwrap_or("")));
        writeln!(text, "{}", line.trim_end())?;
        if let Some(missed) = probe.missed {
            writeln!(text, "  {:<28} not seen: {missed}", "")?;
        }
    }
    Ok(())
}

/// What a run gives up after attaching, in a line.
fn hardening(hardening: &HardeningStatus, text: &mut String) -> fmt::Result {
    let HardeningStatus { capabilities, no_new_privs, dumpable, seccomp, landlock } = hardening;
    let given_up = [
        if *no_new_privs { "no_new_privs" } else { "new privileges" },
        if *dumpable { "core dumps" } else { "no core dumps" },
        if *seccomp { "seccomp" } else { "no seccomp" },
    ];
    let names: Vec<String> = capabilities.iter().map(|name| name.trim_start_matches("CAP_").to_lowercase()).collect();
    let kept = if names.is_empty() { "none".into() } else { names.join(", ") };
    writeln!(text, "Hardening of a run: {}, landlock {landlock}; capabilities kept: {kept}", given_up.join(", "))
}

/// What is not seen of processes whatever their traffic, and of which services.
fn blind_spots(targets: &[TargetProcess], text: &mut String) -> fmt::Result {
    let mut groups: BTreeMap<&str, CoverageGroup<'_>> = BTreeMap::new();
    for target in targets {
        for spot in &target.not_seen {
            groups.entry(spot.reason).or_default().add(target);
        }
    }
    if !groups.is_empty() {
        writeln!(text, "Not seen of these processes:")?;
    }
    for (reason, group) in &groups {
        writeln!(text, "  {reason} ({})", counted(group.processes, "process", "processes"))?;
        services(group, text)?;
    }
    Ok(())
}

fn every_process(targets: &[TargetProcess], text: &mut String) -> fmt::Result {
    if !targets.is_empty() {
        writeln!(text, "Processes")?;
    }
    for target in targets {
        let runtime = target.runtime.as_deref().unwrap_or("unknown runtime");
        let (service, about) = (printable(&target.service), printable(&target.encrypted_traffic));
        let claimed = if target.service_source == ServiceSource::Environment { " (by its environment)" } else { "" };
        writeln!(text, "  {:>7} {service:<20}{claimed} {}, {about}", target.pid, printable(runtime))?;
        for spot in &target.not_seen {
            writeln!(text, "  {:>7} {:<20} not seen: {}", "", spot.part, spot.reason)?;
        }
    }
    Ok(())
}

/// Processes of the same coverage.
#[derive(Default)]
struct CoverageGroup<'a> {
    processes: usize,
    services: BTreeMap<&'a str, NamedProcesses>,
}

/// Processes of one name.
#[derive(Default)]
struct NamedProcesses {
    count: usize,
    /// One of them at least has the name from its own environment.
    claimed: bool,
}

impl<'a> CoverageGroup<'a> {
    fn add(&mut self, target: &'a TargetProcess) {
        self.processes += 1;
        let named = self.services.entry(&target.service).or_default();
        named.count += 1;
        named.claimed |= target.service_source == ServiceSource::Environment;
    }
}

/// What is seen of encrypted traffic, the worst first, and of which services.
fn coverages(targets: &[TargetProcess], text: &mut String) -> fmt::Result {
    if targets.is_empty() {
        return Ok(());
    }
    let mut groups: BTreeMap<(Coverage, &str), CoverageGroup<'_>> = BTreeMap::new();
    for target in targets {
        groups.entry((target.coverage, &target.encrypted_traffic)).or_default().add(target);
    }
    writeln!(text, "Processes: {}. What is seen of their TLS traffic (all other HTTP/1 traffic is read):", targets.len())?;
    for ((_, about), group) in &groups {
        writeln!(text, "  {} ({})", printable(about), counted(group.processes, "process", "processes"))?;
        services(group, text)?;
    }
    if targets.iter().any(|target| target.service_source == ServiceSource::Environment) {
        writeln!(text, "{CLAIMED} Whoever started the process chose this name: it stands in its environment.")?;
    }
    writeln!(text, "`perfmon check --all-processes` lists every kernel program and every process.")
}

/// The services with most processes, in lines of a limited width.
fn services(group: &CoverageGroup<'_>, text: &mut String) -> fmt::Result {
    let mut by_count: Vec<_> = group.services.iter().collect();
    by_count.sort_by(|a, b| b.1.count.cmp(&a.1.count).then(a.0.cmp(b.0)));
    let name = |(service, named): &(&&str, &NamedProcesses)| {
        let mark = if named.claimed { CLAIMED } else { "" };
        match named.count {
            1 => format!("{}{mark}", printable(service)),
            count => format!("{}{mark} ({count})", printable(service)),
        }
    };
    let mut parts: Vec<String> = by_count.iter().take(NAMED_SERVICES).map(name).collect();
    if by_count.len() > NAMED_SERVICES {
        parts.push(format!("and {}", counted(by_count.len() - NAMED_SERVICES, "more service", "more services")));
    }
    let mut line = String::from("   ");
    for (index, part) in parts.iter().enumerate() {
        if line.len() > 3 && line.chars().count() + part.chars().count() + 2 > WIDTH {
            writeln!(text, "{line}")?;
            line = String::from("   ");
        }
        write!(line, " {part}{}", if index + 1 < parts.len() { "," } else { "" })?;
    }
    writeln!(text, "{line}")
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::super::Probe;
    use super::*;
    use crate::record::BlindSpot;

    fn process(pid: u32, service: &str, coverage: Coverage, about: &str) -> TargetProcess {
        TargetProcess {
            pid,
            comm: "x".into(),
            service: service.into(),
            service_source: ServiceSource::Program,
            container: None,
            runtime: None,
            tls: None,
            encrypted_traffic: about.into(),
            not_seen: Vec::new(),
            coverage,
        }
    }

    fn findings(targets: Vec<TargetProcess>) -> Findings {
        let probe = |name, state, missed| Probe { name, state, reason: None, missed, verified_instructions: None };
        Findings {
            can_run: true,
            kernel: "6.12".into(),
            problems: Vec::new(),
            capture_tier: Some(1),
            capture: Some("socket tracepoints"),
            map_bytes: Some(1_000_000),
            probes: vec![probe("sock_recv", "attached", None), probe("x", "skipped", None), probe("y", "failed", Some("resets"))],
            protocols: Protocols { read: vec!["http/1.1"], unread: vec!["h2"] },
            hardening: HardeningStatus {
                capabilities: vec!["CAP_BPF".into(), "CAP_PERFMON".into()],
                no_new_privs: true,
                dumpable: false,
                seccomp: true,
                landlock: "off: the kernel has none".into(),
            },
            targets,
        }
    }

    #[test]
    fn what_is_not_seen_is_one_line_for_all_of_whom_it_is_true() {
        let spot = BlindSpot { part: "requests", reason: "it is of another kind" };
        let blind = |pid, service| TargetProcess { not_seen: vec![spot], ..process(pid, service, Coverage::Unknown, "no library") };
        let findings = findings(vec![blind(1, "till"), blind(2, "till"), blind(3, "shop"), process(4, "seen", Coverage::Read, "all")]);
        let short = text(&findings, false);
        assert!(short.contains("Not seen of these processes:\n  it is of another kind (3 processes)\n    till (2), shop\n"), "{short}");
        let long = text(&findings, true);
        assert_eq!(long.matches("not seen: it is of another kind").count(), 3);
    }

    #[test]
    fn names_that_processes_gave_themselves_are_marked() {
        let claims = |pid, service| TargetProcess {
            service_source: ServiceSource::Environment,
            ..process(pid, service, Coverage::Unknown, "no library")
        };
        let named = |pid, service| process(pid, service, Coverage::Unknown, "no library");
        let legend = "* Whoever started the process chose this name: it stands in its environment.\n";
        let marked = findings(vec![named(1, "till"), claims(2, "till"), claims(3, "shop"), named(4, "nginx")]);
        let short = text(&marked, false);
        assert!(short.contains("    till* (2), nginx, shop*\n") && short.contains(legend), "{short}");
        assert_eq!(text(&marked, true).matches(" (by its environment) ").count(), 2);
        assert!(!text(&findings(vec![named(1, "till")]), false).contains('*'));
    }

    #[test]
    fn processes_of_the_same_coverage_are_one_line() {
        let mut targets: Vec<_> = (0..500).map(|n| process(n, &format!("worker-{}", n % 40), Coverage::Unknown, "no library")).collect();
        targets.push(process(900, "shop", Coverage::Read, "plaintext"));
        targets.push(process(901, "api\u{1b}[2J\u{202e}\nforged", Coverage::Unread, "built in"));
        let findings = findings(targets);
        let short = text(&findings, false);
        assert!(short.lines().count() < 20, "{short}");
        assert!(short.starts_with("perfmon can run on Linux 6.12\n"), "{short}");
        assert_eq!(short.matches("no library").count(), 1, "{short}");
        let place = |part: &str| short.find(part).unwrap_or_else(|| panic!("{part} is missing in {short}"));
        let order =
            ["not seen: resets", "built in (1 process)", "plaintext (1 process)", "no library (500 processes)", "and 28 more services"];
        assert!(order.map(place).is_sorted(), "{short}");
        assert!(
            short.contains("1 attached, 1 not needed") && !short.contains(['\u{1b}', '\u{202e}']) && !short.contains("\nforged"),
            "{short}"
        );
        let hardening = "no_new_privs, no core dumps, seccomp, landlock off: the kernel has none; capabilities kept: bpf, perfmon\n";
        assert!(short.contains(hardening), "{short}");
        let long = text(&findings, true);
        assert_eq!(long.matches("no library").count(), 500);
        assert!(long.contains("sock_recv") && !long.contains(['\u{1b}', '\u{202e}']) && !long.contains("\nforged"));
    }
}
