//! Facts and the wanted capture tier → which programs go to which tracepoints. Pure: nothing is loaded here.
use std::collections::BTreeSet;

use super::hooks::{HOOKS, Hook, HookPoint, Job};

/// How sends and receives are observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Tier 1: tracepoints of the socket layer (Linux 6.3 and later). Other system calls pay nothing.
    Socket,
    /// Tier 3: the exit of every system call.
    SyscallExit,
}

impl Tier {
    /// Its number in `check`, `/api/v1/self` and `--capture-tier`.
    pub fn number(self) -> u8 {
        match self {
            Self::Socket => 1,
            Self::SyscallExit => 3,
        }
    }

    /// What it means, for the user.
    pub fn about(self) -> &'static str {
        match self {
            Self::Socket => "socket tracepoints, so that system calls that are no socket I/O pay nothing",
            Self::SyscallExit => "the exit of every system call, because this kernel lacks the socket tracepoints or it was asked for",
        }
    }
}

/// The wanted tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The cheapest that this host has.
    #[default]
    Auto,
    /// This one or an error.
    Only(Tier),
}

impl std::str::FromStr for TierChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "1" => Ok(Self::Only(Tier::Socket)),
            "3" => Ok(Self::Only(Tier::SyscallExit)),
            _ => Err("the capture tier is auto, 1 or 3"),
        }
    }
}

/// A program and the decision on it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its row in the table.
    pub hook: &'static Hook,
    /// Without it the tier cannot be used.
    pub needed: bool,
    /// Why it is not loaded, if it is not.
    pub skip: Option<String>,
}

/// The tiers to try, best first; empty when the host has none of those wanted.
pub fn tiers(tracepoints: &BTreeSet<&'static str>, choice: TierChoice) -> Vec<Tier> {
    let programs = |tier: Tier| HOOKS.iter().filter(move |hook| hook.job == Job::Capture(tier));
    let exists = |tier: &Tier| programs(*tier).all(|hook| absent(hook, tracepoints).is_none());
    let wanted: &[Tier] = match &choice {
        TierChoice::Auto => &[Tier::Socket, Tier::SyscallExit],
        TierChoice::Only(tier) => std::slice::from_ref(tier),
    };
    wanted.iter().copied().filter(exists).collect()
}

/// The programs of a tier, those that are not needed here with the reason. TLS programs are loaded with their libraries.
pub fn programs(tracepoints: &BTreeSet<&'static str>, tier: Tier) -> Vec<Planned> {
    let plan = |hook: &'static Hook| {
        let skip = match hook.job {
            Job::Capture(other) if other != tier => Some(format!("capture tier {} is used", tier.number())),
            _ => absent(hook, tracepoints),
        };
        Planned { hook, needed: hook.job == Job::Capture(tier), skip }
    };
    HOOKS.iter().filter(|hook| hook.point != HookPoint::Uprobe).map(plan).collect()
}

/// Why this kernel lacks the hook.
fn absent(hook: &Hook, tracepoints: &BTreeSet<&'static str>) -> Option<String> {
    match hook.point {
        HookPoint::RawTracepoint(name) if !tracepoints.contains(name) => {
            Some(format!("this kernel has no tracepoint {name} (Linux {} has)", hook.since))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [&str; 5] = ["sys_exit", "tcp_probe", "inet_sock_set_state", "sched_process_exec", "sched_process_exit"];
    const NEW: [&str; 5] = ["sock_recv_length", "sock_send_length", "sys_exit", "sk_data_ready", "tcp_probe"];

    fn loaded(plan: &[Planned]) -> Vec<&str> {
        plan.iter().filter(|planned| planned.skip.is_none()).map(|planned| planned.hook.program).collect()
    }

    #[test]
    fn the_cheapest_tier_comes_first() {
        assert_eq!(tiers(&NEW.into(), TierChoice::Auto), [Tier::Socket, Tier::SyscallExit]);
        assert_eq!(tiers(&OLD.into(), TierChoice::Auto), [Tier::SyscallExit]);
        assert_eq!(tiers(&OLD.into(), TierChoice::Only(Tier::Socket)), []);
        assert_eq!(tiers(&NEW.into(), TierChoice::Only(Tier::SyscallExit)), [Tier::SyscallExit]);
        assert_eq!(tiers(&BTreeSet::new(), TierChoice::Auto), []);
    }

    #[test]
    fn only_one_tier_is_loaded() {
        assert_eq!(
            loaded(&programs(&NEW.into(), Tier::Socket)),
            ["sock_recv", "sock_send", "datagram_exit", "data_ready", "segment_received", "set_policy"]
        );
        assert_eq!(
            loaded(&programs(&NEW.into(), Tier::SyscallExit)),
            ["syscall_exit", "datagram_exit", "data_ready", "segment_received", "set_policy"]
        );
    }

    #[test]
    fn what_the_kernel_lacks_is_skipped_with_a_reason() {
        let plan = programs(&OLD.into(), Tier::SyscallExit);
        assert_eq!(
            loaded(&plan),
            [
                "syscall_exit",
                "datagram_exit",
                "sock_state",
                "process_exec",
                "process_exec_short",
                "process_exit",
                "segment_received",
                "set_policy",
            ]
        );
        let skipped = plan.iter().find(|planned| planned.hook.program == "data_ready").and_then(|planned| planned.skip.clone());
        assert_eq!(skipped.as_deref(), Some("this kernel has no tracepoint sk_data_ready (Linux 6.3 has)"));
    }

    #[test]
    fn tiers_are_read_from_text() {
        assert_eq!("auto".parse(), Ok(TierChoice::Auto));
        assert_eq!("3".parse(), Ok(TierChoice::Only(Tier::SyscallExit)));
        assert!("2".parse::<TierChoice>().is_err());
    }
}
