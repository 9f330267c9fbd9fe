//! What `deploy/` holds fits perfmon and the programs that read it: rules and configurations by their own checkers, each metric that a
//! dashboard or a rule names, each flag, variable and key that a manifest uses by the real binary.
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use perfmon_tests::metrics_engine::{deployed, faults};
use perfmon_tests::need::{Need, missing};
use perfmon_tests::perfmon::binary;
use perfmon_tests::promql::{dashboards, metrics, panels, rules, yaml, yaml_documents};
use perfmon_tests::workspace;
use serde_json::Value;

/// Metrics that Prometheus itself makes of each target.
const OF_PROMETHEUS: [&str; 2] = ["up", "scrape_samples_scraped"];

/// Every name of docs/metrics.md, those of a histogram with their suffixes.
fn documented() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(workspace().join("docs/metrics.md"))?;
    let mut names = BTreeSet::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = row.split_once("` | ").context("a row without type")?;
        match rest.starts_with("histogram") {
            true => names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}"))),
            false => names.extend([name.to_owned()]),
        }
    }
    ensure!(names.len() > 100, "only {} metrics are documented", names.len());
    Ok(names)
}

#[test]
fn every_metric_of_dashboards_rules_and_docs_exists() -> Result<()> {
    let mut known = documented()?;
    let rules = rules()?;
    known.extend(OF_PROMETHEUS.map(str::to_owned));
    known.extend(rules.iter().filter(|rule| rule.records).map(|rule| rule.name.clone()));
    let mut expressions: Vec<(String, String)> = rules.into_iter().map(|rule| (format!("rule {}", rule.name), rule.expression)).collect();
    expressions.extend(panels("host-a")?.into_iter().map(|panel| (panel.place, panel.text)));
    for (name, board) in dashboards()? {
        for variable in board["templating"]["list"].as_array().context("no variables")? {
            if let Some(query) = variable["query"]["query"].as_str() {
                let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).context("no label_values")?;
                let (metric, _label) = inner.rsplit_once(", ").context("no label")?;
                expressions.push((format!("{name}: variable"), metric.replace("$host", ".*")));
            }
        }
    }
    for page in ["docs/how-to/prometheus-grafana.md", "docs/how-to/many-hosts.md"] {
        let text = std::fs::read_to_string(workspace().join(page))?;
        let cells = text.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.trim_end_matches(" |").rsplit_once("| `"));
        expressions.extend(cells.filter_map(|(_, cell)| Some((page.to_owned(), cell.strip_suffix('`')?.to_owned()))));
    }
    ensure!(expressions.len() > 100, "only {} expressions", expressions.len());
    for (place, text) in &expressions {
        let named = metrics(text);
        ensure!(!named.is_empty(), "{place}: no metric in {text}");
        for name in named {
            ensure!(known.contains(&name), "{place}: {name} is no metric of docs/metrics.md, no recorded one and none of Prometheus");
        }
    }
    println!("{} expressions", expressions.len());
    Ok(())
}

#[test]
fn dashboards_are_whole() -> Result<()> {
    let mut uids = BTreeSet::new();
    for (name, board) in dashboards()? {
        ensure!(uids.insert(board["uid"].as_str().context("no uid")?.to_owned()), "{name}: its uid is another's");
        let panels = board["panels"].as_array().context("no panels")?;
        let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
        ensure!(ids.len() == panels.len(), "{name}: ids are missing or given twice");
        let mut taken = BTreeSet::new();
        for panel in panels {
            let at = |field: &str| panel["gridPos"][field].as_u64().with_context(|| format!("{name}: no {field}"));
            ensure!(at("x")? + at("w")? <= 24, "{name}: {} is beyond the grid", panel["title"]);
            for x in at("x")?..at("x")? + at("w")? {
                for y in at("y")?..at("y")? + at("h")? {
                    ensure!(taken.insert((x, y)), "{name}: {} lies on another panel", panel["title"]);
                }
            }
        }
    }
    assert_eq!(uids.len(), 4, "{uids:?}");
    Ok(())
}

#[test]
fn prometheus_takes_configurations_rules_and_expressions() -> Result<()> {
    if missing(&[Need::Program("promtool")]) {
        return Ok(());
    }
    let folder = workspace().join("deploy/prometheus");
    let check = |arguments: &[&str]| -> Result<()> {
        let said = faults("promtool", arguments, &folder)?;
        ensure!(said.is_none(), "promtool {}: {}", arguments.join(" "), said.unwrap_or_default());
        Ok(())
    };
    check(&["check", "rules", "rules/recording.yml", "rules/alerts.yml"])?;
    check(&["test", "rules", "rules/tests.yml"])?;
    check(&["check", "config", "--syntax-only", "prometheus.yml"])?;
    check(&["check", "config", "--syntax-only", "prometheus-file-sd.yml"])?;
    // Debian builds Prometheus without the discovery of Kubernetes; the rest of that file is checked with a list in its place, and all of it
    // by vmagent below.
    let scratch = tempfile::tempdir()?;
    let cluster = deployed("prometheus/prometheus-kubernetes.yml")?;
    let (before, rest) = cluster.split_once("    kubernetes_sd_configs:\n").context("no kubernetes_sd_configs")?;
    let (_, after) = rest.split_once("    relabel_configs:").context("no relabel_configs")?;
    let file = scratch.path().join("kubernetes.yml");
    std::fs::write(&file, format!("{before}    static_configs: [{{ targets: [a] }}]\n    relabel_configs:{after}"))?;
    check(&["check", "config", "--syntax-only", &file.to_string_lossy()])?;
    // Each panel's expression as a rule.
    let as_rules: Vec<Value> = panels("host-a")?
        .iter()
        .enumerate()
        .map(|(number, panel)| serde_json::json!({"record": format!("panel:{number}"), "expr": panel.text}))
        .collect();
    ensure!(as_rules.len() > 60, "only {} panels", as_rules.len());
    let file = scratch.path().join("panels.yml");
    std::fs::write(&file, serde_json::json!({"groups": [{"name": "panels", "rules": as_rules}]}).to_string())?;
    check(&["check", "rules", &file.to_string_lossy()])
}

#[test]
fn victoria_metrics_takes_configurations_and_rules() -> Result<()> {
    if missing(&[Need::Program("vmagent"), Need::Program("vmalert")]) {
        return Ok(());
    }
    let folder = workspace().join("deploy");
    let strict = "-promscrape.config.strictParse";
    let checks: [(&str, Vec<&str>); 4] = [
        ("vmagent", vec!["-dryRun", strict, "-promscrape.config=victoriametrics/scrape.yml"]),
        ("victoria-metrics", vec!["-dryRun", strict, "-promscrape.config=victoriametrics/scrape.yml"]),
        // Not strict: it knows no rules.
        ("vmagent", vec!["-dryRun", "-promscrape.config.strictParse=false", "-promscrape.config=prometheus/prometheus-kubernetes.yml"]),
        ("vmalert", vec!["-dryRun", "-rule=prometheus/rules/recording.yml", "-rule=prometheus/rules/alerts.yml"]),
    ];
    for (program, arguments) in checks {
        let said = faults(program, &arguments, &folder)?;
        ensure!(said.is_none(), "{program} {}: {}", arguments.join(" "), said.unwrap_or_default());
    }
    // Single and cluster scrape the same file and evaluate the same rules, with flags that Debian's release has or that came later.
    let later = ["-opentelemetry.usePrometheusNaming", "-replicationFactor", "-storageNode"];
    let mut flags = String::new();
    for program in ["victoria-metrics", "vmagent", "vmalert"] {
        let output = Command::new(program).arg("-help").output()?;
        flags += &String::from_utf8_lossy(&output.stdout);
        flags += &String::from_utf8_lossy(&output.stderr);
    }
    for name in ["single", "cluster"] {
        let file = yaml(&deployed(&format!("victoriametrics/{name}.yml"))?)?;
        for (service, fields) in file["services"].as_object().context("no services")? {
            for argument in texts(&fields["command"])? {
                let flag = argument.split('=').next().unwrap_or_default();
                let known = flags.contains(&format!("\n  {flag} ")) || flags.contains(&format!("\n  {flag}\n"));
                ensure!(known || later.contains(&flag), "{name}.yml: {service} has no flag {flag}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_collectors_pipelines_fit_together() -> Result<()> {
    let file = yaml(&deployed("opentelemetry-collector/collector.yaml")?)?;
    let pipelines = file["service"]["pipelines"].as_object().context("no pipelines")?;
    assert_eq!(pipelines.keys().collect::<Vec<_>>(), ["logs", "metrics", "traces"], "perfmon sends these signals");
    let mut used = BTreeSet::new();
    for (signal, pipeline) in pipelines {
        for kind in ["receivers", "processors", "exporters"] {
            for name in texts(&pipeline[kind])? {
                ensure!(!file[kind][&name].is_null(), "{signal}: {kind} has no {name}");
                used.insert((kind, name));
            }
        }
    }
    for kind in ["receivers", "processors", "exporters"] {
        for name in file[kind].as_object().context("a part is missing")?.keys() {
            ensure!(used.contains(&(kind, name.clone())), "{kind}: {name} is in no pipeline");
        }
    }
    ensure!(file["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318", "perfmon sends OTLP over HTTP");
    let processors = texts(&pipelines["metrics"]["processors"])?;
    ensure!(processors.iter().any(|name| name == "deltatocumulative"), "VictoriaMetrics drops perfmon's deltas");
    Ok(())
}

fn texts(list: &Value) -> Result<Vec<String>> {
    let list = list.as_array().with_context(|| format!("no list: {list}"))?;
    list.iter().map(|item| Ok(item.as_str().with_context(|| format!("no text: {item}"))?.to_owned())).collect()
}

/// That the real binary takes a command line, variables and a configuration file: nothing is started.
fn accepted(arguments: &[String], variables: &[(String, String)], config: Option<&str>) -> Result<()> {
    let said = |command: &mut Command| -> Result<(bool, String)> {
        let output = command.env_clear().envs(variables.iter().cloned()).stdin(Stdio::null()).output()?;
        Ok((output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()))
    };
    let (ok, text) = said(Command::new(binary()).args(arguments).arg("--help"))?;
    ensure!(ok, "perfmon {}: {text}", arguments.join(" "));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("perfmon.toml");
    std::fs::write(&file, config.unwrap_or_default())?;
    let (ok, text) = said(Command::new(binary()).args(["config", "check"]).arg(&file))?;
    ensure!(ok, "perfmon config check: {text}");
    let (ok, text) = said(Command::new(binary()).args(["config", "print", "--config"]).arg(&file))?;
    ensure!(ok, "perfmon config print: {text}");
    for (name, _) in variables.iter().filter(|(name, _)| name.starts_with("PERFMON_")) {
        ensure!(text.contains(&format!("# environment {name}")), "{name} sets nothing:\n{text}");
    }
    Ok(())
}

/// The capabilities of the table in docs/privileges.md, without their prefix.
fn capabilities() -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(workspace().join("docs/privileges.md"))?;
    Ok(text.lines().filter_map(|line| Some(line.strip_prefix("| `CAP_")?.split('`').next()?.to_owned())).collect())
}

/// What perfmon keeps with TLS and without `-- CMD`, and what it needs to give the rest up.
const CAPABILITIES: [&str; 8] = ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SETUID", "SETGID", "SYS_ADMIN", "SETPCAP"];

fn least(added: &Value) -> Result<()> {
    let added = texts(added)?;
    assert_eq!(added, CAPABILITIES);
    let known = capabilities()?;
    let strange: Vec<_> = added.iter().filter(|name| !known.contains(*name) && *name != "SETPCAP").collect();
    ensure!(strange.is_empty(), "docs/privileges.md does not say what {strange:?} is for");
    Ok(())
}

#[test]
fn a_manifest_with_a_mistake_is_found() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let flag = accepted(&["run".into(), "--no-such-flag".into()], &[], None);
    let variable = accepted(&["run".into()], &[("PERFMON_NO_SUCH_KEY".into(), "1".into())], None);
    let key = accepted(&["run".into()], &[], Some("[store]\nmax_byte = 5000000\n"));
    let said = [flag, variable, key].map(|result| result.err().map(|error| error.to_string()).unwrap_or_default());
    assert!(said[0].contains("--no-such-flag") && said[1].contains("PERFMON_NO_SUCH_KEY") && said[2].contains("max_byte"), "{said:?}");
    Ok(())
}

#[test]
fn the_daemon_set_is_what_perfmon_takes() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let documents = yaml_documents(&deployed("kubernetes/perfmon.yml")?)?;
    let of = |kind: &str| documents.iter().find(|document| document["kind"] == kind).with_context(|| format!("no {kind}"));
    let (set, map) = (of("DaemonSet")?, of("ConfigMap")?);
    of("ServiceAccount")?;
    ensure!(documents.iter().all(|document| document["metadata"]["namespace"] == "perfmon"), "a document in another namespace");
    let pod = &set["spec"]["template"]["spec"];
    ensure!(set["spec"]["selector"]["matchLabels"] == set["spec"]["template"]["metadata"]["labels"], "the selector misses the pods");
    ensure!(pod["hostPID"] == true && pod["hostNetwork"] == true && pod["automountServiceAccountToken"] == false, "{pod}");
    let container = &pod["containers"][0];
    let security = &container["securityContext"];
    ensure!(security["privileged"] == false && security["readOnlyRootFilesystem"] == true, "{security}");
    assert_eq!(texts(&security["capabilities"]["drop"])?, ["ALL"]);
    least(&security["capabilities"]["add"])?;

    let config = map["data"]["perfmon.toml"].as_str().context("no perfmon.toml")?;
    let environment = container["env"].as_array().context("no env")?;
    let value =
        |of: &Value| of["value"].as_str().map_or_else(|| "a-token-from-a-secret".to_owned(), |text| text.replace("$(NODE_NAME)", "node-1"));
    let variables: Vec<(String, String)> =
        environment.iter().map(|one| (one["name"].as_str().unwrap_or_default().to_owned(), value(one))).collect();
    let token = environment.iter().find(|one| one["name"] == "PERFMON_HTTP__TOKEN").context("no token")?;
    ensure!(token["valueFrom"]["secretKeyRef"]["key"] == "token", "the token is no secret");
    accepted(&texts(&container["args"])?, &variables, Some(config))?;
    // It listens beyond loopback, which perfmon refuses without a token.
    ensure!(accepted(&["run".into()], &[], Some(config)).is_err(), "perfmon listens without a token");

    let port = &container["ports"][0];
    ensure!(config.contains(&format!("listen = \"0.0.0.0:{}\"", port["containerPort"])), "{port} is not where perfmon listens");
    ensure!(port["hostPort"] == port["containerPort"], "with hostNetwork both are the same");
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        let get = &container[probe]["httpGet"];
        ensure!(get["path"] == path && get["port"] == port["name"], "{probe}: {get}");
    }
    let names = |list: &Value| -> BTreeSet<String> {
        list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]), "mounts and volumes");
    ensure!(container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string(), "resources");
    // The labels by which Prometheus finds the pods.
    let scrape = deployed("prometheus/prometheus-kubernetes.yml")?;
    let label = set["metadata"]["labels"]["app.kubernetes.io/name"].as_str().context("no label")?;
    ensure!(scrape.contains(&format!("regex: {label};{}", port["name"].as_str().unwrap_or_default())), "Prometheus finds no pod");
    Ok(())
}

#[test]
fn compose_file_and_image_are_what_perfmon_takes() -> Result<()> {
    if missing(&[Need::Perfmon]) {
        return Ok(());
    }
    let file = yaml(&deployed("container/compose.yml")?)?;
    let service = &file["services"]["perfmon"];
    ensure!(service["pid"] == "host" && service["network_mode"] == "host" && service["cgroup"] == "host", "{service}");
    assert_eq!(texts(&service["cap_drop"])?, ["ALL"]);
    least(&service["cap_add"])?;
    let variables = service["environment"].as_object().context("no environment")?;
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    accepted(&texts(&service["command"])?, &variables, None)?;
    let health = texts(&service["healthcheck"]["test"])?;
    ensure!(health[..2] == ["CMD", "/perfmon"], "{health:?}");
    accepted(&health[2..], &[], None)?;

    let image = deployed("container/Dockerfile")?;
    let line =
        |start: &str| image.lines().find_map(|line| line.strip_prefix(start)).with_context(|| format!("no {start} in the Dockerfile"));
    let toolchain = std::fs::read_to_string(workspace().join("rust-toolchain.toml"))?;
    let version = line("FROM rust:")?.split('-').next().unwrap_or_default();
    ensure!(toolchain.contains(&format!("channel = \"{version}\"")), "the image is built with Rust {version}, the tree with another");
    ensure!(image.contains("\nFROM scratch\n"), "the last stage is empty");
    assert_eq!(line("ENTRYPOINT ")?, "[\"/perfmon\"]");
    let arguments: Vec<String> = serde_json::from_str(line("CMD ")?)?;
    accepted(&arguments, &[], None)
}
