//! Channels against servers that answer, refuse and hang.
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::record::DegradedNow;

const LONG: Duration = Duration::from_secs(30);

/// How a server behaves.
#[derive(Clone, Copy)]
enum Manner {
    Answers(&'static str),
    /// Fails this many times, then answers 200.
    Recovers(usize),
    Hangs,
}

/// A server that keeps what it is sent.
struct Server {
    url: String,
    bodies: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?secret=s3cr3t", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = bodies.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, kept.clone()));
            }
        });
        Self { url, bodies }
    }

    fn got(&self, state: &str) -> usize {
        self.bodies.lock().unwrap().iter().filter(|body| body["state"] == state).count()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, bodies: Arc<Mutex<Vec<serde_json::Value>>>) {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let Ok(length @ 1..) = stream.read(&mut chunk).await else { return };
        text.extend_from_slice(&chunk[..length]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let Some((_, body)) = whole.split_once("\r\n\r\n") else { continue };
        let Ok(body) = serde_json::from_str(body) else { continue };
        text.clear();
        let earlier = {
            let mut bodies = bodies.lock().unwrap();
            bodies.push(body);
            bodies.len() - 1
        };
        let status = match manner {
            Manner::Hangs => std::future::pending().await,
            Manner::Answers(status) => status,
            Manner::Recovers(failures) if earlier < failures => "500 Internal Server Error",
            Manner::Recovers(_) => "200 OK",
        };
        let answer = format!("HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn hook(name: &str, server: &Server, fallback: Option<&str>) -> Channel {
    Channel { default: fallback.is_some(), fallback: fallback.map(Into::into), ..Channel::webhook(name, &server.url) }
}

/// A running desk with one judging a call of `judge`.
struct Running {
    service: Arc<AlertService>,
    deltas: mpsc::Sender<Arc<SeriesDelta>>,
    judged: AtomicU64,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    published: Arc<Mutex<Vec<Alert>>>,
    counters: Arc<Counters>,
}

/// Rules that fire at once, so that no test depends on the clock's pace.
fn run(channels: Vec<Channel>, timeout: Duration) -> Running {
    run_degraded(channels, timeout, Arc::new(|| Arc::from([])))
}

fn run_degraded(channels: Vec<Channel>, timeout: Duration, degraded_now: DegradedNow) -> Running {
    let hasty = |rule: Rule| Rule { hold: Duration::ZERO, keep_firing: Duration::ZERO, ..rule };
    let rules = Thresholds::default().rules().into_iter().chain([degraded()]).map(hasty).collect();
    let counters = Arc::new(Counters::default());
    let retry = RetryPolicy { timeout, attempts: 3, pause: Duration::from_millis(5), longest_pause: Duration::from_millis(50) };
    let service = AlertService::new(&AlertSettings { rules, channels, ..AlertSettings::default() }, vec![], retry, counters.clone());
    let (deltas, judged) = mpsc::channel(1_000);
    let (stop, stopped) = watch::channel(false);
    let published = Arc::new(Mutex::new(Vec::new()));
    let kept = published.clone();
    let publish = move |alerts: Vec<Alert>| kept.lock().unwrap().extend(alerts);
    let heartbeat = crate::heartbeat::Heartbeat::unwatched();
    let task = tokio::spawn(service.clone().run(fed(judged), stopped, crate::clock::wall_now, publish, heartbeat, degraded_now));
    Running { service, deltas, judged: AtomicU64::new(1), stop, task, published, counters }
}

fn fed(deltas: mpsc::Receiver<Arc<SeriesDelta>>) -> RuleFeed {
    RuleFeed { deltas, figures: RuleFigures::default() }
}

impl Running {
    fn judge(&self, state: State) {
        let number = self.judged.fetch_add(1, Ordering::Relaxed);
        self.deltas.try_send(Arc::new(delta(number, state))).unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(LONG, wait).await.is_err() {
            panic!("{what}: {:?}", self.published.lock().unwrap());
        }
    }

    /// Deliveries of the newest record of the error rate: a dead channel is an alert of its own.
    fn notified(&self) -> Vec<Notified> {
        let published = self.published.lock().unwrap();
        let newest = published.iter().rev().find(|alert| &*alert.rule == "error_rate_5min");
        newest.map(|alert| alert.notified.clone()).unwrap_or_default()
    }

    async fn end(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(LONG, self.task).await.unwrap().unwrap();
    }
}

const BAD: State = State { error_rate: Some(0.5), ..CALM };

#[tokio::test]
async fn each_firing_is_delivered_exactly_once() {
    let server = Server::start(Manner::Answers("204 No Content")).await;
    let running = run(vec![hook("hook", &server, Some("log")), Channel { default: false, ..Channel::log() }], LONG);
    for _ in 0..20 {
        running.judge(BAD);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.until("delivered", |running| running.notified().iter().any(|notified| notified.ok)).await;
    running.judge(CALM);
    running.until("the end delivered", |running| running.notified().len() == 2).await;
    running.judge(BAD);
    running.until("told of the second", |_| server.got("firing") == 2).await;
    running.end().await;
    let bodies = server.bodies.lock().unwrap().clone();
    assert_eq!(bodies.iter().map(|body| body["state"].as_str().unwrap()).collect::<Vec<_>>(), ["firing", "resolved", "firing"]);
    assert_eq!((&bodies[0]["kind"], &bodies[0]["rule"], &bodies[0]["value"]), (&"alert".into(), &"error_rate_5min".into(), &0.5.into()));
    assert_eq!(bodies[0]["alert_id"], bodies[1]["alert_id"]);
    assert_ne!(bodies[0]["alert_id"], bodies[2]["alert_id"]);
}

#[tokio::test]
async fn what_fails_is_tried_again() {
    let server = Server::start(Manner::Recovers(2)).await;
    let running = run(vec![hook("hook", &server, Some("none"))], LONG);
    running.judge(BAD);
    running.until("delivered", |running| running.notified().len() == 1).await;
    assert!(running.notified()[0].ok);
    assert_eq!(server.got("firing"), 3);
    running.end().await;
}

#[tokio::test]
async fn a_channel_that_fails_or_hangs_falls_back_and_shows_no_secret() {
    for (manner, timeout, attempts, error) in [
        (Manner::Answers("500 Internal Server Error"), LONG, 3, "it answered 500"),
        (Manner::Answers("404 Not Found"), LONG, 1, "it answered 404"),
        (Manner::Answers("302 Found"), LONG, 1, "it answered 302"),
        (Manner::Hangs, Duration::from_millis(300), 3, "no answer within"),
    ] {
        let (dead, spare) = (Server::start(manner).await, Server::start(Manner::Answers("200 OK")).await);
        let running = run(vec![hook("dead", &dead, Some("spare")), hook("spare", &spare, None)], timeout.max(Duration::from_millis(300)));
        running.judge(BAD);
        running.until("fallback", |running| running.notified().len() == 2).await;
        let notified = running.notified();
        assert_eq!(notified.iter().map(|n| (&*n.channel, n.ok)).collect::<Vec<_>>(), [("dead", false), ("spare", true)]);
        assert!(notified[0].error.as_ref().unwrap().starts_with(error), "{notified:?}");
        // What may pass is tried on, what is refused is not.
        let of = |server: &Server| server.bodies.lock().unwrap().iter().filter(|body| body["rule"] == "error_rate_5min").count();
        assert!(if attempts == 1 { of(&dead) == 1 } else { of(&dead) >= attempts }, "{error}: {}", of(&dead));
        assert_eq!(of(&spare), 1, "{error}");
        assert_eq!(running.counters.notifications_failed.get(), 1);
        assert!(!format!("{:?}", running.published.lock().unwrap()).contains("s3cr3t"));
        running.end().await;
    }
}

#[tokio::test]
async fn nobody_there_is_a_failure_that_names_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/s3cr3t", listener.local_addr().unwrap());
    drop(listener);
    let channel = Channel { default: true, ..Channel::webhook("hook", &url) };
    let running = run(vec![channel], LONG);
    let tried = running.service.test(at(0), None).await.unwrap();
    let error = tried[0].error.clone().unwrap();
    assert!(
        !tried[0].ok && error.starts_with("could not be reached") && !error.contains("s3cr3t") && !error.contains("127.0.0.1"),
        "{error}"
    );
    assert_eq!(running.service.test(at(0), Some("nonsense")).await, Err(Refused::Unknown));
    running.end().await;
}

#[tokio::test]
async fn a_channel_that_hangs_delays_neither_judging_nor_others_nor_the_end() {
    let (dead, alive) = (Server::start(Manner::Hangs).await, Server::start(Manner::Answers("200 OK")).await);
    let running = run(
        vec![Channel { default: true, ..hook("dead", &dead, None) }, Channel { default: true, ..hook("alive", &alive, None) }],
        10 * LONG,
    );
    for round in 0..3 * crate::limits::CHANNEL_QUEUE {
        let (state, name) = if round % 2 == 0 { (BAD, "firing") } else { (CALM, "resolved") };
        running.judge(state);
        running.until("the other is told", |_| alive.got(name) == round / 2 + 1).await;
    }
    assert_eq!(dead.got("firing"), 1, "one is on its way, the others wait");
    let dropped = running.counters.notifications_dropped.get();
    assert!(dropped > 0, "what does not fit is counted");
    let id = {
        let alerts = running.service.alerts();
        alerts.iter().filter(|alert| alert.state == AlertState::Firing).count()
    };
    assert_eq!(id, 0);
    running.end().await;
}

#[tokio::test]
async fn what_is_degraded_of_perfmon_is_told_without_any_snapshot() {
    let server = Server::start(Manner::Answers("200 OK")).await;
    let parts = Arc::new(Mutex::new(vec![Degradation { part: "snapshot", reason: "shows no sign of life for 3.0 s".into() }]));
    let now = parts.clone();
    let running = run_degraded(
        vec![Channel { default: true, ..hook("hook", &server, None) }],
        LONG,
        Arc::new(move || now.lock().unwrap().clone().into()),
    );
    running.until("told", |_| server.got("firing") == 1).await;
    parts.lock().unwrap().clear();
    running.until("told of the end", |_| server.got("resolved") == 1).await;
    running.end().await;
}

#[tokio::test]
async fn decisions_are_published_at_once_and_the_end_is_not_told_where_not_wanted() {
    let server = Server::start(Manner::Answers("200 OK")).await;
    let running = run(vec![Channel { default: true, send_resolved: false, ..hook("hook", &server, None) }], LONG);
    running.judge(BAD);
    running.until("told", |running| running.notified().len() == 1).await;
    let id = running.service.alerts()[0].alert_id.clone();
    running.service.acknowledge(crate::clock::wall_now(), &id, Some("kim".into()), None).unwrap();
    let newest = |running: &Running| running.published.lock().unwrap().last().map(|alert| alert.state);
    running.until("acknowledged", |running| newest(running) == Some(AlertState::Acknowledged)).await;
    running.service.resolve(crate::clock::wall_now(), &id, None, None).unwrap();
    running.until("resolved", |running| newest(running) == Some(AlertState::Resolved)).await;
    running.end().await;
    assert_eq!((server.got("firing"), server.got("resolved"), server.got("acknowledged")), (1, 0, 0));
}

#[tokio::test]
async fn other_channels_and_rules_take_over_while_it_runs() {
    let (former, next) = (Server::start(Manner::Answers("200 OK")).await, Server::start(Manner::Answers("200 OK")).await);
    let running = run(vec![hook("former", &former, Some("none"))], LONG);
    running.judge(BAD);
    running.until("the former is told", |_| former.got("firing") == 1).await;
    let rules = Thresholds { error_rate_5min: 0.9, ..Thresholds::default() }.rules();
    let rules = rules.into_iter().map(|rule| Rule { hold: Duration::ZERO, keep_firing: Duration::ZERO, ..rule }).collect();
    running.service.replace(&AlertSettings { rules, channels: vec![hook("next", &next, Some("none"))], ..AlertSettings::default() });
    // The same figure is well by the other threshold.
    running.judge(BAD);
    running.until("the next is told", |_| next.got("resolved") == 1).await;
    assert_eq!((former.got("resolved"), next.got("firing")), (0, 0));
    assert!(running.service.test(crate::clock::wall_now(), Some("former")).await.is_err());
    running.end().await;
}

#[tokio::test]
async fn a_channel_that_comes_back_is_told_once_and_its_fallback_hears_the_end() {
    let (dead, spare) = (Server::start(Manner::Recovers(12)).await, Server::start(Manner::Answers("200 OK")).await);
    let running = run(vec![hook("dead", &dead, Some("spare")), hook("spare", &spare, None)], LONG);
    running.judge(BAD);
    let of = |server: &Server, rule: &str, state: &str| {
        server.bodies.lock().unwrap().iter().filter(|body| body["rule"] == rule && body["state"] == state).count()
    };
    running.until("both are told", |_| of(&spare, "error_rate_5min", "firing") == 1 && of(&dead, "error_rate_5min", "firing") == 13).await;
    running.until("three deliveries", |running| running.service.alerts().iter().any(|alert| alert.notified.len() == 3)).await;
    let alert = running.service.alerts().into_iter().find(|alert| &*alert.rule == "error_rate_5min").unwrap();
    let told: Vec<_> = alert.notified.iter().map(|told| (&*told.channel, told.ok, told.state)).collect();
    let firing = Some(AlertState::Firing);
    assert_eq!(told, [("dead", false, firing), ("spare", true, firing), ("dead", true, firing)]);
    running.judge(CALM);
    let ended = |server: &Server| of(server, "error_rate_5min", "resolved") == 1;
    running.until("both hear the end", |_| ended(&dead) && ended(&spare)).await;
    running.end().await;
    assert_eq!((of(&dead, "error_rate_5min", "firing"), of(&spare, "error_rate_5min", "firing")), (13, 1));
}

#[tokio::test]
async fn a_dead_channel_is_an_alert_on_the_others() {
    let (dead, other) = (Server::start(Manner::Answers("404 Not Found")).await, Server::start(Manner::Answers("200 OK")).await);
    let running = run(vec![hook("dead", &dead, Some("none")), hook("other", &other, None)], LONG);
    running.judge(BAD);
    running.until("the other is told", |_| other.got("firing") == 1).await;
    let body = other.bodies.lock().unwrap()[0].clone();
    assert_eq!((&body["rule"], &body["scope"]), (&"perfmon_degraded".into(), &"channel dead".into()));
    assert!(body["message"].as_str().unwrap().contains("it answered 404 Not Found"), "{body}");
    assert!(!body.to_string().contains("s3cr3t"));
    running.end().await;
    assert_eq!(dead.got("firing"), 1, "it is not told of itself");
}

#[tokio::test]
async fn what_a_killed_run_did_not_deliver_the_next_one_does() {
    let server = Server::start(Manner::Answers("200 OK")).await;
    let settings = |channels| AlertSettings { channels, ..standing() };
    let mut before = machine(&settings(vec![hook("hook", &server, Some("none"))]));
    let mut stored: Vec<Alert> =
        live(&mut before, 0..50, |_| State { memory: 99.0, ..BAD }).into_iter().map(|(_, change)| change.alert).collect();
    let memory = stored.iter().find(|alert| &*alert.rule == "memory_usage").unwrap().alert_id.clone();
    let told = Notified { channel: "hook".into(), ok: true, error: None, state: Some(AlertState::Firing), severity: None, level: None };
    stored.push(before.delivered(at(50), &memory, told).unwrap().alert);
    let counters = Arc::new(Counters::default());
    let service = AlertService::new(&settings(vec![hook("hook", &server, Some("none"))]), stored, RetryPolicy::default(), counters);
    let (_deltas, judged) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(false);
    let heartbeat = crate::heartbeat::Heartbeat::unwatched();
    let task =
        tokio::spawn(service.clone().run(fed(judged), stopped, crate::clock::wall_now, |_| {}, heartbeat, Arc::new(|| Arc::from([]))));
    let delivered = async {
        while !service.alerts().iter().any(|alert| &*alert.rule == "error_rate_5min" && alert.notified.len() == 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, delivered).await.unwrap();
    stop.send_replace(true);
    task.await.unwrap();
    let rules: Vec<_> = server.bodies.lock().unwrap().iter().map(|body| body["rule"].as_str().unwrap().to_owned()).collect();
    assert_eq!(rules, ["error_rate_5min"], "what was told before is not told again");
}
