//! Layers, problems and printed configuration.
use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn file(text: &str) -> Sources {
    Sources { file: Some(File { path: "p.toml".into(), text: text.into() }), ..Sources::default() }
}

fn env(pairs: &[(&str, &str)]) -> Sources {
    Sources { env: pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(), ..Sources::default() }
}

fn problems(sources: &Sources) -> Vec<String> {
    load(sources).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_given_is_the_default() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.origins.is_empty());
    assert_eq!(loaded.config.listen[0].to_string(), "127.0.0.1:9911");
    assert!(loaded.config.targets.specs().is_empty());
}

#[test]
fn a_full_file_is_read() {
    let text = r#"
listen = "[::1]:8080"
jsonl = "/tmp/out.jsonl"
duration = "1h30m"
[capture]
tier = 3
ring_mib = 16
[targets]
pid = [1, 2]
exe = ["nginx"]
port = [80]
follow = false
[http]
token = "0123456789abcdef"
hosts = ["box.lan"]
[[endpoints]]
pattern = "/a/{x}"
method = "get"
[[services]]
name = "front"
port = 80
"#;
    let config = load(&file(text)).unwrap().config;
    assert_eq!(config.jsonl, Some(Jsonl::File(PathBuf::from("/tmp/out.jsonl"))));
    assert_eq!(config.duration, Some(Duration::from_secs(5_400)));
    assert_eq!((config.capture.tier, config.capture.ring_mib), (TierSetting::Three, Some(16)));
    assert_eq!(config.targets.specs(), [TargetSpec::Pid(1), TargetSpec::Pid(2), TargetSpec::Exe("nginx".into()), TargetSpec::Port(80)]);
    assert!(!config.targets.follow);
    assert_eq!(config.endpoints, [EndpointRuleEntry { service: None, method: Some("GET".into()), pattern: "/a/{x}".into() }]);
    assert_eq!(config.services, [ServiceRuleEntry { name: "front".into(), exe: None, port: Some(80) }]);
}

#[test]
fn later_layers_win_and_say_so() {
    let mut sources = file("listen = '127.0.0.1:1'\nlog = 'warn'\n[capture]\nring_mib = 4\n");
    sources.env = vec![
        ("PERFMON_LISTEN".into(), "127.0.0.1:2".into()),
        ("PERFMON_CAPTURE__RING_MIB".into(), "32".into()),
        ("HOME".into(), "/".into()),
    ];
    sources.flags = vec![Flag { path: "listen", name: "--listen", node: ConfigNode::word("localhost:3") }];
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.listen[0].to_string(), "127.0.0.1:3");
    assert_eq!(loaded.config.capture.ring_mib, Some(32));
    let printed = print(&loaded);
    assert!(printed.contains("listen = \"127.0.0.1:3\"  # flag --listen"), "{printed}");
    assert!(printed.contains("ring_mib = 32  # environment PERFMON_CAPTURE__RING_MIB"), "{printed}");
    assert!(printed.contains("log = \"warn\"  # p.toml:2"), "{printed}");
    assert!(printed.contains("follow = true  # default"), "{printed}");
}

#[test]
fn targets_of_flags_replace_those_of_the_file() {
    let mut sources = file("[targets]\nexe = ['nginx']\nwait = true\n");
    sources.flags = vec![Flag { path: "targets.pid", name: "--pid", node: ConfigNode::words(["7"]) }];
    let config = load(&sources).unwrap().config;
    assert_eq!(config.targets.specs(), [TargetSpec::Pid(7)]);
    assert!(config.targets.wait);
}

#[test]
fn every_problem_of_a_file_is_listed_with_its_line() {
    let text = "listn = 'x'\nduration = 30\n[capture]\nring_mib = 5\ntier = '4'\n[targets]\npid = [1, 'a', 0]\n[[endpoints]]\nmethod = 'GET'\n[[endpoints]]\npattern = 'a'\ncolour = 1\n";
    let found = problems(&file(text));
    let wanted = [
        "p.toml:1: listn: unknown; did you mean listen?",
        "p.toml:2: duration: 30 has no unit",
        "p.toml:4: capture.ring_mib: 5 is not a power of two; the next one is 8",
        "p.toml:5: capture.tier: \"4\" is not one of auto, 1, 2, 3",
        "p.toml:7: targets.pid: \"a\" is not an integer",
        "p.toml:7: targets.pid: 0 is out of range",
        "p.toml:8: endpoints.pattern: is missing",
        "p.toml:11: endpoints.pattern: \"a\" must begin with /",
        "p.toml:12: endpoints.colour: unknown",
    ];
    for want in wanted {
        assert!(found.iter().any(|line| line.starts_with(want)), "{want} is not in {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn the_environment_is_as_strict() {
    let found = problems(&env(&[("PERFMON_CAPTURE__RING_MB", "8"), ("PERFMON_LISTEN", "here"), ("PERFMON_TARGETS__WAIT", "maybe")]));
    assert_eq!(found[0], "PERFMON_CAPTURE__RING_MB: unknown; did you mean PERFMON_CAPTURE__RING_MIB?");
    assert!(found[1].starts_with("PERFMON_LISTEN: \"here\" is not an address with a port"));
    assert!(found[2].starts_with("PERFMON_TARGETS__WAIT: \"maybe\" is not true or false"));
}

#[test]
fn lists_in_the_environment_are_words_or_toml() {
    let config = load(&env(&[
        ("PERFMON_TARGETS__PORT", "80, 443"),
        ("PERFMON_TARGETS__EXE", "['a,b', 'c']"),
        ("PERFMON_ENDPOINTS", "[{ pattern = '/x/{y}', service = 's' }]"),
    ]))
    .unwrap()
    .config;
    assert_eq!(config.targets.port, [80, 443]);
    assert_eq!(config.targets.exe, ["a,b", "c"]);
    assert_eq!(config.endpoints[0].service.as_deref(), Some("s"));
    assert!(problems(&env(&[("PERFMON_TARGETS__PORT", "80,http")]))[0].contains("\"http\" is not an integer"));
}

#[test]
fn what_contradicts_is_refused() {
    let found = problems(&file("listen = '0.0.0.0:9911'\njsonl = '-'\nui = 'table'\n[[services]]\nname = 'a'\n"));
    assert!(found[0].contains("token is needed"), "{found:#?}");
    assert!(found[1].contains("share standard output"), "{found:#?}");
    assert!(found[2].contains("entry 1 (a) needs exactly one of exe and port"), "{found:#?}");
    assert!(load(&file("listen = '0.0.0.0:9911'\nhttp.token = '0123456789abcdef'\n")).is_ok());
}

#[test]
fn the_printed_configuration_reads_back_to_the_same() {
    let text = "listen = '127.0.0.1:1'\nduration = '90s'\njsonl = 'a \"b\".jsonl'\n[targets]\nexe = ['x*']\n[[endpoints]]\npattern = '/a'\n[[services]]\nname = 'n'\nexe = 'e'\n";
    let loaded = load(&file(text)).unwrap();
    assert_eq!(load(&file(&print(&loaded))).unwrap().config, loaded.config);
}

#[test]
fn the_token_is_never_printed() {
    let loaded = load(&file("http.token = 'very-secret-token-1'\n")).unwrap();
    assert_eq!(loaded.config.http.token.as_ref().map(Secret::expose), Some("very-secret-token-1"));
    let printed = print(&loaded);
    assert!(!printed.contains("very-secret") && !format!("{loaded:?}").contains("very-secret"), "{printed}");
    assert!(printed.contains("# token is set, not shown  # p.toml:1"), "{printed}");
}

#[test]
fn patterns_are_checked() {
    for good in ["/", "/a/{id}/b", "/static/**", "/*", "/files/{name}.pdf"] {
        assert!(load(&env(&[("PERFMON_ENDPOINTS", &format!("[{{pattern='{good}'}}]"))])).is_ok(), "{good}");
    }
    for bad in ["", "a", "/a?b", "/a{id", "/{}", "/a}/{b", "/{a/b}"] {
        assert!(load(&env(&[("PERFMON_ENDPOINTS", &format!("[{{pattern='{bad}'}}]"))])).is_err(), "{bad}");
    }
}

#[test]
fn display_follows_the_terminal() {
    let with = |ui, jsonl| Config { ui, jsonl, ..Config::default() };
    assert_eq!(with(Ui::Auto, None).display(true), Display::Screen);
    assert_eq!(with(Ui::Auto, None).display(false), Display::Nothing);
    assert_eq!(with(Ui::Table, None).display(false), Display::Lines);
    assert_eq!(with(Ui::None, None).display(true), Display::Nothing);
    assert_eq!(with(Ui::Auto, Some(Jsonl::Stdout)).display(true), Display::Nothing);
}

#[test]
fn a_missing_file_is_a_problem_only_when_named() {
    let missing = std::path::Path::new("/nonexistent/perfmon.toml");
    assert!(read_file(Some(missing)).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn environment_names_are_unique() {
    let names: std::collections::BTreeSet<_> = KEYS.iter().map(|key| key.about.env()).collect();
    assert_eq!(names.len(), KEYS.len());
}

#[test]
fn the_documentation_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, document()).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == document(),
        "docs/configuration.md is stale: run the tests with UPDATE_DOCS=1"
    );
}

#[test]
fn alerts_come_from_file_and_environment() {
    let text = r#"
[alerts.thresholds]
response_time_p95_ms = 250
disk_usage = 0.5
[[alerts.rules]]
name = "checkout slow"
metric = "request.response_time_ms.p95"
where = { service = "shop", method = "post", endpoint = "/checkout" }
above = 800
window = "1m"
for = "1m"
keep_firing_for = "2m"
severity = "critical"
type = "business"
min_samples = 20
channels = ["hook"]
[[alerts.channels]]
name = "hook"
type = "webhook"
url = "https://user:pw@example.com/T0/s3cr3t"
default = true
fallback = "log"
[[alerts.channels]]
name = "log"
type = "log"
[[alerts.escalation]]
after = "5m"
severity = "critical"
channel = "log"
"#;
    let mut sources = file(text);
    sources.env = vec![("PERFMON_ALERT_ERROR_RATE_5MIN".into(), "0.2".into()), ("PERFMON_ALERT_DISK_USAGE".into(), "0.7".into())];
    let loaded = load(&sources).unwrap();
    let settings = loaded.config.alerts.settings();
    let limits: Vec<_> = settings.rules.iter().map(|rule| (&*rule.name, rule.condition.limit())).collect();
    let standing =
        [("response_time_p95", 250.0), ("error_rate_5min", 0.2), ("memory_usage", 0.85), ("cpu_usage", 0.8), ("disk_usage", 0.7)];
    assert_eq!(limits, [&standing[..], &[("checkout slow", 800.0), ("perfmon_degraded", 0.0)]].concat());
    let own = &settings.rules[5];
    assert_eq!((own.hold.as_secs(), own.keep_firing.as_secs(), own.min_samples, &*own.kind), (60, 120, 20, "business"));
    assert_eq!((own.filter.pattern("method"), own.window.as_secs(), own.channels.len()), (Some("POST"), 60, 1));
    assert_eq!(settings.channels[0].fallback.as_deref(), Some("log"));
    assert!(settings.channels[0].default && !settings.channels[1].default);
    assert_eq!(settings.escalation[0].after.as_secs(), 300);
    let printed = print(&loaded);
    assert!(printed.contains("https://example.com/(not-shown)") && !printed.contains("s3cr3t") && !printed.contains("pw@"), "{printed}");
    assert!(!format!("{:?} {settings:?}", loaded.config).contains("s3cr3t"));
    let again = load(&file(&printed)).unwrap().config.alerts;
    assert_eq!(
        (again.rules, again.thresholds, again.escalation),
        (loaded.config.alerts.rules, loaded.config.alerts.thresholds, loaded.config.alerts.escalation)
    );
}

#[test]
fn alerts_without_channels_go_to_the_log_and_the_first_is_the_default() {
    let settings = Config::default().alerts.settings();
    assert_eq!((settings.channels.len(), &*settings.channels[0].name, settings.channels[0].default), (1, "log", true));
    let config = load(&env(&[("PERFMON_ALERTS__CHANNELS", "[{name='a',type='log'},{name='b',type='log'}]")])).unwrap().config;
    assert_eq!(config.alerts.settings().channels.iter().map(|channel| channel.default).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn nonsense_about_alerts_is_listed_all_at_once() {
    let text = r#"
[alerts.thresholds]
response_time_p95_ms = -5
error_rate_5min = 5
memory_usage = "much"
cpu_usage = nan
disk_use = 0.5
[[alerts.rules]]
name = "a"
metric = "dns.rows.sum"
spike = 0.5
[[alerts.channels]]
name = "run"
type = "command"
[[alerts.channels]]
name = "hook"
type = "webhook"
url = "ftp://x"
"#;
    let mut sources = file(text);
    sources.env = vec![("PERFMON_ALERT_CPU_USAGE".into(), "80".into())];
    let found = problems(&sources);
    let wanted = [
        "p.toml:3: alerts.thresholds.response_time_p95_ms: -5 is out of range",
        "p.toml:4: alerts.thresholds.error_rate_5min: 5 is out of range; give a number from 0 to 1",
        "p.toml:5: alerts.thresholds.memory_usage: \"much\" is not a number",
        "p.toml:6: alerts.thresholds.cpu_usage: NaN is out of range",
        "p.toml:7: alerts.thresholds.disk_use: unknown; did you mean",
        "p.toml:10: alerts.rules.metric: \"dns.rows.sum\" is not a metric; the nearest names are",
        "p.toml:11: alerts.rules.spike: 0.5 is out of range",
        "p.toml:14: alerts.channels.type: command is refused: a running perfmon starts no other program",
        "p.toml:18: alerts.channels.url: is not a URL",
        "PERFMON_ALERT_CPU_USAGE: 80 is out of range; give a number from 0.01 to 1",
    ];
    for want in wanted {
        assert!(found.iter().any(|line| line.starts_with(want)), "{want} is not in {found:#?}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}

#[test]
fn too_many_rules_or_windows_are_refused() {
    let rules = |count: usize, key: fn(usize) -> String| -> String {
        (0..count).map(|number| format!("[[alerts.rules]]\nname='r{number}'\nmetric='error_rate'\nabove=0.5\n{}\n", key(number))).collect()
    };
    let same = |_| String::new();
    assert_eq!(load(&file(&rules(crate::limits::ALERT_RULES, same))).unwrap().config.alerts.rules.len(), crate::limits::ALERT_RULES);
    let found = problems(&file(&rules(crate::limits::ALERT_RULES + 1, same)));
    assert!(matches!(&found[..], [one] if one.contains("has 10001 entries; at most 10000 are judged")), "{found:?}");
    let found = problems(&file(&rules(100, |number| format!("window='{}s'", 10 + number))));
    assert!(matches!(&found[..], [one] if one.contains("different windows; at most 64 are kept")), "{found:?}");
}

#[test]
fn rules_and_channels_must_fit_together() {
    let text = "[[alerts.rules]]\nname='cpu_usage'\nmetric='cpu_percent'\nwindow='5m'\n[[alerts.rules]]\nname='b'\nmetric='error_rate'\nabove=0.5\nbelow=2\nwhere={destination='d',endpoint='/e'}\n[[alerts.channels]]\nname='h'\ntype='webhook'\n";
    let found = problems(&file(text));
    for want in [
        "exactly one of above, below, spike, absent, burn_rate",
        "always stands",
        "where.endpoint does not go with a rule on a destination",
        "url: is missing",
    ] {
        assert!(found.iter().any(|line| line.contains(want)), "{want} is not in {found:#?}");
    }
    assert_eq!(found.len(), 5, "{found:#?}");
    let text = "[[alerts.rules]]\nname='a'\nmetric='error_rate'\nabove=1.0\nwhere={mount='/'}\n[[alerts.rules]]\nname='b'\nmetric='request.count'\nburn_rate=14.4\nforecast='1h'\n";
    let found = problems(&file(text));
    for want in [
        "where.mount does not go with request.error_rate; its labels are side, service, method, endpoint, destination",
        "it is never above 1: its largest value is 1",
        "goes with an error rate, like request.error_rate",
        "forecast: goes with above or below only",
    ] {
        assert!(found.iter().any(|line| line.contains(want)), "{want} is not in {found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
    let text = "[[alerts.rules]]\nname='b'\nmetric='error_rate'\nabove=0.5\nchannels=['x']\n[[alerts.rules]]\nname='b'\nmetric='error_rate'\nabove=0.5\n\
        [[alerts.channels]]\nname='h'\ntype='log'\nfallback='i'\n[[alerts.channels]]\nname='i'\ntype='log'\nfallback='h'\n[[alerts.channels]]\nname='j'\ntype='log'\nfallback='k'\n\
        [[alerts.escalation]]\nafter='5m'\nchannel='y'\n[[alerts.escalation]]\nafter='1m'\nchannel='h'\n";
    let found = problems(&file(text));
    for want in [
        "entry 2 uses the name b again",
        "no channel is named x",
        "no channel is named y",
        "the step after 1m comes later",
        "h: its fallbacks form a loop",
        "i: its fallbacks form a loop",
        "j: its fallback k is not the name of a channel",
    ] {
        assert!(found.iter().any(|line| line.contains(want)), "{want} is not in {found:#?}");
    }
}

#[test]
fn secrets_of_channels_come_from_files_and_variables_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "k3y-s3cr3t\n").unwrap();
    let path = path.display();
    let mail = "name='mail'\ntype='email'\nsmtp='smtps://mail.example.com'\nfrom='perfmon@example.com'\nto=['ops@example.com']\n";
    let text = format!(
        "[[alerts.channels]]\nname='pd'\ntype='pagerduty'\nrouting_key_file='{path}'\n\
         [[alerts.channels]]\n{mail}username='u'\npassword='p-s3cr3t'\n\
         [[alerts.channels]]\nname='slack'\ntype='slack'\nurl='https://hooks.slack.com/services/s3cr3t'\n"
    );
    let loaded = load(&file(&text)).unwrap();
    let channels = loaded.config.alerts.settings().channels;
    assert_eq!(channels[0].options.routing_key.as_deref(), Some("k3y-s3cr3t"));
    assert_eq!((channels[1].kind.name, channels[1].options.password.as_deref()), ("email", Some("p-s3cr3t")));
    let printed = print(&loaded);
    assert!(
        !printed.contains("s3cr3t") && printed.contains(&path.to_string()) && printed.contains("smtps://mail.example.com"),
        "{printed}"
    );
    assert!(!format!("{:?} {channels:?}", loaded.config).contains("s3cr3t"));
    load(&file(&printed)).unwrap();

    let wrong = format!(
        "[[alerts.channels]]\nname='a'\ntype='slack'\nurl='https://x/s3cr3t'\nurl_file='{path}'\n\
         [[alerts.channels]]\nname='b'\ntype='pagerduty'\nrouting_key_file='{path}.none'\n\
         [[alerts.channels]]\nname='c'\ntype='pagerduty'\nrouting_key_env='PERFMON_TEST_NOT_SET'\n"
    );
    let found = problems(&file(&wrong));
    for want in ["given in two ways", "No such file", "variable PERFMON_TEST_NOT_SET is not set"] {
        assert!(found.iter().any(|line| line.contains(want)), "{want} is not in {found:#?}");
    }
    assert!(found.len() == 3 && !format!("{found:?}").contains("s3cr3t"), "{found:#?}");
    // Who asks need not know what only the service may read; what is wrong in the file is wrong for them too.
    let found = load_to_ask(&file(&wrong)).unwrap_err();
    assert!(matches!(found.as_slice(), [one] if one.to_string().contains("given in two ways")), "{found:#?}");
    let of_service = format!(
        "[[alerts.channels]]\nname='s'\ntype='slack'\nurl_file='{path}.none'\n\
         [[alerts.channels]]\nname='p'\ntype='pagerduty'\nrouting_key_env='PERFMON_TEST_NOT_SET'\n"
    );
    assert_eq!(problems(&file(&of_service)).len(), 2);
    assert_eq!(load_to_ask(&file(&of_service)).unwrap().config.alerts.settings().channels.len(), 2);
}

#[test]
fn the_variables_of_opentelemetry_and_logfire_are_read() {
    let loaded = load(&env(&[
        ("LOGFIRE_TOKEN", "pylf_v1_eu_a, pylf_v1_us_b"),
        ("LOGFIRE_ENVIRONMENT", "prod"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:1/x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=hunter%202,b=c=d"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ("OTEL_SERVICE_NAME", "edge"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=shop,zone=a%2Cb"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "read by others"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", ""),
    ]))
    .unwrap();
    let export = &loaded.config.export;
    assert_eq!((export.environment.as_deref(), export.service_name.as_str()), (Some("prod"), "edge"));
    assert_eq!(export.resource_attributes, [("team".into(), "shop".into()), ("zone".into(), "a,b".into())]);
    let targets = export.targets().unwrap();
    let otlp: Vec<_> = targets.iter().filter(|target| target.name == "otlp").collect();
    let urls: Vec<&str> = otlp.iter().map(|target| target.url.as_str()).collect();
    assert_eq!(urls, ["http://collector:4318/v1/traces", "http://metrics:1/x", "http://collector:4318/v1/logs"]);
    assert_eq!(otlp.iter().map(|target| target.gzip).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(otlp[0].timeout, Duration::from_millis(2_500));
    assert_eq!(otlp[0].headers, [("x-key".into(), Secret("hunter 2".into())), ("b".into(), Secret("c=d".into()))]);
    assert_eq!((targets.len(), targets[1].name.as_str()), (9, "logfire 2"));
    assert_eq!(loaded.origins["export.otlp.endpoint"], SettingOrigin::Env("OTEL_EXPORTER_OTLP_ENDPOINT".into()));
    let printed = print(&loaded);
    assert!(!printed.contains("pylf") && !printed.contains("hunter") && printed.contains("# token is set, not shown"), "{printed}");
}

#[test]
fn variables_of_others_that_cannot_be_used_are_all_told() {
    let told = problems(&env(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("LOGFIRE_SEND_TO_LOGFIRE", "perhaps"),
        ("PERFMON_EXPORT__SPAN_RATE", "2"),
    ]));
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.iter().all(|problem| !problem.contains("hunter2")), "{told:?}");
    let grpc = env(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")]);
    assert!(problems(&grpc)[0].contains("http/protobuf"));
    assert!(load(&env(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")])).is_ok());
    // perfmon's own names win.
    let both = env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"), ("PERFMON_EXPORT__OTLP__ENDPOINT", "http://b:1")]);
    assert_eq!(load(&both).unwrap().config.export.otlp.endpoint.as_deref(), Some("http://b:1"));
}

#[test]
fn problems_come_in_the_order_of_the_file_with_what_is_probably_meant() {
    let text = "lisen = \"x\"\nduration = \"soon\"\n[http]\ntoken = 5\ntokn = \"x\"\n[captur]\nmodels = true\n[capture]\nrng_mib = 8\nzzz = 1\n\
        [alerts.threshold]\nmemory_usage = 0.9\n[[alerts.channel]]\nname = \"a\"\n[[alerts.channels]]\nname = \"b\"\nulr = \"http://x\"\n";
    let sources = Sources { file: Some(File { path: "f".into(), text: text.into() }), ..Sources::default() };
    let problems: Vec<String> = load(&sources).unwrap_err().iter().map(ToString::to_string).collect();
    let line = |problem: &String| problem.split(':').nth(1).unwrap().parse::<usize>().unwrap();
    assert!(problems.iter().map(line).is_sorted() && problems.len() >= 9, "{problems:#?}");
    for part in [
        "lisen: unknown; did you mean listen?",
        "http.tokn: unknown; did you mean http.token?",
        "captur: unknown; did you mean capture?",
        "capture.rng_mib: unknown; did you mean capture.ring_mib?",
        "capture.zzz: unknown; the names here are ",
        "alerts.threshold: unknown; did you mean alerts.thresholds?",
        "alerts.channel: unknown; did you mean alerts.channels?",
        "ulr: unknown; did you mean url?",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part} is not in {problems:#?}");
    }
}

#[test]
fn contradictions_come_in_the_order_of_the_file() {
    let text = "[[services]]\nname = \"a\"\n";
    let (first, last) =
        (format!("listen = \"0.0.0.0:1\"\n{text}"), format!("ui = \"table\"\njsonl = \"-\"\nlisten = \"0.0.0.0:1\"\n{text}"));
    for (text, order) in [(first, &["listen", "services"][..]), (last, &["jsonl", "listen", "services"])] {
        let sources = Sources { file: Some(File { path: "f".into(), text }), ..Sources::default() };
        let problems: Vec<String> =
            load(&sources).unwrap_err().iter().map(|problem| problem.place.split(' ').next().unwrap().into()).collect();
        assert_eq!(problems, order);
    }
}

#[test]
fn a_token_stands_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "pylf_v1_eu_one\n").unwrap();
    let env =
        |path: &std::path::Path| Sources { env: vec![("LOGFIRE_TOKEN_FILE".into(), path.display().to_string())], ..Sources::default() };
    let loaded = load(&env(&path)).unwrap();
    assert_eq!(loaded.config.export.logfire.tokens.iter().map(Secret::expose).collect::<Vec<_>>(), ["pylf_v1_eu_one"]);
    assert!(load(&env(&folder.path().join("none"))).unwrap_err()[0].to_string().contains("cannot be read"));
}

#[test]
fn the_http_token_stands_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http-token");
    let of = |text: &str| {
        std::fs::write(&path, text).unwrap();
        load(&file(&format!("listen = '0.0.0.0:9911'\nhttp.token_file = '{}'\n", path.display())))
    };
    let loaded = of("0123456789abcdef-of-a-file\n").unwrap();
    assert_eq!(loaded.config.http.token.as_ref().map(Secret::expose), Some("0123456789abcdef-of-a-file"));
    let printed = print(&loaded);
    assert!(!printed.contains("of-a-file") && printed.contains("# token is not set") && printed.contains("token_file = "), "{printed}");
    for wrong in ["", "short", "two words of a token"] {
        assert!(of(wrong).unwrap_err()[0].to_string().contains("16 characters"), "{wrong:?}");
    }
    let absent = load(&file("listen = '0.0.0.0:9911'\nhttp.token_file = '/nowhere/token'\n")).unwrap().config.http;
    assert!(absent.token.is_none() && absent.token_file.is_some(), "the run refuses it, other commands need none");
    std::fs::write(&path, "0123456789abcdef-of-a-file").unwrap();
    let both = format!("http.token = '0123456789abcdef'\nhttp.token_file = '{}'\n", path.display());
    assert!(load(&file(&both)).unwrap_err()[0].to_string().contains("keep one"));
    let later = Sources {
        env: vec![("PERFMON_HTTP__TOKEN".into(), "0123456789abcdef-env".into())],
        ..file(&both[both.find("http.token_file").unwrap()..])
    };
    assert_eq!(load(&later).unwrap().config.http.token.as_ref().map(Secret::expose), Some("0123456789abcdef-env"));
}
