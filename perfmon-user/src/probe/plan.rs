//! Facts and the wanted capture tier → which programs go to which tracepoints. Pure: nothing is loaded here.
use super::hooks::{HOOKS, Hook, HookPoint, Job};
use super::support::Hooks;

/// How sends and receives are observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Tier 1: tracepoints of the socket layer (Linux 6.3 and later). Other system calls pay nothing.
    Socket,
    /// Tier 2: the exit of the functions that sockets are called through. Other system calls pay nothing.
    Function,
    /// Tier 3: the exit of every system call.
    SyscallExit,
}

impl Tier {
    /// Its number in `check`, `/api/v1/self` and `--capture-tier`.
    pub fn number(self) -> u8 {
        match self {
            Self::Socket => 1,
            Self::Function => 2,
            Self::SyscallExit => 3,
        }
    }

    /// What it means, for the user.
    pub fn about(self) -> &'static str {
        match self {
            Self::Socket => "socket tracepoints, so that system calls that are no socket I/O pay nothing",
            Self::Function => {
                "the exit of the kernel's socket functions, because this kernel lacks the socket tracepoints or it was asked for; system calls that are no socket I/O pay nothing"
            }
            Self::SyscallExit => "the exit of every system call, because this kernel can do no better or it was asked for",
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
            "2" => Ok(Self::Only(Tier::Function)),
            "3" => Ok(Self::Only(Tier::SyscallExit)),
            _ => Err("the capture tier is auto, 1, 2 or 3"),
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
pub fn tiers(hooks: &Hooks, choice: TierChoice) -> Vec<Tier> {
    let programs = |tier: Tier| HOOKS.iter().filter(move |hook| hook.job == Job::Capture(tier));
    let exists = |tier: &Tier| programs(*tier).all(|hook| absent(hook, hooks).is_none());
    let wanted: &[Tier] = match &choice {
        TierChoice::Auto => &[Tier::Socket, Tier::Function, Tier::SyscallExit],
        TierChoice::Only(tier) => std::slice::from_ref(tier),
    };
    wanted.iter().copied().filter(exists).collect()
}

/// The programs of a tier, those that are not needed here with the reason. TLS programs are loaded with their libraries.
pub fn programs(hooks: &Hooks, tier: Tier) -> Vec<Planned> {
    let plan = |hook: &'static Hook| {
        let skip = match hook.job {
            Job::Capture(other) | Job::With(other) if other != tier => Some(format!("capture tier {} is used", tier.number())),
            _ => absent(hook, hooks),
        };
        Planned { hook, needed: hook.job == Job::Capture(tier), skip }
    };
    HOOKS.iter().filter(|hook| hook.point != HookPoint::Uprobe).map(plan).collect()
}

/// Why this kernel lacks the hook.
fn absent(hook: &Hook, hooks: &Hooks) -> Option<String> {
    match hook.point {
        HookPoint::RawTracepoint(name) if !hooks.tracepoints.contains(name) => {
            Some(format!("this kernel has no tracepoint {name} (Linux {} has)", hook.since))
        }
        HookPoint::FunctionExit(name) if !hooks.functions.contains(name) => {
            Some(format!("this kernel has no function {name} whose exit may safely run a program (Linux {} has)", hook.since))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [&str; 5] = ["sys_exit", "tcp_probe", "inet_sock_set_state", "sched_process_exec", "sched_process_exit"];
    const NEW: [&str; 5] = ["sock_recv_length", "sock_send_length", "sys_exit", "sk_data_ready", "tcp_probe"];
    const FUNCTIONS: [&str; 6] = ["tcp_recvmsg", "tcp_sendmsg", "unix_stream_recvmsg", "unix_stream_sendmsg", "udp_recvmsg", "udp_sendmsg"];

    fn hooks(tracepoints: &[&'static str], functions: &[&'static str]) -> Hooks {
        Hooks { tracepoints: tracepoints.iter().copied().collect(), functions: functions.iter().copied().collect() }
    }

    fn loaded(plan: &[Planned]) -> Vec<&str> {
        plan.iter().filter(|planned| planned.skip.is_none()).map(|planned| planned.hook.program).collect()
    }

    #[test]
    fn the_cheapest_tier_comes_first() {
        assert_eq!(tiers(&hooks(&NEW, &FUNCTIONS), TierChoice::Auto), [Tier::Socket, Tier::Function, Tier::SyscallExit]);
        assert_eq!(tiers(&hooks(&OLD, &FUNCTIONS), TierChoice::Auto), [Tier::Function, Tier::SyscallExit]);
        // One of the functions that the tier cannot be without is missing.
        assert_eq!(tiers(&hooks(&OLD, &FUNCTIONS[1..]), TierChoice::Auto), [Tier::SyscallExit]);
        assert_eq!(tiers(&hooks(&OLD, &FUNCTIONS), TierChoice::Only(Tier::Socket)), []);
        assert_eq!(tiers(&hooks(&NEW, &[]), TierChoice::Only(Tier::SyscallExit)), [Tier::SyscallExit]);
        assert_eq!(tiers(&Hooks::default(), TierChoice::Auto), []);
    }

    #[test]
    fn only_one_tier_is_loaded() {
        assert_eq!(
            loaded(&programs(&hooks(&NEW, &FUNCTIONS), Tier::Socket)),
            ["sock_recv", "sock_send", "datagram_exit", "data_ready", "segment_received", "set_policy"]
        );
        assert_eq!(
            loaded(&programs(&hooks(&NEW, &FUNCTIONS), Tier::Function)),
            [
                "tcp_received",
                "tcp_sent",
                "unix_received",
                "unix_sent",
                "udp_received",
                "udp_sent",
                "datagram_exit",
                "data_ready",
                "segment_received",
                "set_policy"
            ]
        );
        assert_eq!(
            loaded(&programs(&hooks(&NEW, &FUNCTIONS), Tier::SyscallExit)),
            ["syscall_exit", "datagram_exit", "data_ready", "segment_received", "set_policy"]
        );
    }

    #[test]
    fn what_the_kernel_lacks_is_skipped_with_a_reason() {
        let plan = programs(&hooks(&OLD, &FUNCTIONS), Tier::SyscallExit);
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
        assert_eq!("2".parse(), Ok(TierChoice::Only(Tier::Function)));
        assert!("4".parse::<TierChoice>().is_err());
    }
}
