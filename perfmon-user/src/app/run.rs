//! `perfmon run` and `perfmon record`: from a checked configuration to a running profiler and back. Everything that can be refused is
//! refused before a probe is loaded; what is running ends in the order in which data flows, so that nothing on its way is lost.
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::aggregate::snapshot::Snapshot;
use crate::aggregate::{Aggregate, AggregateOptions, EndpointRule};
use crate::alert;
use crate::clock;
use crate::config::{Config, Display, Jsonl, TierSetting, Ui};
use crate::counters::Counters;
use crate::export::jsonl;
use crate::export::otlp::{Deliveries, Exporter};
use crate::http::{self, Access, HttpParts, HttpState};
use crate::inspect::ForeignReader;
use crate::limits::{ALERTS_OPEN, ALERTS_RESOLVED, BATCH_QUEUE, INSPECTOR_QUEUE};
use crate::llm;
use crate::probe::{self, Budgets, Probes, StartOptions, TierChoice};
use crate::record::{SpareBatches, WallTime};
use crate::store::{self, Store};
use crate::target::command::Launched;
use crate::target::{Describer, Selector, ServiceRule, Target};
use crate::ui::Messages;

use super::alerts::AlertStage;
use super::capture::{self, Capturing, Chosen, WatchedTargets};
use super::display::{self, RunningDisplay};
use super::hub::{Consumer, Hub};
use super::inspector::Inspector;
use super::recorder::Recorder;
use super::self_report::{SelfReporter, readiness};
use super::{CommandFailure, logging, sampler, telemetry};

/// Alerts that began longer ago are not taken up again.
const EARLIER_ALERTS: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Runs until Ctrl-C, SIGTERM, the duration or the command's end.
pub fn run(config: &Config, command: &[OsString], record_to: Option<&Path>) -> Result<u8, CommandFailure> {
    let display = config.display(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let messages = logging::begin(config.log, display == Display::Screen);
    let prepared = Prepared::new(config, command, record_to)?;
    let result = prepared.start(config)?.until_the_end(config, display, &messages);
    logging::tell(&messages);
    result
}

/// The user's settings, checked.
struct Prepared {
    launched: Option<Launched>,
    selector: Selector,
    first: Vec<u32>,
    describer: Describer,
    reader: ForeignReader,
    listener: std::net::TcpListener,
    recorder: Option<Recorder>,
    jsonl: Option<jsonl::JsonlWriter>,
    alert_service: Arc<alert::AlertService>,
    counters: Arc<Counters>,
}

impl Prepared {
    fn new(config: &Config, command: &[OsString], record_to: Option<&Path>) -> Result<Self, CommandFailure> {
        let counters = Arc::new(Counters::default());
        let mut problems = Vec::new();
        let mut or_problem = |what: String, error: &dyn std::fmt::Display| problems.push(format!("{what}: {error}"));
        let launched =
            if command.is_empty() { None } else { Launched::start(command).map_err(|error| or_problem("-- CMD".into(), &error)).ok() };
        let listener = std::net::TcpListener::bind(config.listen)
            .map_err(|error| or_problem(format!("--listen {}", config.listen), &listen_mend(&error)))
            .ok();
        let recorder =
            record_to.map(|path| Recorder::create(path).map_err(|error| or_problem(format!("-o {}", path.display()), &error)).ok());
        let jsonl = config.jsonl.as_ref().map(|to| {
            jsonl::JsonlWriter::start(&destination(to), counters.clone()).map_err(|error| or_problem("--jsonl".into(), &error)).ok()
        });
        let alert_service =
            alert::AlertService::new(&config.alerts.settings(), earlier_alerts(config), alert::RetryPolicy::default(), counters.clone());
        let reader = ForeignReader::in_processes();
        let describer = Describer::new(&service_rules(config), reader.clone());
        let wanted = targets(config, launched.as_ref());
        let mut selector = Selector::new(wanted, config.targets.follow, config.targets.wait, reader.clone());
        let first = selector.check();
        if let Err(wrong) = &describer {
            problems.extend(wrong.iter().map(ToString::to_string));
        }
        if let Err(wrong) = &first {
            problems.extend(wrong.iter().map(ToString::to_string));
        }
        match (describer, first, listener) {
            (Ok(describer), Ok(first), Some(listener)) if problems.is_empty() => {
                let (recorder, jsonl) = (recorder.flatten(), jsonl.flatten());
                Ok(Self { launched, selector, first, describer, reader, listener, recorder, jsonl, alert_service, counters })
            }
            _ => Err(CommandFailure::Usage(problems)),
        }
    }

    fn start(mut self, config: &Config) -> Result<Running, CommandFailure> {
        let probes = Arc::new(probe::start(&start_options(config, &self.selector))?);
        for pid in &self.first {
            probes.watch(*pid).context("a process could not be put on the kernel's list")?;
        }
        if config.capture.tls {
            probes.watch_usual_tls();
            for pid in &self.first {
                if let Ok(maps) = self.describer.maps(*pid) {
                    probes.watch_tls(*pid, &maps);
                }
            }
        }
        let ring = probes.take_ring().context("the kernel's ring is in use already")?;
        let (batches, to_hub) = mpsc::channel(BATCH_QUEUE);
        let spare = Arc::new(SpareBatches::default());
        let (watched_tx, watched) = watch::channel(WatchedTargets::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (questions, to_inspector) = std::sync::mpsc::sync_channel(INSPECTOR_QUEUE);
        let (to_capture, answers) = std::sync::mpsc::sync_channel(INSPECTOR_QUEUE);
        let chosen = (!self.selector.watches_all()).then_some(Chosen { first: self.first, follow: config.targets.follow });
        let capturing = Capturing {
            probes: probes.clone(),
            ring,
            chosen,
            missing: self.selector.missing(),
            questions,
            answers,
            models: config.capture.models,
            recorder: self.recorder,
            watched: watched_tx,
            batches: batches.clone(),
            spare: spare.clone(),
            counters: self.counters.clone(),
            stop: stop.clone(),
        };
        if config.capture.models {
            llm::prepare();
        }
        let inspector = Inspector {
            probes: probes.clone(),
            selector: self.selector,
            describer: self.describer,
            tls: config.capture.tls,
            questions: to_inspector,
            answers: to_capture,
        };
        let capture = thread("capture", move || capture::run(capturing))?;
        // It may hang in a file of another process and is never waited for.
        thread("inspector", move || inspector.run())?;
        let (sampling, sampler_stop) = std::sync::mpsc::channel();
        let (sampler_watched, sampler_counters) = (watched.clone(), self.counters.clone());
        let to_sampler = batches.clone();
        let sample = move || sampler::run(&sampler_watched, &to_sampler, &sampler_counters, &sampler_stop);
        let sampler = config.resources.then(|| thread("sampler", sample)).transpose()?;
        if let Some(launched) = &mut self.launched {
            launched.release().context("the command could not be started")?;
        }
        tracing::info!(tier = probes.tier().number(), listen = %config.listen, "perfmon is watching.");
        Ok(Running {
            probes,
            watched,
            to_hub,
            stop,
            capture,
            sampler,
            sampling,
            launched: self.launched,
            reader: self.reader,
            listener: self.listener,
            jsonl: self.jsonl,
            spare,
            alerting: AlertStage::new(self.alert_service, batches, self.counters.clone()),
            counters: self.counters,
        })
    }
}

/// Probes are attached and threads run.
struct Running {
    probes: Arc<Probes>,
    watched: watch::Receiver<WatchedTargets>,
    to_hub: mpsc::Receiver<super::hub::Batch>,
    stop: Arc<AtomicBool>,
    capture: JoinHandle<()>,
    sampler: Option<JoinHandle<()>>,
    sampling: std::sync::mpsc::Sender<()>,
    launched: Option<Launched>,
    reader: ForeignReader,
    listener: std::net::TcpListener,
    jsonl: Option<jsonl::JsonlWriter>,
    spare: Arc<SpareBatches>,
    alerting: AlertStage,
    counters: Arc<Counters>,
}

impl Running {
    fn until_the_end(self, config: &Config, display: Display, messages: &Messages) -> Result<u8, CommandFailure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no async runtime")?;
        runtime.block_on(self.serve(config, display, messages)).map_err(CommandFailure::from)
    }

    async fn serve(mut self, config: &Config, display: Display, messages: &Messages) -> anyhow::Result<u8> {
        let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let (ending, shutdown) = watch::channel(false);
        let store = start_store(config, &self.counters)?;
        let history = store.as_ref().map(Store::reader);
        let exporter = telemetry::start(config, snapshot.clone(), &self.counters)?;
        let deliveries = exporter.as_ref().map(Exporter::deliveries);
        let state = HttpState::new(HttpParts { history, ..self.parts(config, snapshot.clone(), deliveries, shutdown) });
        let mut consumers: Vec<Box<dyn Consumer>> = vec![Box::new(state.clone())];
        if let Some(writer) = self.jsonl.take() {
            consumers.push(Box::new(writer));
        }
        if let Some(store) = store {
            consumers.push(Box::new(store));
        }
        if let Some(exporter) = exporter {
            consumers.push(Box::new(exporter));
        }
        let hub = Hub { batches: self.to_hub, snapshots, consumers, spare: self.spare, counters: self.counters.clone() };
        let hub = tokio::spawn(hub.run(Aggregate::new(aggregate_options(config))));
        let alert_service = self.alerting.alert_service();
        let alerting = config.alerting.then(|| self.alerting.start(snapshot.clone()));
        self.listener.set_nonblocking(true)?;
        let server = tokio::spawn(http::serve(tokio::net::TcpListener::from_std(self.listener)?, state));
        let showing = RunningDisplay::start(display, snapshot.clone(), Box::new(move || alert_service.alerts()), messages);
        let status = wait(config.duration, self.launched.as_mut(), showing.asked()).await?;
        self.stop.store(true, Ordering::Relaxed);
        drop(self.sampling);
        let probes = self.probes.clone();
        let closed = tokio::task::spawn_blocking(move || {
            probes.stop_tls();
            match probe::hand_over() {
                Ok(closer) => closer.leave(),
                Err(error) => tracing::debug!(%error, "Probes are closed here, which may take some seconds."),
            }
        });
        let (capture, sampler) =
            tokio::task::spawn_blocking(move || (self.capture.join(), self.sampler.map_or(Ok(()), JoinHandle::join))).await?;
        anyhow::ensure!(capture.is_ok(), "the capture thread panicked; what it said stands above");
        anyhow::ensure!(sampler.is_ok(), "the sampler thread panicked; what it said stands above");
        if let Some(alerting) = alerting {
            alerting.end().await?;
        }
        hub.await?;
        ending.send_replace(true);
        showing.end().await?;
        server.await??;
        closed.await?;
        let is_bounded = config.duration.is_some() || self.launched.is_some();
        if is_bounded && config.ui != Ui::None && config.jsonl != Some(Jsonl::Stdout) {
            display::summary(&snapshot.borrow())?;
        }
        Ok(status)
    }

    fn parts(
        &self,
        config: &Config,
        snapshot: watch::Receiver<Arc<Snapshot>>,
        deliveries: Option<Deliveries>,
        shutdown: watch::Receiver<bool>,
    ) -> HttpParts {
        let self_report = SelfReporter::new(self.probes.clone(), deliveries, self.reader.clone(), self.counters.clone());
        let watched = self.watched.clone();
        HttpParts {
            access: Access::new(config.listen, &config.http.hosts, config.http.token.as_ref().map(|token| token.expose().to_owned())),
            snapshot,
            counters: self.counters.clone(),
            self_report: Box::new(move || self_report.report()),
            readiness: Box::new(move || readiness(&watched)),
            alerts: self.alerting.alert_service(),
            now: clock::wall_now,
            shutdown,
            spare: self.spare.clone(),
            history: None,
        }
    }
}

/// The history on disk, unless it is not wanted.
fn start_store(config: &Config, counters: &Arc<Counters>) -> anyhow::Result<Option<Store>> {
    if config.no_store {
        return Ok(None);
    }
    let options = store::StoreOptions {
        path: config.db.clone(),
        max_bytes: config.store.max_bytes,
        retention: retention(config),
        now: clock::wall_now,
    };
    Store::start(options, counters.clone()).map(Some).context("the thread of the history could not be started")
}

/// What earlier runs left of alerts, so that nothing is told twice; an unreadable history leaves none.
fn earlier_alerts(config: &Config) -> Vec<crate::record::Alert> {
    if config.no_store || !config.db.exists() {
        return Vec::new();
    }
    let now = clock::wall_now();
    let from = WallTime(now.0.saturating_sub(EARLIER_ALERTS.as_nanos() as u64));
    let lines =
        store::StoreReader::of_file(config.db.clone(), retention(config)).records("alert", from, now, ALERTS_OPEN + ALERTS_RESOLVED);
    lines.unwrap_or_default().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How long history is kept.
pub(super) fn retention(config: &Config) -> store::Retention {
    let kept = &config.store;
    store::Retention { finest: kept.keep_seconds, minute: kept.keep_minutes, hour: kept.keep_hours, records: kept.keep_records }
}

/// Waits for the end; gives the exit status.
async fn wait(duration: Option<Duration>, launched: Option<&mut Launched>, closed: impl Future<Output = ()>) -> anyhow::Result<u8> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let timer = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let Some(launched) = launched else {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = timer => {}
            () = closed => {}
        }
        return Ok(0);
    };
    tokio::select! {
        // On a terminal the command got it too: its own end is waited for.
        _ = interrupt.recv() => {}
        _ = terminate.recv() => launched.terminate()?,
        () = timer => launched.terminate()?,
        () = closed => launched.terminate()?,
        status = ended(launched) => return status,
    }
    ended(launched).await
}

async fn ended(launched: &mut Launched) -> anyhow::Result<u8> {
    loop {
        if let Some(status) = launched.status()? {
            // The last answers are on their way through the ring.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(u8::try_from(status).unwrap_or(u8::MAX));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    Builder::new().name(name.into()).spawn(work).with_context(|| format!("the {name} thread could not be started"))
}

fn listen_mend(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there, maybe another perfmon; give another address with --listen".into(),
        std::io::ErrorKind::AddrNotAvailable => "this host has no such address; give one of its own with --listen".into(),
        _ => error.to_string(),
    }
}

/// Where lines of JSON go.
pub(super) fn destination(to: &Jsonl) -> jsonl::JsonlDestination {
    match to {
        Jsonl::Stdout => jsonl::JsonlDestination::Stdout,
        Jsonl::File(path) => jsonl::JsonlDestination::File(path.clone()),
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
        ring_bytes: config.capture.ring_mib << 20,
        tier: match config.capture.tier {
            TierSetting::Auto => TierChoice::Auto,
            TierSetting::One => TierChoice::Only(probe::Tier::Socket),
            TierSetting::Three => TierChoice::Only(probe::Tier::SyscallExit),
        },
        return_probes: config.capture.return_probes,
    }
}
