//! Secrets planted in everything that perfmon can see: paths, queries, headers, cookies, bodies, TLS, command lines, environments, model calls
//! with their tools, and its own configuration. None of them may be in anything that it gives out; words that may be shown are planted as
//! well and must be there, which proves that the traffic was seen and the search finds what is there.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use perfmon_tests::canary::{Canaries, Form};
use perfmon_tests::client::fed;
use perfmon_tests::model::own_children;
use perfmon_tests::need::{Need, as_root, missing, python};
use perfmon_tests::perfmon::{Perfmon, binary, perfmon};
use perfmon_tests::process::Running;
use perfmon_tests::receiver::{Receiver, Reply};
use perfmon_tests::server::make_certificate;
use perfmon_tests::wire::get;
use perfmon_tests::{free_port, wait_until, workspace};
use serde_json::{Value, json};

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Python, Need::Program("openssl")];

/// What may be shown, and why.
const SHOWN: [(&str, &str); 9] = [
    ("a word in a path", "it names what is asked for"),
    ("a mail address in a path", "it names a user, as a number would"),
    ("a host", "it names a service"),
    ("a product in User-Agent", "it names a program"),
    ("OTEL_SERVICE_NAME", "the process announces it as its name"),
    ("a model", "it names what is paid for"),
    ("a tool", "it names what an agent does"),
    ("a conversation's id", "it joins the calls of a conversation and opens nothing"),
    ("an answer's id", "its provider finds the call by it, and it opens nothing"),
];

/// Everything of the API that can be read.
const ROUTES: [&str; 26] = [
    "/health/performance",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/summary?window=5m",
    "/api/v1/endpoints?window=1h",
    "/api/v1/destinations?window=1h",
    "/api/v1/llm?window=1h",
    "/api/v1/agents?window=1h",
    "/api/v1/tools?window=1h",
    "/api/v1/workflows?window=1h",
    "/api/v1/processes",
    "/api/v1/system?window=5m",
    "/api/v1/findings",
    "/api/v1/alerts",
    "/api/v1/silences",
    "/api/v1/self",
    "/api/v1/records?limit=1000",
    "/api/v1/records?kind=request&limit=1000",
    "/api/v1/records?kind=llm&limit=1000",
    "/api/v1/records?kind=tool&limit=1000",
    "/api/v1/records?slow=1&limit=1000",
    "/api/v1/history?metric=request.count",
    "/api/v1/history?metric=llm.cost_usd.sum",
    "/api/v1/history?metric=no.such",
    "/no/such/route",
];

/// What the page follows.
const FOLLOWED: &str = "health,summary,self,system,endpoints,destinations,llm,agents,tools,workflows,processes,findings,alerts,records";

/// The planted texts, and how they are found.
#[derive(Default)]
struct Watch {
    canaries: Canaries,
    leaks: Vec<String>,
    silent: Vec<String>,
}

impl Watch {
    fn secret(&mut self, place: &str, form: Form) -> String {
        self.canaries.plant(place, form)
    }

    /// A word of [`SHOWN`].
    fn word(&mut self, place: &str) -> String {
        assert!(SHOWN.iter().any(|(shown, _)| *shown == place), "{place} is not listed");
        self.canaries.plant(place, Form::Shown)
    }

    /// Looks through an output.
    fn look(&mut self, name: &str, output: &[u8]) {
        self.leaks.extend(self.canaries.leaks(name, output));
    }

    /// The same for one that must show something of the traffic.
    fn look_at_figures(&mut self, name: &str, output: &[u8]) {
        self.look(name, output);
        if self.canaries.shown(output).is_empty() {
            self.silent.push(format!("{name} shows nothing of the traffic: {}", String::from_utf8_lossy(&output[..output.len().min(500)])));
        }
    }

    fn verdict(self) {
        assert!(self.leaks.is_empty(), "{} secrets are shown:\n{}", self.leaks.len(), self.leaks.join("\n"));
        assert!(self.silent.is_empty(), "{}", self.silent.join("\n"));
    }
}

/// A server with secrets, and what is asked of it.
struct Party {
    port: u16,
    scheme: &'static str,
    _server: Running,
    _folder: tempfile::TempDir,
}

impl Party {
    fn start(watch: &mut Watch, scheme: &'static str) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let mut secrets = serde_json::Map::new();
        for (place, form) in [
            ("answer body", Form::Token),
            ("answer mail", Form::Mail),
            ("answer cookie", Form::Token),
            ("answer header", Form::Key),
            ("answer location", Form::Hex),
            ("reason phrase", Form::Sentence),
            ("error body", Form::Sentence),
            ("error message", Form::Key),
            ("error type", Form::Token),
            ("error code", Form::Key),
            ("model answer", Form::Sentence),
            ("tool arguments", Form::Password),
            ("key in tool name", Form::Token),
        ] {
            secrets.insert(place.into(), watch.secret(&format!("{scheme}: {place}"), form).into());
        }
        secrets.insert("tool name".into(), watch.word("a tool").into());
        secrets.insert("answer id".into(), watch.word("an answer's id").into());
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/servers/canary_server.py")).arg(port.to_string());
        if scheme == "tls" {
            let (certificate, key) = make_certificate(folder.path())?;
            command.arg(certificate).arg(key);
        }
        command.arg(format!("--password={}", watch.secret(&format!("{scheme}: server's argv"), Form::Password)));
        command.arg(watch.secret(&format!("{scheme}: server's argv"), Form::Key));
        command.env("CANARIES", Value::Object(secrets).to_string());
        command.env("DATABASE_URL", format!("postgres://shop:{}@db/shop", watch.secret("server's environment", Form::Password)));
        command.env("OTEL_SERVICE_NAME", watch.word("OTEL_SERVICE_NAME"));
        let mut server = Running::start(&mut command, &folder.path().join("server.log"))?;
        server.listens(port)?;
        Ok(Self { port, scheme, _server: server, _folder: folder })
    }

    /// Makes all requests in one process, with secrets in its command line and environment.
    fn ask(&self, watch: &mut Watch) -> Result<()> {
        let mut asked = self.plain_requests(watch);
        asked.extend(self.model_calls(watch));
        let mut command = Command::new(python());
        command.arg(workspace().join("tests/clients/canary_client.py")).arg(self.port.to_string()).arg(self.scheme);
        command.arg(format!("--header=Authorization: Bearer {}", watch.secret("client's argv", Form::Token)));
        command.env("OPENAI_API_KEY", watch.secret("client's environment", Form::Key));
        let lines: Vec<String> = asked.iter().map(Value::to_string).collect();
        let answered = fed(&mut command, &(lines.join("\n") + "\n"))?;
        ensure!(answered.lines().count() == asked.len(), "{} requests, answers {answered}", asked.len());
        Ok(())
    }

    fn plain_requests(&self, watch: &mut Watch) -> Vec<Value> {
        let scheme = self.scheme;
        let mut secret = |place: &str, form| watch.canaries.plant(&format!("{scheme}: {place}"), form);
        let headers = json!({
            "Authorization": format!("Bearer {}", secret("Authorization", Form::Token)),
            "Proxy-Authorization": format!("Basic {}", secret("Proxy-Authorization", Form::Token)),
            "Cookie": format!("session={}; theme={}", secret("Cookie", Form::Token), secret("Cookie", Form::Password)),
            "X-Api-Key": secret("X-Api-Key", Form::Key),
            "Referer": format!("https://shop.example/?reset={}", secret("Referer", Form::Hex)),
            "From": secret("From", Form::Mail),
            "X-Comment": secret("a header", Form::Sentence),
        });
        let query = format!(
            "?token={}&password={}&mail={}&q={}",
            secret("query", Form::Token),
            secret("query", Form::Password),
            secret("query", Form::Mail),
            secret("query", Form::Sentence).replace(' ', "+")
        );
        let paths = [
            format!("/;jsessionid={}/a", secret("path parameter", Form::Password)),
            format!("/reset/{}", secret("path", Form::Jwt)),
            format!("/reset/{}/", secret("path", Form::Hex)),
            format!("/bot110201543:{}/getMe", secret("path after a colon", Form::Token)),
            format!("/x/key={}", secret("path after =", Form::Key)),
            format!("/x/a%2F{}%2Fb", secret("escaped path", Form::Token)),
            format!("/proxy/https://root:{}@db.internal/x", secret("password in a path", Form::Password)),
            format!("http://user:{}@shop.example/absolute", secret("absolute target", Form::Password)),
            format!("/fail/{}", secret("path of a failure", Form::Token)),
        ];
        let host = format!("user:{}@shop.example", secret("Host", Form::Password));
        let odd_agent = json!({"User-Agent": format!("bot/1 (+https://me:{}@bots.example; {})", secret("User-Agent", Form::Password), secret("User-Agent", Form::Key))});
        let form = format!("user={}&password={}", secret("form", Form::Mail), secret("form", Form::Password));
        let mut asked: Vec<Value> =
            paths.iter().map(|path| json!({"method": "GET", "target": format!("{path}{query}"), "headers": headers})).collect();
        asked.push(json!({"method": "GET", "target": "/host", "headers": {"Host": host}}));
        asked.push(json!({"method": "GET", "target": "/agent", "headers": odd_agent}));
        asked.push(json!({"method": "POST", "target": "/login", "headers": headers, "body": form}));
        let named = json!({"Host": format!("{}.example", watch.word("a host")), "User-Agent": format!("{}/1.0", watch.word("a product in User-Agent"))});
        for path in
            [format!("/shop/{}", watch.word("a word in a path")), format!("/users/{}@mail.example", watch.word("a mail address in a path"))]
        {
            asked.push(json!({"method": "GET", "target": path, "headers": named}));
        }
        asked
    }

    /// An agent's run with a tool, and a call that fails.
    fn model_calls(&self, watch: &mut Watch) -> Vec<Value> {
        let scheme = self.scheme;
        let mut secret = |place: &str, form| watch.canaries.plant(&format!("{scheme}: {place}"), form);
        let system = json!({"role": "system", "content": secret("system prompt", Form::Sentence)});
        let prompt = json!({"role": "user", "content": format!("{} {}", secret("prompt", Form::Sentence), secret("prompt", Form::Key))});
        let result = json!({"role": "tool", "tool_call_id": "call_0", "content": secret("tool result", Form::Password)});
        let keyed_model = format!("gpt-4o?key={}", secret("key in a model's name", Form::Key));
        let user = secret("user of a prompt", Form::Mail);
        let authorization = format!("Bearer {}", secret("Authorization of a model call", Form::Key));
        let description = secret("description of a tool", Form::Sentence);
        let (model, session) = (watch.word("a model"), watch.word("a conversation's id"));
        let tools =
            json!([{"type": "function", "function": {"name": "lookup", "description": description, "parameters": {"type": "object"}}}]);
        let call = |model: &str, messages: Value| {
            let body = json!({"model": model, "user": user, "messages": messages, "tools": tools}).to_string();
            let headers = json!({"Authorization": authorization, "Content-Type": "application/json", "session-id": session});
            json!({"method": "POST", "target": "/v1/chat/completions", "headers": headers, "body": body})
        };
        let asks = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}]});
        vec![
            call(&model, json!([system, prompt])),
            call(&model, json!([system, prompt, asks, result])),
            call(&keyed_model, json!([system, {"role": "user", "content": "fail"}])),
        ]
    }
}

/// Receivers that take everything, and one that refuses it and repeats what it was asked.
struct Receivers {
    good: Receiver,
    bad: Receiver,
    good_hook: String,
    bad_hook: String,
}

/// perfmon's own secrets in its environment and configuration.
fn own_secrets(watch: &mut Watch, receivers: &Receivers, folder: &Path) -> Result<(Vec<(String, String)>, PathBuf)> {
    let mut key = |place: &str| watch.secret(place, Form::Token);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receivers.good.url(&format!("/in/{}", key("path of OTEL_EXPORTER_OTLP_ENDPOINT")))),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{}", key("OTEL_EXPORTER_OTLP_HEADERS"))),
        ("LOGFIRE_TOKEN", format!("pylf_v1_us_{}", key("LOGFIRE_TOKEN"))),
        ("LOGFIRE_BASE_URL", receivers.bad.url(&format!("/in/{}", key("path of LOGFIRE_BASE_URL")))),
        ("PERFMON_HTTP__TOKEN", key("PERFMON_HTTP__TOKEN")),
        ("PERFMON_EXPORT__INTERVAL", "1s".into()),
        ("PERFMON_EXPORT__SPAN_RATE", "1".into()),
        // A host has more in use, so there is an alert.
        ("PERFMON_ALERT_MEMORY_USAGE", "0.01".into()),
    ];
    let config = folder.join("perfmon.toml");
    let channel =
        |name: &str, url: &str| format!("[[alerts.channels]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\ndefault = true\n");
    let text = channel("good", &receivers.good_hook)
        + &channel("bad", &receivers.bad_hook)
        + "[[alerts.channels]]\nname = \"log\"\ntype = \"log\"\ndefault = true\n";
    std::fs::write(&config, text)?;
    Ok((environment.map(|(name, value)| (name.to_owned(), value)).to_vec(), config))
}

fn receivers(watch: &mut Watch) -> Result<Receivers> {
    let good = Receiver::start(|_| Reply::status(200))?;
    let bad = Receiver::start(|seen| Reply {
        headers: "Content-Type: text/plain\r\n".into(),
        body: format!("no {} for {:?}\u{1b}[2J", seen.path, seen.headers.get("authorization")),
        ..Reply::status(500)
    })?;
    let hook = |receiver: &Receiver, key: String, query: String| receiver.url(&format!("/services/{key}?key={query}"));
    let good_hook = hook(&good, watch.secret("path of a webhook", Form::Token), watch.secret("query of a webhook", Form::Password));
    let bad_hook = hook(&bad, watch.secret("path of a webhook", Form::Token), watch.secret("query of a webhook", Form::Password));
    Ok(Receivers { good, bad, good_hook, bad_hook })
}

/// The page's stream for some seconds.
fn stream(port: u16, seconds: u64) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.write_all(format!("GET /api/v1/stream?window=5m&follow={FOLLOWED} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let (mut came, mut piece) = (Vec::new(), [0; 65_536]);
    wait_until(seconds, || {
        let read = socket.read(&mut piece).unwrap_or(0);
        came.extend_from_slice(&piece[..read]);
        Ok(None::<()>)
    })?;
    Ok(came)
}

/// What a command prints, with the environment of the running perfmon.
fn command(environment: &[(String, String)], arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = as_root("env");
    command.args(environment.iter().map(|(name, value)| format!("{name}={value}"))).arg(binary()).args(arguments);
    let output = command.output()?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok([output.stdout, output.stderr].concat())
}

/// Command line and environment of a process.
fn process(pid: u32) -> Result<Vec<u8>> {
    Ok(as_root("cat").args(["cmdline", "environ"].map(|file| format!("/proc/{pid}/{file}"))).output()?.stdout)
}

/// Bodies of what came to a receiver.
fn bodies(receiver: &Receiver) -> Vec<u8> {
    let plain = |body: &[u8]| {
        let mut plain = Vec::new();
        GzDecoder::new(body).read_to_end(&mut plain).map_or_else(|_| body.to_vec(), |_| plain)
    };
    receiver.seen().iter().flat_map(|seen| plain(&seen.body)).collect()
}

#[test]
fn no_secret_leaves_by_any_output() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let (mut watch, folder) = (Watch::default(), tempfile::tempdir()?);
    let receivers = receivers(&mut watch)?;
    let (environment, config) = own_secrets(&mut watch, &receivers, folder.path())?;
    let parties = ["plain", "tls"].map(|scheme| Party::start(&mut watch, scheme));
    let (config, db) = (config.display().to_string(), folder.path().join("data/perfmon.db").display().to_string());
    let own = own_children();
    let options = [own[0].as_str(), &own[1], "--log", "trace", "--config", &config, "--db", &db];
    let names: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let perfmon = Perfmon::start_showing("table", &names, &options)?;
    let [plain, tls] = parties;
    let parties = [plain?, tls?];
    for party in &parties {
        party.ask(&mut watch)?;
    }
    // Both sides of both parties; then the table and the deliveries of some intervals.
    // The receivers' requests are seen as well, since they are in this process.
    let seen = perfmon.wait_for(4 * 17, |request| parties.iter().any(|party| request.about(party.port)))?;
    let by_scheme = [false, true].map(|tls| seen.iter().filter(|request| request.tls == tls).count());
    assert_eq!(by_scheme, [2 * 17; 2], "requests seen, plain and over TLS");
    watch.look_at_figures("/api/v1/stream", &stream(perfmon.port(), 5)?);
    for route in ROUTES {
        watch.look(route, &get(perfmon.port(), route)?.body);
    }
    for route in
        ["/metrics", "/api/v1/endpoints?window=1h", "/api/v1/records?limit=1000", "/api/v1/llm?window=1h", "/api/v1/tools?window=1h"]
    {
        watch.look_at_figures(route, &get(perfmon.port(), route)?.body);
    }
    commands(&mut watch, &environment, &perfmon.url(), &config)?;
    for child in std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", perfmon.pid()))?.split_whitespace() {
        watch.look("a process of perfmon", &process(child.parse()?)?);
    }
    for kind in ["llm", "agent", "tool"] {
        ensure!(!perfmon.records(kind)?.is_empty(), "no {kind} record");
    }
    let (jsonl, log) = (perfmon.output()?, perfmon.log());
    watch.look_at_figures("--jsonl", jsonl.as_bytes());
    let seen: Vec<&str> = watch.canaries.shown(jsonl.as_bytes());
    let unseen: Vec<_> = SHOWN.iter().filter(|(place, _)| !seen.contains(place)).collect();
    ensure!(unseen.is_empty(), "the records do not have {unseen:?}");
    watch.look_at_figures("the log and the table", log.as_bytes());
    ensure!(log.contains("could not be delivered") && log.contains("Telemetry cannot be delivered"), "no delivery failed:\n{log}");
    ensure!(!log.contains('\u{1b}'), "an escape sequence of a receiver is in the log:\n{log}");
    perfmon.stop()?;

    watch.look_at_figures("telemetry", &bodies(&receivers.good));
    ensure!(receivers.good.seen().iter().any(|seen| seen.path.starts_with("/services/")), "no alert came to the webhook");
    for suffix in ["", "-wal"] {
        watch.look("the history", &as_root("cat").arg(format!("{db}{suffix}")).output()?.stdout);
    }
    for format in ["md", "html", "json"] {
        watch.look_at_figures("perfmon report", &command(&environment, &["report", "--format", format, "--db", &db])?);
    }
    watch.verdict();
    Ok(())
}

/// Commands beside a running perfmon.
fn commands(watch: &mut Watch, environment: &[(String, String)], url: &str, config: &str) -> Result<()> {
    let own = own_children();
    watch.look_at_figures("perfmon top", &command(environment, &["top", "--url", url])?);
    for arguments in [
        &["alerts", "list", "--url", url][..],
        &["alerts", "list", "--json", "--url", url],
        &["alerts", "test", "--url", url, "--config", config],
        &["config", "print", "--config", config],
        &["config", "check", config],
        &["check", &own[0], &own[1]],
        &["check", "--all-processes", &own[0], &own[1]],
        &["check", "--json", &own[0], &own[1]],
    ] {
        watch.look(&format!("perfmon {}", arguments.join(" ")), &command(environment, arguments)?);
    }
    Ok(())
}

#[test]
fn names_with_escape_sequences_are_printed_escaped() -> Result<()> {
    const EVIL: &str = "ev\u{1b}[2J\u{202e}\nil";
    if missing(&NEEDS) {
        return Ok(());
    }
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    // Its name for the kernel.
    let program = folder.path().join(EVIL);
    std::os::unix::fs::symlink(python(), &program)?;
    std::fs::write(folder.path().join("fine"), "")?;
    let mut command = Command::new(&program);
    command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]).current_dir(folder.path()).env("OTEL_SERVICE_NAME", EVIL);
    let mut server = Running::start(&mut command, &folder.path().join("server.log"))?;
    server.listens(port)?;
    let own = own_children();
    let perfmon = Perfmon::start_showing("table", &[], &["--no-store", "--log", "trace", &own[0], &own[1]])?;
    let asked = format!("GET /{0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: {0}\r\nConnection: close\r\n\r\n", EVIL.replace('\n', ""));
    for request in [&asked, "GET /fine HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"] {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.write_all(request.as_bytes())?;
        socket.read_to_end(&mut Vec::new())?;
    }
    let seen = perfmon.wait_for(1, |request| request.served_by(port))?;
    ensure!(seen.iter().any(|request| request.service == EVIL), "{seen:?}");
    let table = wait_until(10, || Ok(perfmon.log().contains("GET /fine").then(|| perfmon.log())))?.context("no table")?;
    let url = perfmon.url();
    let mut outputs = vec![("the log and the table".to_owned(), table)];
    for arguments in [&["top", "--url", &url][..], &["check", &own[0], &own[1]], &["check", "--all-processes", &own[0], &own[1]]] {
        outputs.push((arguments.join(" "), String::from_utf8_lossy(&self::command(&[], arguments)?).into_owned()));
    }
    for (name, output) in outputs {
        assert!(output.contains(r"ev\u{1b}[2J\u{202e}\nil"), "{name} does not show the service:\n{output}");
        assert!(!output.contains(['\u{1b}', '\u{202e}']) && !output.contains("\nil"), "{name}:\n{output:?}");
    }
    let targets = String::from_utf8_lossy(&get(perfmon.port(), "/api/v1/self")?.body).into_owned();
    assert!(targets.contains(r"ev\u001b[2J") && !targets.contains('\u{1b}'), "{targets}");
    perfmon.stop().map(drop)
}

#[test]
fn the_program_behind_the_dashes_gets_no_secret_of_perfmon() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let mut watch = Watch::default();
    let receivers = receivers(&mut watch)?;
    let folder = tempfile::tempdir()?;
    let (environment, config) = own_secrets(&mut watch, &receivers, folder.path())?;
    let config = config.display().to_string();
    let listen = format!("127.0.0.1:{}", free_port()?);
    let kept = ("THE_PROGRAMS_OWN".to_owned(), watch.word("OTEL_SERVICE_NAME"));
    let environment = [environment, vec![kept]].concat();
    let arguments =
        ["run", "--ui", "none", "--no-store", "--listen", &listen, "--config", &config, "--", "sh", "-c", "env; cat /proc/$$/cmdline"];
    watch.look_at_figures("the program behind --", &command(&environment, &arguments)?);
    watch.verdict();
    Ok(())
}

#[test]
fn what_perfmon_reads_gets_into_no_core_file() -> Result<()> {
    if missing(&NEEDS) || missing(&[Need::Program("prlimit")]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let mut command = perfmon(&["run", "--ui", "none", "--no-store", "--listen", &listen, "--pid", &std::process::id().to_string()]);
    let mut running = Running::start(command.current_dir(folder.path()), &folder.path().join("perfmon.log"))?;
    wait_until(15, || Ok(running.log().contains("perfmon is watching").then_some(())))?.with_context(|| running.log())?;
    let pid = perfmon_tests::perfmon::own_pid(&running)?;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let core: Vec<&str> =
        limits.lines().find_map(|line| line.strip_prefix("Max core file size")).context("no limit")?.split_whitespace().collect();
    assert_eq!(core, ["0", "0", "bytes"]);
    // Even where the limit is raised from outside.
    if !as_root("prlimit").args(["--pid", &pid.to_string(), "--core=unlimited"]).status()?.success() {
        eprintln!("this root may not raise limits: only the limit is tested");
    }
    perfmon_tests::process::signal(pid, "ABRT")?;
    let status = running.wait(10)?.context("perfmon did not end")?;
    assert!(!status.core_dumped(), "{status}");
    let names: Vec<_> = std::fs::read_dir(folder.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    assert_eq!(names, ["perfmon.log"]);
    Ok(())
}
