//! The checked configuration → what each stage is told. Pure.
use crate::aggregate::{AggregateOptions, EndpointRule};
use crate::clock;
use crate::config::{Config, Jsonl, TierSetting};
use crate::export::jsonl;
use crate::probe::{self, Budgets, StartOptions, TierChoice};
use crate::store;
use crate::target::command::Launched;
use crate::target::{Selector, ServiceRule, Target};

/// Where lines of JSON go.
pub(super) fn destination(to: &Jsonl, config: &Config) -> jsonl::JsonlDestination {
    match (to, config.jsonl_max) {
        (Jsonl::Stdout, _) => jsonl::JsonlDestination::Stdout,
        (Jsonl::File(path), None) => jsonl::JsonlDestination::File(path.clone()),
        (Jsonl::File(path), Some(max_bytes)) => jsonl::JsonlDestination::Rotating { path: path.clone(), max_bytes },
    }
}

fn target(spec: crate::config::TargetSpec) -> Target {
    use crate::config::TargetSpec;
    match spec {
        TargetSpec::Pid(pid) => Target::Pid { pid },
        TargetSpec::Exe(glob) => Target::Exe(glob),
        TargetSpec::Port(port) => Target::Port(port),
        TargetSpec::Container(name) => Target::Container(name),
        TargetSpec::Cgroup(path) => Target::Cgroup(path),
    }
}

/// What is watched: with a command and no other target, the command and its children.
pub(super) fn targets(config: &Config, launched: Option<&Launched>) -> Vec<Target> {
    let mut targets: Vec<Target> = config.targets.specs().into_iter().map(target).collect();
    if let Some(launched) = launched
        && !config.targets.all
    {
        targets.push(Target::Pid { pid: launched.pid() });
    }
    targets
}

/// The configured service names: a rule with an executable and a port names what either matches.
pub(super) fn service_rules(config: &Config) -> Vec<ServiceRule> {
    let rules = config.services.iter().flat_map(|rule| {
        let targets = [rule.exe.clone().map(Target::Exe), rule.port.map(Target::Port)];
        targets.into_iter().flatten().map(|target| ServiceRule { target, service: rule.name.as_str().into() })
    });
    rules.collect()
}

/// What the aggregate is told.
pub(super) fn aggregate_options(config: &Config) -> AggregateOptions {
    let endpoint_rules = config
        .endpoints
        .iter()
        .map(|rule| EndpointRule { service: rule.service.clone(), method: rule.method.clone(), pattern: rule.pattern.clone() })
        .collect();
    AggregateOptions { endpoint_rules, now: clock::wall_now() }
}

/// What the kernel side is told.
pub(super) fn start_options(config: &Config, selector: &Selector) -> StartOptions {
    StartOptions {
        watch_all: selector.watches_all(),
        follow: config.targets.follow,
        watch_new: !selector.watches_all(),
        budgets: Budgets {
            request: config.capture.request_budget,
            response: config.capture.response_budget,
            operation_head: config.capture.operation_head,
        },
        ring_bytes: config.capture.ring_mib.map_or_else(probe::usual_ring_bytes, |mib| mib << 20),
        tier: match config.capture.tier {
            TierSetting::Auto => TierChoice::Auto,
            TierSetting::One => TierChoice::Only(probe::Tier::Socket),
            TierSetting::Two => TierChoice::Only(probe::Tier::Function),
            TierSetting::Three => TierChoice::Only(probe::Tier::SyscallExit),
        },
        return_probes: config.capture.return_probes,
        tables: probe::TableSizes::default(),
    }
}

/// How long history is kept.
pub(super) fn retention(config: &Config) -> store::Retention {
    let kept = &config.store;
    store::Retention { finest: kept.keep_seconds, minute: kept.keep_minutes, hour: kept.keep_hours, records: kept.keep_records }
}
