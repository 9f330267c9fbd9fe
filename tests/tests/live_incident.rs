//! An incident from the breach to the recovery, over real channels: a webhook and a mail server get one page each, a dead channel falls back,
//! one that fails for a minute delivers, an acknowledgement stops the escalation, a kill in between loses and repeats nothing. Then silences
//! over restarts, and the secrets of channels, which no output shows.
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use perfmon_tests::canary::{Canaries, Form};
use perfmon_tests::client::{Call, Client};
use perfmon_tests::mail_sink::MailSink;
use perfmon_tests::need::{Need, as_root, missing};
use perfmon_tests::perfmon::{Perfmon, binary, perfmon as command};
use perfmon_tests::process::signal;
use perfmon_tests::receiver::{Receiver, Reply, Seen};
use perfmon_tests::server::{self, Server};
use perfmon_tests::wait_until;
use perfmon_tests::wire::{Wire, get};
use perfmon_user::clock::boot_now_ns;
use serde_json::{Value, json};

const NEEDS: [Need; 3] = [Need::Perfmon, Need::Python, Need::Program("curl")];
/// The standing rules on requests: p95 over 1,000 ms, errors over 5 %.
const RULES: [&str; 2] = ["response_time_p95", "error_rate_5min"];
const SECOND: u64 = 1_000_000_000;

/// The ten requests that a window needs: eight of 1.1 s at once, two that fail.
fn bad_traffic(port: u16) -> Result<()> {
    std::thread::scope(|scope| {
        let slow = || Wire::connect("127.0.0.1", port)?.call("GET", "/sleep/1100", "slow", b"").map(drop);
        let slow: Vec<_> = (0..8).map(|_| scope.spawn(slow)).collect();
        Client::Curl.run(port, "failing", &[Call::get("/status/500"), Call::get("/status/503")])?;
        slow.into_iter().try_for_each(|call| call.join().expect("a caller panicked"))
    })
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn written(folder: &Path, name: &str, text: &str) -> Result<String> {
    let file = folder.join(name);
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

/// The open or latest alert of a rule.
fn alert(perfmon: &Perfmon, rule: &str) -> Result<Option<Value>> {
    let list = perfmon.api(&format!("/api/v1/alerts?rule={rule}"))?;
    Ok(list.pointer("/items/0").cloned())
}

fn in_state(perfmon: &Perfmon, rule: &str, state: &str, seconds: u64) -> Result<Value> {
    let there = wait_until(seconds, || Ok(alert(perfmon, rule)?.filter(|alert| text(alert, "state") == state)))?;
    there.with_context(|| format!("{rule} is not {state} after {seconds} s: {:?}", alert(perfmon, rule)))
}

/// The sinks, which live as long as the test, and how often each accepted what.
struct Sinks {
    hooks: Receiver,
    mails: MailSink,
}

impl Sinks {
    /// `/flaky` fails for a minute from the first page on.
    fn start() -> Result<Self> {
        let begun = std::sync::OnceLock::new();
        let hooks = Receiver::start(move |seen| match seen.path.as_str() {
            "/flaky" if seen.at_ns < begun.get_or_init(|| seen.at_ns) + 60 * SECOND => Reply::status(500),
            _ => Reply::status(200),
        })?;
        Ok(Self { hooks, mails: MailSink::start()? })
    }

    fn accepted(&self, path: &str, rule: &str, state: &str) -> Result<usize> {
        let of_path = |seen: &&Seen| seen.path == path && seen.taken;
        let news: Vec<Value> = self.hooks.seen().iter().filter(of_path).map(Seen::json).collect::<Result<_>>()?;
        Ok(news.iter().filter(|news| text(news, "rule") == rule && text(news, "state") == state).count())
    }

    fn mailed(&self, rule: &str, subjects: &[&str]) -> usize {
        let is = |line: &str| subjects.iter().any(|subject| line.starts_with(&format!("Subject: {subject}: {rule} on ")));
        self.mails.mails().iter().filter(|mail| mail.lines().any(is)).count()
    }

    /// Of each rule, by sink: `/hook`, `/spare`, `/flaky`, mail.
    fn counts(&self, state: &str) -> Result<Vec<usize>> {
        let subjects: &[&str] = if state == "firing" { &["Warning", "Critical"] } else { &["Resolved"] };
        let mut counts = Vec::new();
        for rule in RULES {
            for path in ["/hook", "/spare", "/flaky"] {
                counts.push(self.accepted(path, rule, state)?);
            }
            counts.push(self.mailed(rule, subjects));
        }
        Ok(counts)
    }

    fn config(&self) -> Result<String> {
        let dead = format!("http://127.0.0.1:{}/", perfmon_tests::free_port()?);
        let mut config = String::new();
        for (name, url, more) in [
            ("hook", self.hooks.url("/hook"), "default = true"),
            ("flaky", self.hooks.url("/flaky"), "default = true"),
            ("dead", dead, "default = true\nfallback = \"spare\""),
            ("spare", self.hooks.url("/spare"), ""),
            ("boss", self.hooks.url("/boss"), ""),
            ("director", self.hooks.url("/director"), ""),
        ] {
            config += &format!("[[alerts.channels]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\n{more}\n");
        }
        config += &format!("[[alerts.channels]]\nname = \"mail\"\ntype = \"email\"\nsmtp = \"{}\"\ndefault = true\n", self.mails.url());
        config += "from = \"perfmon@example.com\"\nto = [\"ops@example.com\"]\n";
        for (after, channel) in [("30s", "boss"), ("45s", "director")] {
            config += &format!("[[alerts.escalation]]\nafter = \"{after}\"\nchannel = \"{channel}\"\n");
        }
        Ok(config)
    }
}

#[test]
fn an_incident_is_told_once_everywhere_over_a_kill_until_its_end() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let (server, folder, sinks) = (Server::start(server::UVICORN_H11)?, tempfile::tempdir()?, Sinks::start()?);
    let config = written(folder.path(), "perfmon.toml", &sinks.config()?)?;
    let db = folder.path().join("data/perfmon.db").to_string_lossy().into_owned();
    let port = server.port.to_string();
    let options = ["--port", port.as_str(), "--config", &config, "--db", &db];
    let perfmon = Perfmon::start_in(&[], &options)?;
    bad_traffic(server.port)?;
    let breach = boot_now_ns();
    let all_told = || Ok((sinks.counts("firing")? == [1, 1, 0, 1, 1, 1, 0, 1]).then_some(()));
    wait_until(40, all_told)?.with_context(|| format!("not each is paged once: {:?}", sinks.counts("firing")))?;
    println!("{} ms from the breach until all sinks but the one that fails have their pages", (boot_now_ns() - breach) / 1_000_000);
    // One is taken, the other one is left.
    let id = text(&in_state(&perfmon, RULES[0], "firing", 1)?, "alert_id");
    let taken = command(&["alerts", "ack", &id, "--url", &perfmon.url()]).output()?;
    ensure!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    // What was accepted a moment ago is written by then.
    std::thread::sleep(Duration::from_millis(300));
    signal(perfmon.pid(), "KILL")?;
    drop(perfmon);

    let perfmon = Perfmon::start_in(&[], &options)?;
    assert_eq!(text(&in_state(&perfmon, RULES[0], "acknowledged", 1)?, "alert_id"), id);
    let boss = || Ok((sinks.accepted("/boss", RULES[1], "firing")? == 1).then_some(()));
    wait_until(40, boss)?.with_context(|| format!("the escalation did not go on: {:?}", alert(&perfmon, RULES[1])))?;
    let other = text(&in_state(&perfmon, RULES[1], "firing", 1)?, "alert_id");
    let (status, _) = perfmon.post(&format!("/api/v1/alerts/{other}/ack"), &json!({"note": "on it"}))?;
    assert_eq!(status, 200);
    let once = vec![1; 8];
    wait_until(90, || Ok((sinks.counts("firing")? == once).then_some(())))?
        .with_context(|| format!("the channel that failed for a minute is not told: {:?}", sinks.counts("firing")))?;
    println!("{} s from the breach until the channel that failed for a minute has its pages", (boot_now_ns() - breach) / SECOND);

    Client::Curl.run(server.port, "good", &(0..240).map(|_| Call::get("/hello")).collect::<Vec<_>>())?;
    for rule in RULES {
        in_state(&perfmon, rule, "resolved", 90)?;
    }
    wait_until(20, || Ok((sinks.counts("resolved")? == once).then_some(())))?
        .with_context(|| format!("not each hears of the end: {:?}", sinks.counts("resolved")))?;
    assert_eq!(sinks.counts("firing")?, once, "nothing is told twice");
    let escalated = |path: &str| RULES.map(|rule| sinks.accepted(path, rule, "firing").unwrap_or(99));
    assert_eq!((escalated("/boss"), escalated("/director")), ([0, 1], [0, 0]), "an acknowledgement stops it");
    assert_eq!(sinks.accepted("/boss", RULES[1], "resolved")?, 1);
    Ok(())
}

/// Runs `perfmon alerts silence …` and gives what it printed.
fn silence(perfmon: &Perfmon, arguments: &[&str]) -> Result<String> {
    let output = command(&[&["alerts", "silence"], arguments, &["--url", &perfmon.url()]].concat()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_silence_with_matchers_outlives_a_kill_and_ends_for_good() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let hook = Receiver::start(|_| Reply::status(200))?;
    let channel = format!("[[alerts.channels]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n", hook.url("/hook"));
    let rule = |name: &str, kind: &str| {
        format!("[[alerts.rules]]\nname = \"{name}\"\nmetric = \"system.memory_percent\"\nabove = 0.1\nfor = \"2s\"\ntype = \"{kind}\"\n")
    };
    let config = written(folder.path(), "perfmon.toml", &(channel + &rule("quiet", "cost") + &rule("loud", "business")))?;
    let db = folder.path().join("perfmon.db").to_string_lossy().into_owned();
    let options = ["--config", config.as_str(), "--db", &db];
    let told = |rule: &str| -> Result<usize> {
        let news: Vec<Value> = hook.seen().iter().map(Seen::json).collect::<Result<_>>()?;
        Ok(news.iter().filter(|news| text(news, "rule") == rule).count())
    };

    let perfmon = Perfmon::start_in(&[], &options)?;
    let begun = silence(&perfmon, &["--match", "type=~co.*", "--match", "severity!=critical", "--for", "1h", "--note", "night"])?;
    let id = begun.split_whitespace().next().context("no id")?.to_owned();
    in_state(&perfmon, "quiet", "silenced", 15)?;
    in_state(&perfmon, "loud", "firing", 15)?;
    wait_until(5, || Ok((told("loud")? == 1).then_some(())))?.context("what is not silenced is not told")?;
    std::thread::sleep(Duration::from_millis(500));
    signal(perfmon.pid(), "KILL")?;
    drop(perfmon);

    let perfmon = Perfmon::start_in(&[], &options)?;
    let list = silence(&perfmon, &["list"])?;
    assert!(list.contains(&id) && list.contains("type=~co.* severity!=critical") && list.contains("night"), "{list}");
    in_state(&perfmon, "quiet", "silenced", 5)?;
    silence(&perfmon, &["delete", &id])?;
    in_state(&perfmon, "quiet", "firing", 5)?;
    wait_until(5, || Ok((told("quiet")? == 1).then_some(())))?.context("the end of the silence is not told")?;
    std::thread::sleep(Duration::from_millis(500));
    signal(perfmon.pid(), "KILL")?;
    drop(perfmon);

    let perfmon = Perfmon::start_in(&[], &options)?;
    assert_eq!(silence(&perfmon, &["list"])?, "no silences\n");
    let wrong = json!({"matchers": ["colour=red"], "duration": "1h"});
    let (status, answer) = perfmon.post("/api/v1/silences", &wrong)?;
    assert!(status == 400 && answer["error"]["message"].as_str().is_some_and(|said| said.contains("the fields are rule")), "{answer}");
    assert_eq!((told("quiet")?, told("loud")?), (1, 1), "each once over three runs");
    Ok(())
}

/// One channel of each type with secrets in files and variables; the receiver refuses and repeats what it was asked.
fn secret_channels(
    canaries: &mut Canaries,
    folder: &Path,
    refusing: &Receiver,
    mails: &MailSink,
) -> Result<(String, Vec<(String, String)>)> {
    let mut secret = |place: &str, form| canaries.plant(place, form);
    let slack = refusing.url(&format!("/services/{}", secret("url_file of slack", Form::Token)));
    let hook = refusing.url(&format!("/hook/{}?key={}", secret("url_env of a webhook", Form::Token), secret("its query", Form::Password)));
    let teams = refusing.url(&format!("/teams/{}", secret("url of teams", Form::Hex)));
    let slack = written(folder, "slack-url", &slack)?;
    let routing = written(folder, "routing-key", &secret("routing_key_file", Form::Hex))?;
    let variables = vec![
        ("HOOK_URL".to_owned(), hook),
        ("HOOK_KEY".to_owned(), secret("signing_key_env", Form::Key)),
        ("MAIL_PASSWORD".to_owned(), secret("password_env", Form::Password)),
    ];
    let (pagerduty, smtp) = (refusing.url(""), mails.url());
    let channels = [
        format!("name = \"slack\"\ntype = \"slack\"\nurl_file = \"{slack}\""),
        "name = \"hook\"\ntype = \"webhook\"\nurl_env = \"HOOK_URL\"\nsigning_key_env = \"HOOK_KEY\"".into(),
        format!("name = \"teams\"\ntype = \"teams\"\nurl = \"{teams}\""),
        format!("name = \"pager\"\ntype = \"pagerduty\"\nurl = \"{pagerduty}\"\nrouting_key_file = \"{routing}\""),
        format!(
            "name = \"mail\"\ntype = \"email\"\nsmtp = \"{smtp}\"\nusername = \"perfmon\"\npassword_env = \"MAIL_PASSWORD\"\n\
             from = \"perfmon@example.com\"\nto = [\"ops@example.com\"]"
        ),
        "name = \"log\"\ntype = \"log\"".into(),
    ];
    let mut config: String = channels.iter().map(|channel| format!("[[alerts.channels]]\n{channel}\ndefault = true\n")).collect();
    config += "[[alerts.rules]]\nname = \"always\"\nmetric = \"system.memory_percent\"\nabove = 0.1\nfor = \"0s\"\n";
    Ok((written(folder, "perfmon.toml", &config)?, variables))
}

#[test]
fn secrets_of_channels_stand_in_no_output() -> Result<()> {
    if missing(&NEEDS) {
        return Ok(());
    }
    let (mut canaries, folder, mails) = (Canaries::default(), tempfile::tempdir()?, MailSink::start()?);
    let refusing = Receiver::start(|seen| Reply {
        body: format!("no {} for {}", seen.path, String::from_utf8_lossy(&seen.body)),
        ..Reply::status(403)
    })?;
    let (config, variables) = secret_channels(&mut canaries, folder.path(), &refusing, &mails)?;
    let child = folder.path().join("child.env").display().to_string();
    let environment: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let script = format!("cat /proc/self/environ > {child}; sleep 300");
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    // Its records and log, at the most talkative level.
    let perfmon = Perfmon::start_in(&environment, &["--config", &config, "--no-store", "--log", "trace", "--", "sh", "-c", &script])?;
    let failed = wait_until(40, || {
        let channels = alert(&perfmon, "always")?.map(|alert| alert["notified"].as_array().map_or(0, Vec::len));
        Ok(channels.filter(|count| *count >= 6))
    })?;
    failed.with_context(|| format!("not each channel was tried: {:?}", alert(&perfmon, "always")))?;
    let mut leaks = Vec::new();
    let mut look = |name: &str, output: &[u8]| leaks.extend(canaries.leaks(name, output));
    for route in ["alerts", "findings", "self", "summary", "records?limit=1000", "processes", "silences"] {
        look(route, &get(perfmon.port(), &format!("/api/v1/{route}"))?.body);
    }
    look("/metrics", &get(perfmon.port(), "/metrics")?.body);
    let url = perfmon.url();
    for arguments in [
        &["alerts", "list", "--json", "--url", &url][..],
        &["alerts", "test", "--url", &url],
        &["config", "print", "--config", &config],
        &["config", "check", &config],
    ] {
        let mut command = as_root("env");
        command.args(environment.iter().map(|(name, value)| format!("{name}={value}"))).arg(binary()).args(arguments);
        let output = command.output()?;
        ensure!(!output.stdout.is_empty(), "{arguments:?} prints nothing: {}", String::from_utf8_lossy(&output.stderr));
        look(&arguments.join(" "), &[output.stdout, output.stderr].concat());
    }
    look("the records", perfmon.output()?.as_bytes());
    look("the log", perfmon.log().as_bytes());
    let inherited = std::fs::read(&child).context("the program behind -- did not run")?;
    ensure!(inherited.windows(5).any(|text| text == b"PATH="), "an empty environment shows nothing");
    look("the environment of the program behind --", &inherited);
    let others: Vec<u8> = mails.mails().concat().into_bytes();
    look("mails", &others);
    drop(perfmon);
    ensure!(leaks.is_empty(), "{} secrets are shown:\n{}", leaks.len(), leaks.join("\n"));
    // The search finds what is there.
    ensure!(!canaries.leaks("variables", format!("{variables:?}").as_bytes()).is_empty(), "the search finds nothing");
    Ok(())
}
