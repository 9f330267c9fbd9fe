//! Commands that ask a running perfmon over HTTP: `perfmon alerts`. Everything that can go wrong there becomes one sentence.
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::{Response, StatusCode};
use ureq::{Body, Error, RequestBuilder};

use crate::alert::Silence;
use crate::cli::{AlertsAction, Url};
use crate::config::Config;
use crate::outbound::{self, PerfmonAgent, TrustedRoots};
use crate::printable::printable;
use crate::record::{Alert, AuditEntry, Notified};

use super::{CommandFailure, EXIT_FAILED, print, print_json};

/// A trial of a webhook that hangs takes five seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A list as the API gives it.
#[derive(Deserialize)]
struct ListReply<T> {
    items: Vec<T>,
}

/// Runs a `perfmon alerts` command.
pub fn alerts(url: &Url, config: &Config, action: &AlertsAction) -> Result<u8, CommandFailure> {
    let token = config.http.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
    let url = url.to_string();
    let way = outbound::direct(&url, &trusted_roots(config), TIMEOUT).map_err(anyhow::Error::from)?;
    AlertsClient { url, authorization: token, way }.act(action)
}

/// Whose certificates are trusted when another perfmon is asked.
pub(super) fn trusted_roots(config: &Config) -> TrustedRoots {
    config.http.tls_ca.clone().map_or_else(|| TrustedRoots::HostAnd(config.http.tls_cert.clone()), TrustedRoots::Only)
}

struct AlertsClient {
    url: String,
    authorization: Option<String>,
    way: PerfmonAgent,
}

impl AlertsClient {
    fn act(&self, action: &AlertsAction) -> Result<u8, CommandFailure> {
        match action {
            AlertsAction::List { json: true } => print_json(&self.get("alerts")?.to_string()),
            AlertsAction::List { json: false } => print(&table(&self.alerts()?)),
            AlertsAction::Acknowledge { id, by, note } => self.decide(id, "ack", by, note),
            AlertsAction::Resolve { id, by, note } => self.decide(id, "resolve", by, note),
            AlertsAction::Silence { rule, scope, matchers, duration, by, note } => {
                let mut wish = json!({"rule": rule, "scope": scope, "duration": duration, "by": by, "note": note});
                // A perfmon of an earlier version does not know the key.
                if !matchers.is_empty() {
                    wish["matchers"] = json!(matchers);
                }
                let begun = self.post("silences", &wish)?;
                print(&format!("{} until {}\n", printable(text(&begun, "silence_id")), printable(text(&begun, "until"))))
            }
            AlertsAction::Silences { json: true } => print_json(&self.get("silences")?.to_string()),
            AlertsAction::Silences { json: false } => {
                let list: ListReply<Silence> = read(self.get("silences")?)?;
                print(&silence_table(&list.items))
            }
            AlertsAction::Unsilence { id } => {
                // An id has hexadecimal digits alone; anything else is none and must not become another path.
                if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(failure(format!("no silence has the id {id:?}; `perfmon alerts silence list` shows the ids")));
                }
                let request = self.way.agent.delete(self.address(&format!("silences/{id}")));
                let ended = self.answered(self.authorized(request).call())?;
                print(&format!("{} is over\n", printable(text(&ended, "silence_id"))))
            }
            AlertsAction::Audit { json: true } => print_json(&self.get("audit")?.to_string()),
            AlertsAction::Audit { json: false } => {
                let list: ListReply<AuditEntry> = read(self.get("audit")?)?;
                print(&audit_table(&list.items))
            }
            AlertsAction::Test { channel } => {
                let body = self.post("alerts/test", &json!({"channel": channel}))?;
                let tried: ListReply<Notified> = read(body)?;
                print(&tried.items.iter().map(said).collect::<String>())?;
                Ok(if tried.items.iter().all(|notified| notified.ok) { 0 } else { EXIT_FAILED })
            }
        }
    }

    fn alerts(&self) -> Result<Vec<Alert>, CommandFailure> {
        let list: ListReply<Alert> = read(self.get("alerts")?)?;
        Ok(list.items)
    }

    fn decide(&self, id: &str, what: &str, by: &Option<String>, note: &Option<String>) -> Result<u8, CommandFailure> {
        let alerts = self.alerts()?;
        let matching: Vec<&Alert> = alerts.iter().filter(|alert| alert.alert_id.starts_with(id)).collect();
        let id = match matching[..] {
            [alert] => &*alert.alert_id,
            [] => return Err(failure(format!("no alert has the id {id}; `perfmon alerts list` shows the ids"))),
            _ => return Err(failure(format!("{} alert ids begin with {id}; give more of it", matching.len()))),
        };
        let alert: Alert = read(self.post(&format!("alerts/{id}/{what}"), &json!({"by": by, "note": note}))?)?;
        print(&format!("{} {} is {}\n", printable(&alert.alert_id), printable(&alert.rule), alert.state.name()))
    }

    fn get(&self, path: &str) -> Result<Value, CommandFailure> {
        let request = self.way.agent.get(self.address(path));
        self.answered(self.authorized(request).call())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, CommandFailure> {
        let request = self.way.agent.post(self.address(path));
        self.answered(self.authorized(request).send_json(body))
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.way.base)
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    fn answered(&self, answer: Result<Response<Body>, Error>) -> Result<Value, CommandFailure> {
        let url = &self.url;
        let mut answer = answer.map_err(|error| {
            failure(match error {
                Error::Io(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
                    format!("no perfmon answers at {url}; start one with `sudo perfmon run`, or name another with --url")
                }
                error => format!("{url} did not answer: {error}"),
            })
        })?;
        let status = answer.status();
        let body: Value =
            answer.body_mut().read_json().map_err(|_| failure(format!("the server at {url} is not perfmon (status {status})")))?;
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => {
                Err(failure(format!("{url} requires a token: set http.token (PERFMON_HTTP__TOKEN) or http.token_file")))
            }
            _ => Err(failure(
                body["error"]["message"].as_str().map_or_else(|| format!("{url} answered {status}"), |why| printable(why).to_string()),
            )),
        }
    }
}

fn failure(message: String) -> CommandFailure {
    CommandFailure::Failed(anyhow::Error::msg(message))
}

fn read<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, CommandFailure> {
    serde_json::from_value(body)
        .map_err(|error| failure(format!("the answer could not be read, perhaps because the perfmon there is of another version: {error}")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("")
}

fn said(notified: &Notified) -> String {
    match &notified.error {
        None => format!("{}: delivered\n", printable(&notified.channel)),
        Some(error) => format!("{}: failed: {}\n", printable(&notified.channel), printable(error)),
    }
}

/// Alerts as a text table.
fn table(alerts: &[Alert]) -> String {
    if alerts.is_empty() {
        return "no alerts\n".into();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["ID", "STATE", "SEVERITY", "RULE", "SINCE", "BY", "WHAT"]);
    for alert in alerts {
        let since = alert.fired_at.unwrap_or(alert.started_at).to_string();
        let by = alert.resolved_by.as_deref().or(alert.acknowledged_by.as_deref()).unwrap_or("");
        let severity = format!("{:?}", alert.severity).to_lowercase();
        let since = format!("{}Z", since.get(..19).unwrap_or_default());
        let cells: [&str; 7] = [&alert.alert_id, alert.state.name(), &severity, &alert.rule, &since, by, &alert.message];
        table.add_row(cells.map(|cell| printable(cell).to_string()));
    }
    format!("{table}\n")
}

/// Silences as a text table.
fn silence_table(silences: &[Silence]) -> String {
    if silences.is_empty() {
        return "no silences\n".into();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["ID", "RULE", "SCOPE", "MATCHERS", "UNTIL", "BY", "NOTE"]);
    for silence in silences {
        let until = format!("{}Z", silence.until.to_string().get(..19).unwrap_or_default());
        let any = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("any").to_owned();
        let (rule, scope) = (any(&silence.rule), any(&silence.scope));
        let matchers = silence.matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let cells: [&str; 7] = [
            &silence.silence_id,
            &rule,
            &scope,
            &matchers,
            &until,
            silence.by.as_deref().unwrap_or(""),
            silence.note.as_deref().unwrap_or(""),
        ];
        table.add_row(cells.map(|cell| printable(cell).to_string()));
    }
    format!("{table}\n")
}

/// The audit trail as a text table.
fn audit_table(entries: &[AuditEntry]) -> String {
    if entries.is_empty() {
        return "nobody changed anything\n".into();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["TIME", "BY", "FROM", "ACTION", "ID", "NOTE"]);
    for entry in entries {
        let time = format!("{}Z", entry.time.to_string().get(..19).unwrap_or_default());
        let cells: [&str; 6] = [&time, &entry.by, &entry.from, &entry.action, &entry.id, entry.note.as_deref().unwrap_or("")];
        table.add_row(cells.map(printable));
    }
    format!("{table}\n")
}
