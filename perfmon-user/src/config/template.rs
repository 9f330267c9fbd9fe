//! `packaging/perfmon.toml`, the configuration that packages install, generated from the table of keys: each key with its meaning and its default
//! or an example, commented out. A test compares the file (`UPDATE_DOCS=1` rewrites it) and checks that each line is valid when it is
//! uncommented, alone and with all others. Comments begin with `# `, settings that are commented out with `#`.
use super::key::{About, Key};
use super::keys::KEYS;
use super::{Config, DEFAULT_PATH, File, Sources, load};

const HEAD: &str = "\
# Configuration of perfmon, as the package installs it. What is commented out shows the default, or an example where there is none.
# Check a change with `perfmon config check`, then `systemctl reload perfmon` (alerts, business metrics, certificates) or
# `systemctl restart perfmon` (everything else). `perfmon config keys NAME` explains a key and those below it.
#
# Every user of this host may read this file. Secrets belong into files below /etc/perfmon/credentials, which systemd hands to
# perfmon: `systemctl edit perfmon`, then LoadCredential=NAME:/etc/perfmon/credentials/NAME below [Service]; perfmon finds it as
# /run/credentials/perfmon.service/NAME.
";
const LISTS: &str = "
# Lists of tables. Write a block again for each further entry.
";

/// Set for packages.
const ACTIVE: [(&str, &str); 1] = [("http.allow_groups", "[\"perfmon\"]")];
/// A key that is of no use without the one before it.
const TOGETHER: [(&str, &str); 2] = [("jsonl", "jsonl_max"), ("http.tls_cert", "http.tls_key")];
/// Values of keys that have no default.
const EXAMPLES: [(&str, &str); 29] = [
    ("jsonl", "\"/var/lib/perfmon/records.jsonl\""),
    ("jsonl_max", "\"100MB\""),
    ("duration", "\"1h\""),
    ("capture.ring_mib", "16"),
    ("reports.timezone", "\"Europe/Berlin\""),
    ("reports.channels", "[\"mail\"]"),
    ("targets.pid", "[1234]"),
    ("targets.exe", "[\"nginx\", \"/opt/shop/*\"]"),
    ("targets.port", "[8000]"),
    ("targets.container", "[\"web\"]"),
    ("targets.cgroup", "[\"/system.slice/nginx.service\"]"),
    ("http.hosts", "[\"perfmon.example.com\"]"),
    ("http.token", "\"at-least-16-characters\""),
    ("http.token_file", "\"/run/credentials/perfmon.service/http-token\""),
    ("http.allow_users", "[\"prometheus\"]"),
    ("http.tls_cert", "\"/etc/perfmon/server.pem\""),
    ("http.tls_key", "\"/etc/perfmon/server.key\""),
    ("http.tls_ca", "\"/etc/perfmon/ca.pem\""),
    ("alerts.page_url", "\"https://perfmon.example.com:9911\""),
    ("export.environment", "\"production\""),
    ("export.resource_attributes", "[\"host.group=web\"]"),
    ("export.logfire.token", "[\"write-token\"]"),
    ("export.logfire.base_url", "\"https://logfire.example.com\""),
    ("export.logfire.send", "true"),
    ("export.otlp.endpoint", "\"http://localhost:4318\""),
    ("export.otlp.headers", "[\"x-tenant=web\"]"),
    ("export.otlp.timeout", "\"10s\""),
    ("export.otlp.compression", "\"gzip\""),
    ("http.allow_groups", "[\"perfmon\"]"),
];
/// Keys that take a list of tables.
const ENTRIES: [(&str, &str); 6] = [
    ("endpoints", "pattern = \"/shop/{slug}/reviews\"\nmethod = \"GET\"\nservice = \"shop\""),
    ("services", "name = \"checkout\"\nport = 8443"),
    (
        "metrics",
        "name = \"orders_created\"\nfrom = \"request\"\nwhere = { method = \"POST\", endpoint = \"/orders\", status_code = 201 }\nvalue = \"count\"",
    ),
    (
        "alerts.rules",
        "name = \"checkout slow\"\nmetric = \"request.response_time_ms.p95\"\nwhere = { service = \"shop\", method = \"POST\", endpoint = \"/checkout\" }\n\
         above = 800\nwindow = \"5m\"\nfor = \"1m\"\nseverity = \"critical\"",
    ),
    (
        "alerts.channels",
        "name = \"mail\"\ntype = \"email\"\nsmtp = \"smtp://mail.example.com:587\"\nusername = \"perfmon\"\n\
         password_file = \"/run/credentials/perfmon.service/mail-password\"\nfrom = \"perfmon@example.com\"\nto = [\"ops@example.com\"]",
    ),
    ("alerts.escalation", "after = \"5m\"\nseverity = \"critical\"\nchannel = \"mail\""),
];

fn find<'a>(table: &[(&str, &'a str)], path: &str) -> Option<&'a str> {
    table.iter().find(|(name, _)| *name == path).map(|(_, value)| *value)
}

fn template() -> String {
    let mut text = HEAD.to_owned();
    let mut table = "";
    for key in KEYS.iter().filter(|key| (key.about.inner)().is_empty()) {
        let (level, _) = key.about.path.rsplit_once('.').unwrap_or(("", key.about.path));
        if level != table {
            text.push_str(&format!("\n[{level}]\n"));
            table = level;
        }
        if !TOGETHER.iter().any(|(_, second)| *second == key.about.path) {
            text.push_str(&block(key));
        }
    }
    text.push_str(LISTS);
    for (path, entry) in ENTRIES {
        let about = KEYS.iter().find(|key| key.about.path == path).unwrap().about;
        text.push_str(&format!("\n{}#[[{path}]]\n", comment(&about)));
        entry.lines().for_each(|line| text.push_str(&format!("#{line}\n")));
    }
    text
}

/// A key, with the one that depends on it: comments, then the settings.
fn block(key: &Key<Config>) -> String {
    let second = find(&TOGETHER, key.about.path).and_then(|path| KEYS.iter().find(|key| key.about.path == path));
    let keys: Vec<&Key<Config>> = [key].into_iter().chain(second).collect();
    let comments: String = keys.iter().map(|key| comment(&key.about)).collect();
    let settings: String = keys.iter().map(|key| setting(key)).collect();
    format!("\n{comments}{settings}")
}

fn setting(key: &Key<Config>) -> String {
    let path = key.about.path;
    let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
    match find(&ACTIVE, path) {
        Some(value) => format!("{name} = {value}\n"),
        None => {
            let value = (key.show)(&Config::default()).or_else(|| find(&EXAMPLES, path).map(str::to_owned));
            format!("#{name} = {}\n", value.unwrap_or_else(|| panic!("{path} needs an example")))
        }
    }
}

/// What a key means and takes, wrapped.
fn comment(about: &About) -> String {
    let mut lines = vec!["#".to_owned()];
    let text = format!("{} Takes: {}.", about.text, about.takes);
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 120 => line.push_str(&format!(" {word}")),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn installed() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/perfmon.toml")
}

/// The file with the settings of these blocks uncommented, and files of secrets replaced by one that exists.
fn uncommented(text: &str, secret: &str, is_wanted: impl Fn(usize) -> bool) -> String {
    let mut number = 0;
    let mut lines = Vec::new();
    for line in text.lines() {
        let setting = line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
        if line.is_empty() {
            number += 1;
        }
        let line = setting.filter(|_| is_wanted(number)).unwrap_or(line);
        let is_secret = line.contains("/run/credentials/");
        lines.push(if is_secret { format!("{} = '{secret}'", line.split(" = ").next().unwrap_or_default()) } else { line.to_owned() });
    }
    lines.join("\n")
}

#[test]
fn the_installed_configuration_is_up_to_date() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(installed(), template()).unwrap();
    }
    assert!(
        std::fs::read_to_string(installed()).unwrap_or_default() == template(),
        "packaging/perfmon.toml is stale: run the tests with UPDATE_DOCS=1"
    );
}

#[test]
fn each_line_of_the_installed_configuration_is_valid_when_uncommented() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a-secret-of-a-file").unwrap();
    let text = template();
    let check = |what: &str, text: String| {
        let sources = Sources { file: Some(File { path: DEFAULT_PATH.into(), text: text.clone() }), ..Sources::default() };
        load(&sources).unwrap_or_else(|problems| panic!("{what}: {problems:#?}\n{text}"))
    };
    let with = |is_wanted: &dyn Fn(usize) -> bool| uncommented(&text, &secret.display().to_string(), is_wanted);
    let untouched = check("as installed", text.clone());
    assert_eq!(untouched.config.http.allow_groups, ["perfmon"]);
    assert_eq!(untouched.origins.len(), 1, "{:?}", untouched.origins);
    let blocks: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
    let channels = blocks.iter().position(|block| block.contains("#[[alerts.channels]]")).unwrap();
    let mut set: Vec<&str> = Vec::new();
    for (block, what) in blocks.iter().enumerate() {
        let is_wanted = |number: usize| number == block || number == channels;
        set.extend(check(what, with(&is_wanted)).origins.into_keys());
    }
    let missing: Vec<&str> = KEYS.iter().map(|key| key.about.path).filter(|path| !set.contains(path)).collect();
    assert!(missing.is_empty(), "no line sets {missing:?}");
    // All at once, but for the token, which stands in one place.
    let token = blocks.iter().position(|block| block.contains("\n#token = \"at-least")).unwrap();
    check("everything", with(&|number| number != token));
}
