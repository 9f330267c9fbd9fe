//! The kernel side: support checks, loading, attaching, and handles to the running programs. In: options; out: a ring of events
//! (`source::ring`) and [`Probes`], through which modes and watched processes are set and losses are read. Dropping `Probes` detaches all.
mod attach;
mod closer;
mod handles;
mod hooks;
#[cfg(feature = "kernel-log")]
mod kernel_log;
#[cfg(not(feature = "fuzzing"))]
mod library;
#[cfg(feature = "fuzzing")]
pub mod library;
mod load;
mod mappings;
mod offsets;
mod plan;
mod policy;
mod ring_size;
mod skipped;
mod support;
mod syscalls;
mod tls;

pub use attach::{ProbeReport, ProbeState};
pub use closer::{Closer, closer, hand_over};
pub use handles::{KernelCost, Probes};
pub use hooks::missed;
pub use library::mapped::{FileId, Mapped};
pub use load::TableSizes;
pub use mappings::{MappedNow, Mappings};
pub use offsets::OffsetError;
pub use plan::{Tier, TierChoice};
pub use policy::Budgets;
pub use ring_size::usual_ring_bytes;
pub use skipped::SkippedRuns;
pub use support::Facts;
pub use tls::{LibraryFile, TlsSight};

use perfmon_common::map::{Settings, WATCH_ALL, WATCH_LISTED};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::DESCRIPTORS;

/// What to observe.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// Every process of the host but perfmon; else those given to [`Probes::watch`].
    pub watch_all: bool,
    /// Children of watched processes are watched.
    pub follow: bool,
    /// Processes that execute a program or begin to listen are watched until [`Probes::unwatch`].
    pub watch_new: bool,
    /// How much of each socket is captured until its policy is set.
    pub budgets: Budgets,
    /// Size of the ring, bytes; a power of two and of pages.
    pub ring_bytes: u32,
    /// The wanted capture tier.
    pub tier: TierChoice,
    /// Return probes on TLS libraries that cannot be probed otherwise: they kill programs that switch stacks.
    pub return_probes: bool,
    /// Sizes of tables.
    pub tables: TableSizes,
}

/// Why nothing can be observed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Not allowed.
    #[error("perfmon is not allowed to load kernel programs: it lacks {}; run it as root (sudo perfmon …) or grant them (setcap, systemd AmbientCapabilities)", missing.join(", "))]
    Permission {
        /// Capabilities that it lacks.
        missing: Vec<&'static str>,
    },
    /// No type information.
    #[error("the kernel does not describe its types: {0}")]
    NoBtf(String),
    /// The type information lacks something.
    #[error(transparent)]
    Offsets(#[from] OffsetError),
    /// No hooks for the wanted tier.
    #[error("this kernel ({release}) lacks the hooks of {wanted}")]
    NoTier {
        /// `uname -r`.
        release: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The kernel refused a map or the object.
    #[error("the kernel refused perfmon's maps")]
    Load(#[from] Box<aya::EbpfError>),
    /// A map has another type or is missing.
    #[error("perfmon's kernel object does not fit its user side; rebuild it with `cargo xtask build-ebpf`")]
    Object(#[from] Box<aya::maps::MapError>),
    /// The programs that every tier needs were refused.
    #[error("the kernel refused the programs that capture needs: {}", describe(reports))]
    Refused {
        /// Result of each.
        reports: Vec<ProbeReport>,
    },
}

/// The programs that failed, those together that failed for one reason.
fn describe(reports: &[ProbeReport]) -> String {
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for report in reports.iter().filter(|report| report.state == ProbeState::Failed) {
        let reason = report.reason.as_deref().unwrap_or("no reason");
        match lines.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(report.name),
            None => lines.push((reason, vec![report.name])),
        }
    }
    lines.iter().map(|(reason, names)| format!("{}: {reason}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

/// Loads and attaches. A tier whose programs the kernel refuses gives way to the next one.
///
/// # Errors
/// [`ProbeError`] when nothing can be observed here, with what is missing.
pub fn start(options: &StartOptions) -> Result<Probes, ProbeError> {
    let facts = Facts::gather();
    if !facts.missing_capabilities.is_empty() {
        return Err(ProbeError::Permission { missing: facts.missing_capabilities });
    }
    raise_descriptor_limit();
    let btf = facts.btf.as_ref().map_err(|reason| ProbeError::NoBtf(reason.clone()))?;
    let globals = load::Globals {
        settings: settings(options),
        offsets: offsets::read(btf, page_size())?,
        syscalls: syscalls::table(),
        object: facts.object,
    };
    let mut refused = Vec::new();
    for tier in plan::tiers(&facts.hooks, options.tier) {
        let mut ebpf = load::load(&globals, tier, options.ring_bytes, options.tables).map_err(Box::new)?;
        let tls = tls::TlsOptions { everywhere: options.watch_all, return_probes: options.return_probes };
        // Before anything is attached: the kernel verifies for a while, and libraries shall be probed right after.
        let (tls_reports, programs) = tls::load(&mut ebpf, facts.object, tls);
        let mut reports = attach::attach(&mut ebpf, &plan::programs(&facts.hooks, tier));
        if reports.iter().all(|report| !report.needed || report.state == ProbeState::Attached) {
            mark_refused(&mut reports, refused);
            #[cfg(feature = "kernel-log")]
            kernel_log::follow(&mut ebpf);
            let policy = policy::PolicySetter::find(&mut ebpf, &mut reports);
            reports.extend(tls_reports);
            let libraries = tls::TlsLibraries::new(tls, programs);
            let ring_bytes = options.ring_bytes as usize;
            return Ok(Probes::new(ebpf, policy, options.budgets, reports, tier, libraries, ring_bytes).map_err(Box::new)?);
        }
        refused = reports;
    }
    if refused.is_empty() {
        let wanted = if options.tier == TierChoice::Auto { "every capture tier" } else { "the wanted capture tier" };
        return Err(ProbeError::NoTier { release: facts.release, wanted });
    }
    Err(ProbeError::Refused { reports: refused })
}

/// Programs of a better tier that the kernel refused stand as failed, not as skipped, in the reports of the tier that is used.
fn mark_refused(reports: &mut [ProbeReport], refused: Vec<ProbeReport>) {
    for failed in refused.into_iter().filter(|report| report.needed && report.state == ProbeState::Failed) {
        if let Some(report) = reports.iter_mut().find(|report| report.name == failed.name) {
            (report.state, report.reason) = (failed.state, failed.reason);
        }
    }
}

fn settings(options: &StartOptions) -> Settings {
    Settings {
        own_tgid: std::process::id(),
        watch: if options.watch_all { WATCH_ALL } else { WATCH_LISTED },
        follow: options.follow.into(),
        watch_new: options.watch_new.into(),
        request_budget: options.budgets.request,
        response_budget: options.budgets.response,
        operation_head: options.budgets.operation_head,
        ring_bytes: options.ring_bytes,
    }
}

/// Programs, maps and the links of every probed library are descriptors; the usual limit of 1,024 is meant for programs that use select(2).
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
    {
        tracing::debug!(%error, "The limit of open files stays as it is.");
    }
}

fn page_size() -> u32 {
    u32::try_from(procfs::page_size()).unwrap_or(4096)
}
