//! `perfmon run` and `perfmon record`: from a checked configuration to a running profiler and back. Everything that can be refused is
//! refused before a probe is loaded; what is running ends in the order in which data flows, so that nothing on its way is lost.
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use anyhow::Context;
use tokio::sync::{mpsc, watch};

use crate::aggregate::Aggregate;
use crate::aggregate::snapshot::Snapshot;
use crate::alert;
use crate::clock;
use crate::config::{Config, Display, Jsonl, Ui};
use crate::counters::Counters;
use crate::export::jsonl::{self, JsonlFault};
use crate::export::otlp::{Deliveries, Exporter};
use crate::heartbeat::{Heartbeat, Heartbeats, Patience};
use crate::http::{Access, HttpParts, HttpState};
use crate::inspect::ForeignReader;
use crate::limits::{BATCH_QUEUE, INSPECTOR_QUEUE};
use crate::llm;
use crate::privilege::SandboxState;
use crate::probe::{self, Probes};
use crate::record::SpareBatches;
use crate::record::custom::CustomMetrics;
use crate::series::SeriesFeed;
use crate::store::{self, Store};
use crate::target::command::Launched;
use crate::target::{Describer, Selector};
use crate::ui::Messages;

use super::access;
use super::alerts::{self, AlertStage, DeltaSender};
use super::capture::{self, Capturing, Chosen, WatchedTargets};
use super::display::{self, RunningDisplay};
use super::earlier;
use super::ending::{self, EndBudget, EndSignals, RunEnd, WatchedOutputs};
use super::gate::Gate;
use super::hangup::Hangups;
use super::hub::{Consumer, Hub, HubPulse, RequestCount};
use super::inspector::Inspector;
use super::libraries::LibraryWatch;
use super::listeners::{HttpListeners, HttpServer};
use super::options::{aggregate_options, destination, retention, service_rules, start_options, targets};
use super::recorder::Recorder;
use super::reports::ReportStage;
use super::self_report::{SelfReporter, events_lost, readiness};
use super::supervisor::{self, RUNTIME_THREAD, RingFigures, Supervisor, SupervisorCheck};
use super::{CommandFailure, confinement, logging, sampler, service_manager, telemetry};

/// What a run does beyond its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunJob<'a> {
    /// Program and arguments to start; empty: none.
    pub command: &'a [OsString],
    /// File for raw events.
    pub record_to: Option<&'a Path>,
    /// No HTTP server.
    pub unserved: bool,
    /// What has to hold of the whole run.
    pub assertions: &'a [alert::Assertion],
    /// File for the results of that.
    pub junit: Option<&'a Path>,
}

/// Runs until Ctrl-C, SIGTERM, the duration or the command's end.
pub fn run(config: &Config, job: RunJob<'_>) -> Result<u8, CommandFailure> {
    let display = config.display(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let messages = logging::begin(config.log, display == Display::Screen);
    confinement::refuse_foreign_processes()?;
    supervisor::log_panics();
    let gate = Gate::new(job.assertions, job.junit, config.jsonl == Some(Jsonl::Stdout))?;
    let prepared = Prepared::new(config, job)?;
    if prepared.listeners.is_some() {
        access::warn_of_clear_text(config);
    }
    let result = prepared.start(config)?.until_the_end(config, display, &messages, gate.feed());
    logging::tell(&messages);
    gate.judge(result?)
}

/// The user's settings, checked.
struct Prepared {
    launched: Option<Launched>,
    selector: Selector,
    first: Vec<u32>,
    describer: Describer,
    reader: ForeignReader,
    listeners: Option<HttpListeners>,
    recorder: Option<Recorder>,
    jsonl: Option<jsonl::JsonlOutput>,
    alert_service: Arc<alert::AlertService>,
    access: Access,
    counters: Arc<Counters>,
    stages: Heartbeats,
}

impl Prepared {
    fn new(config: &Config, job: RunJob<'_>) -> Result<Self, CommandFailure> {
        let (counters, stages) = (Arc::new(Counters::default()), Heartbeats::default());
        let mut problems = Vec::new();
        let mut or_problem = |what: String, error: &dyn std::fmt::Display| problems.push(format!("{what}: {error}"));
        let launched = if job.command.is_empty() {
            None
        } else {
            Launched::start(job.command, &config.alerts.secret_variables()).map_err(|error| or_problem("-- CMD".into(), &error)).ok()
        };
        let recorder =
            job.record_to.map(|path| Recorder::create(path).map_err(|error| or_problem(format!("-o {}", path.display()), &error)).ok());
        let jsonl = config.jsonl.as_ref().map(|to| {
            let named = format!("--jsonl {}", to.name());
            jsonl::JsonlOutput::open(&destination(to, config)).map_err(|error| or_problem(named, &error)).ok()
        });
        if !config.no_store
            && let Some(refusal) = store::refusal(&config.db)
        {
            or_problem("--db".into(), &refusal);
        }
        let (settings, retry) = (alerts::settings(config), alert::RetryPolicy::default());
        let alert_service = alert::AlertService::supervised(&settings, earlier::alerts(config), retry, counters.clone(), stages.clone());
        alert_service.restore_silences(clock::wall_now(), earlier::silences(config));
        let reader = ForeignReader::in_processes();
        let describer = Describer::new(&service_rules(config), reader.clone());
        let (access, group) = access::access(config).map_or_else(|wrong| (Err(wrong), None), |(access, group)| (Ok(access), group));
        let listeners = (!job.unserved).then(|| HttpListeners::bind(config, group)).transpose();
        let wanted = targets(config, launched.as_ref());
        let mut selector = Selector::new(wanted, config.targets.follow, config.targets.wait, reader.clone());
        let first = selector.check();
        if let Err(wrong) = &describer {
            problems.extend(wrong.iter().map(ToString::to_string));
        }
        if let Err(wrong) = &first {
            problems.extend(wrong.iter().map(ToString::to_string));
        }
        if let Err(wrong) = &access {
            problems.extend(wrong.iter().cloned());
        }
        if let Err(wrong) = &listeners {
            problems.extend(wrong.iter().cloned());
        }
        match (describer, first, access, listeners) {
            (Ok(describer), Ok(first), Ok(access), Ok(listeners)) if problems.is_empty() => {
                let (recorder, jsonl) = (recorder.flatten(), jsonl.flatten());
                Ok(Self {
                    launched,
                    selector,
                    first,
                    describer,
                    reader,
                    listeners,
                    recorder,
                    jsonl,
                    alert_service,
                    access,
                    counters,
                    stages,
                })
            }
            _ => Err(CommandFailure::Usage(problems)),
        }
    }

    fn start(mut self, config: &Config) -> Result<Running, CommandFailure> {
        let sampler = config.resources.then(sampler::begin);
        let probes = Arc::new(probe::start(&start_options(config, &self.selector))?);
        for pid in &self.first {
            probes.watch(*pid).context("a process could not be added to the kernel's list of targets")?;
        }
        if config.capture.tls {
            probes.watch_usual_tls();
            for pid in &self.first {
                if let Ok(maps) = self.describer.maps(*pid) {
                    probes.watch_tls(*pid, &maps);
                }
            }
        }
        // No thread runs yet: all inherit what is left.
        confinement::confine(config, self.launched.is_some());
        let stages = self.stages;
        let jsonl = self.jsonl.map(|output| output.start(self.counters.clone(), &stages)).transpose().context("no thread for records")?;
        let ring = probes.take_ring().context("the kernel's ring is already in use")?;
        let (batches, to_hub) = mpsc::channel(BATCH_QUEUE);
        let sampler = sampler.map(|mut sampler| {
            // It is the first batch: there is room.
            batches.try_send(sampler::first(&mut sampler)).ok();
            sampler
        });
        let spare = Arc::new(SpareBatches::default());
        let (watched_tx, watched) = watch::channel(WatchedTargets::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (questions, to_inspector) = std::sync::mpsc::sync_channel(INSPECTOR_QUEUE);
        let (to_capture, answers) = std::sync::mpsc::sync_channel(INSPECTOR_QUEUE);
        let chosen = (!self.selector.watches_all()).then_some(Chosen { first: self.first, follow: config.targets.follow });
        self.recorder.iter().for_each(Recorder::announce);
        let recording = self.recorder.as_ref().map(Recorder::fault);
        let capturing = Capturing {
            probes: probes.clone(),
            ring,
            chosen,
            missing: self.selector.missing(),
            questions,
            answers,
            models: config.capture.models,
            raw_paths: config.records.raw_paths,
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
            describer: self.describer.with_io_uring_read(probes.reads_io_uring()),
            tls: config.capture.tls,
            counters: self.counters.clone(),
            questions: to_inspector,
            answers: to_capture,
        };
        if config.capture.tls {
            let (everywhere, stop) = (inspector.selector.watches_all(), stop.clone());
            let libraries = LibraryWatch { probes: probes.clone(), everywhere, counters: self.counters.clone(), stop };
            // Like the inspector.
            thread(stages.add("libraries", Patience::OUTSIDE), move || libraries.run())?;
        }
        let capture = thread(stages.add("capture", Patience::STEADY), move || capture::run(capturing))?;
        // It may hang in a file of another process and is never waited for.
        thread(stages.add("inspector", Patience::OUTSIDE), move || inspector.run())?;
        let (sampling, sampler_stop) = std::sync::mpsc::channel();
        let (sampler_watched, sampler_counters) = (watched.clone(), self.counters.clone());
        let to_sampler = batches.clone();
        let sample = |sampler| move || sampler::run(sampler, &sampler_watched, &to_sampler, &sampler_counters, &sampler_stop);
        let sampler = sampler.map(|sampler| thread(stages.add("sampler", Patience::OUTSIDE), sample(sampler))).transpose()?;
        let supervisor = Supervisor::new(&stages);
        if let Some(launched) = &mut self.launched {
            launched.release().context("the command could not be started")?;
        }
        let sandbox = confinement::restrict_files(config);
        let (alerting, deltas) = AlertStage::new(self.alert_service, batches, self.counters.clone());
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
            listeners: self.listeners,
            jsonl,
            recording,
            access: self.access,
            spare,
            alerting,
            deltas,
            counters: self.counters,
            stages,
            supervisor,
            sandbox,
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
    listeners: Option<HttpListeners>,
    jsonl: Option<jsonl::JsonlWriter>,
    recording: Option<watch::Receiver<Option<String>>>,
    access: Access,
    spare: Arc<SpareBatches>,
    alerting: AlertStage,
    deltas: DeltaSender,
    counters: Arc<Counters>,
    stages: Heartbeats,
    supervisor: Supervisor,
    sandbox: SandboxState,
}

impl Running {
    fn until_the_end(
        self,
        config: &Config,
        display: Display,
        messages: &Messages,
        gate: Option<Box<dyn Consumer>>,
    ) -> Result<u8, CommandFailure> {
        let (come, go) = (self.stages.clone(), self.stages.clone());
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.on_thread_start(move || come.add_runtime_thread(RUNTIME_THREAD)).on_thread_stop(move || go.remove_runtime_thread());
        let runtime = builder.worker_threads(2).enable_all().build().context("no async runtime")?;
        self.supervise()?;
        let result = runtime.block_on(self.serve(config, display, messages, gate));
        // Answers from disk and consumers that are late are not waited for.
        runtime.shutdown_background();
        result.map_err(CommandFailure::from)
    }

    fn supervise(&self) -> anyhow::Result<()> {
        let (probes, counters) = (self.probes.clone(), self.counters.clone());
        let ring = move || RingFigures { seen: counters.events_seen.get(), lost: probes.ring_lost() };
        self.supervisor.start(ring).context("the supervisor thread could not be started")
    }

    async fn serve(
        mut self,
        config: &Config,
        display: Display,
        messages: &Messages,
        gate: Option<Box<dyn Consumer>>,
    ) -> anyhow::Result<u8> {
        let (signals, hangups) = (EndSignals::take()?, Hangups::take()?);
        let (snapshots, mut snapshot) = watch::channel(Arc::new(Snapshot::default()));
        let (ending, shutdown) = watch::channel(false);
        let (custom, metrics) = watch::channel(config.metrics.compiled.clone());
        let store = start_store(config, &self.counters, &self.stages)?;
        let (history, audit) = store.as_ref().map(|store| (store.reader(), store.audit_trail())).unzip();
        let before = history.clone().filter(|_| config.db.exists());
        let reports = store.as_ref().and_then(|store| ReportStage::new(config, store, self.alerting.alert_service(), metrics.clone()));
        let reports = reports.map(|reports| reports.start(self.stages.add("reports", Patience::STEADY)));
        let exporter = telemetry::start(config, snapshot.clone(), &self.counters, &self.stages, self.supervisor.degraded_now())?;
        let deliveries = exporter.as_ref().map(Exporter::deliveries);
        let state = HttpState::new(HttpParts {
            history,
            audit: audit.clone(),
            ..self.parts(snapshot.clone(), deliveries, shutdown, metrics.clone())
        });
        let fault = self.jsonl.as_ref().map(jsonl::JsonlWriter::fault);
        let mut consumers: Vec<Box<dyn Consumer>> = vec![Box::new(state.clone())];
        consumers.extend(gate);
        consumers.extend(self.jsonl.take().map(|writer| Box::new(writer) as Box<dyn Consumer>));
        consumers.extend(store.map(|store| Box::new(store) as Box<dyn Consumer>));
        consumers.extend(exporter.map(|exporter| Box::new(exporter) as Box<dyn Consumer>));
        let alert_service = self.alerting.alert_service();
        // Before the hub adds to the history.
        let figures = alerts::figures(&alert_service, before.as_ref(), clock::wall_now());
        if config.alerting {
            consumers.push(Box::new(self.deltas));
        }
        let (counters, budget, requests) = (self.counters.clone(), Arc::default(), RequestCount::default());
        let (pulse, check) = (HubPulse::new(&self.stages), SupervisorCheck::new(self.supervisor.clone()));
        let (batches, spare, until, feed) = (self.to_hub, self.spare, Arc::clone(&budget), SeriesFeed::default());
        let hub = Hub { batches, snapshots, consumers, spare, counters, budget: until, requests, feed, custom: metrics, pulse, check };
        let hub = tokio::spawn(hub.run(Aggregate::new(aggregate_options(config))));
        // Nobody is answered from an empty snapshot; an error is the hub's end, which the supervisor sees.
        snapshot.changed().await.ok();
        let (alerts, degraded) = (alert_service.clone(), self.supervisor.degraded_now());
        let alert_stage = || self.stages.add("alert", Patience::STEADY);
        let alerting = config.alerting.then(|| self.alerting.start(figures, audit, alert_stage(), degraded));
        let certificate = self.listeners.as_ref().and_then(HttpListeners::certificate);
        let server = self.listeners.map(|listeners| listeners.serve(state)).transpose()?.map(|HttpServer { url, task }| (url, task));
        let (url, server) = server.unzip();
        service_manager::say_when_ready(self.watched, self.probes.tier(), url.map(|url| url.of_page()));
        let showing = RunningDisplay::start(display, snapshot.clone(), Box::new(move || alert_service.alerts()), messages);
        let stdout = config.jsonl == Some(Jsonl::Stdout);
        let jsonl = fault.clone().filter(|_| stdout);
        let outputs = WatchedOutputs { stdout: stdout || display == Display::Lines, jsonl, recording: self.recording.clone() };
        let closed = async {
            tokio::select! {
                () = showing.asked() => {}
                () = hangups.terminal_lost(config, &alerts, &custom, certificate.as_deref()) => {}
            }
        };
        let main = self.stages.add("main", Patience::STEADY);
        let main_run = main.run_here();
        let end = tokio::select! {
            never = main.beats() => match never {},
            end = ending::wait(config.duration, self.launched.as_mut(), closed, outputs, self.supervisor.failed(), signals) => end?,
        };
        self.supervisor.ends(end.is_hurried());
        service_manager::ending();
        if let Some(reports) = reports {
            reports.abort();
        }
        ending::obey_second_interrupt()?;
        let (budget, probes) = (*budget.get_or_init(|| EndBudget::of(&end)), self.probes.clone());
        let closed = tokio::task::spawn_blocking(move || close_probes(&probes));
        ending::end_producers(&self.stop, self.sampling, self.capture, self.sampler).await?;
        // The last of it is written at the end.
        let end = self.recording.and_then(|fault| fault.borrow().clone()).map_or(end, RunEnd::Unwritable);
        if let Some(alerting) = alerting {
            alerting.end(budget.left()).await?;
        }
        let requests = hub.await?;
        ending.send_replace(true);
        showing.end().await?;
        if let Some(server) = server
            && let Ok(ended) = tokio::time::timeout(budget.left(), server).await
        {
            ended??;
        }
        closed.await?;
        self.supervisor.ended();
        drop(main_run);
        let is_bounded = config.duration.is_some() || self.launched.is_some();
        let is_wanted = is_bounded && config.ui != Ui::None && !stdout && matches!(end, RunEnd::Requested { .. });
        if is_wanted {
            display::summary(&snapshot.borrow()).context("the summary cannot be written")?;
        }
        let lost = events_lost(&self.probes, &self.counters).total;
        let status = ending::finish(end, snapshot.borrow().uptime_s, requests, lost)?;
        match fault.and_then(|fault| fault.borrow().clone()).zip(config.jsonl.as_ref()) {
            Some((JsonlFault::Unwritable(why), to)) if self.launched.is_none() => Err(unwritten(to, &why, &self.counters)),
            _ => Ok(status),
        }
    }

    fn parts(
        &self,
        snapshot: watch::Receiver<Arc<Snapshot>>,
        deliveries: Option<Deliveries>,
        shutdown: watch::Receiver<bool>,
        custom: watch::Receiver<CustomMetrics>,
    ) -> HttpParts {
        let (probes, reader, counters) = (self.probes.clone(), self.reader.clone(), self.counters.clone());
        let self_report = SelfReporter::new(probes, deliveries, reader, counters, self.supervisor.clone(), self.sandbox.clone());
        let (watched, of_ready) = (self.watched.clone(), self.supervisor.clone());
        HttpParts {
            access: self.access.clone(),
            snapshot,
            counters: self.counters.clone(),
            self_report: Box::new(move || self_report.report()),
            readiness: Box::new(move || readiness(&watched, &of_ready)),
            degraded: self.supervisor.degraded_now(),
            heartbeat: self.stages.add("http", Patience::STEADY),
            alerts: self.alerting.alert_service(),
            now: clock::wall_now,
            shutdown,
            spare: self.spare.clone(),
            history: None,
            audit: None,
            custom,
        }
    }
}

/// The history on disk, unless it is not wanted.
fn start_store(config: &Config, counters: &Arc<Counters>, stages: &Heartbeats) -> anyhow::Result<Option<Store>> {
    if config.no_store {
        return Ok(None);
    }
    let options = store::StoreOptions {
        path: config.db.clone(),
        max_bytes: config.store.max_bytes,
        retention: retention(config),
        now: clock::wall_now,
    };
    Store::start(options, counters.clone(), stages.add("store", Patience::OUTSIDE))
        .map(Some)
        .context("the thread that writes the history could not be started")
}

fn close_probes(probes: &Probes) {
    probes.stop_tls();
    match probe::hand_over() {
        Ok(closer) => closer.leave(),
        Err(error) => tracing::debug!(%error, "Probes are closed here, which may take some seconds."),
    }
}

/// Records that are not in their file.
pub(super) fn unwritten(to: &Jsonl, why: &str, counters: &Counters) -> anyhow::Error {
    anyhow::anyhow!("--jsonl {}: {} records could not be written: {why}", to.name(), counters.jsonl_records_lost.get())
}

fn thread(stage: Heartbeat, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    let name = stage.name();
    let work = move || {
        let _run = stage.run_here();
        work();
    };
    Builder::new().name(name.into()).spawn(work).with_context(|| format!("the {name} thread could not be started"))
}
