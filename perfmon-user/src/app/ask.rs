//! Commands that ask a running perfmon over HTTP: `perfmon alerts`. Everything that can go wrong there becomes one sentence.
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{AlertsAction, Url};
use crate::config::Config;
use crate::record::{Alert, AlertState, Notified};

use super::{EXIT_FAILED, Failure, print};

/// A trial of a webhook that hangs takes five seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A list as the API gives it.
#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

/// Does what was asked for.
pub fn alerts(url: &Url, config: &Config, action: &AlertsAction) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::from)?;
    // perfmon is asked directly: a proxy of the environment is for the world outside.
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(anyhow::Error::from)?;
    let asking = Asking { url: url.to_string(), token: config.http.token.as_ref().map(|token| token.expose().to_owned()), client };
    runtime.block_on(asking.act(action))
}

struct Asking {
    url: String,
    token: Option<String>,
    client: Client,
}

impl Asking {
    async fn act(&self, action: &AlertsAction) -> Result<u8, Failure> {
        match action {
            AlertsAction::List { json: true } => print(&format!("{}\n", self.get("alerts").await?)),
            AlertsAction::List { json: false } => print(&table(&self.alerts().await?)),
            AlertsAction::Acknowledge { id, by, note } => self.decide(id, "ack", by, note).await,
            AlertsAction::Resolve { id, by, note } => self.decide(id, "resolve", by, note).await,
            AlertsAction::Silence { rule, scope, duration, by, note } => {
                let wish = json!({"rule": rule, "scope": scope, "duration": duration, "by": by, "note": note});
                let begun = self.ask(Method::POST, "silences", Some(wish)).await?;
                print(&format!("{} until {}\n", text(&begun, "silence_id"), text(&begun, "until")))
            }
            AlertsAction::Test { channel } => {
                let body = self.ask(Method::POST, "alerts/test", Some(json!({"channel": channel}))).await?;
                let tried: List<Notified> = read(body)?;
                print(&tried.items.iter().map(said).collect::<String>())?;
                Ok(if tried.items.iter().all(|notified| notified.ok) { 0 } else { EXIT_FAILED })
            }
        }
    }

    async fn alerts(&self) -> Result<Vec<Alert>, Failure> {
        let list: List<Alert> = read(self.get("alerts").await?)?;
        Ok(list.items)
    }

    async fn decide(&self, id: &str, what: &str, by: &Option<String>, note: &Option<String>) -> Result<u8, Failure> {
        let alerts = self.alerts().await?;
        let matching: Vec<&Alert> = alerts.iter().filter(|alert| alert.alert_id.starts_with(id)).collect();
        let id = match matching[..] {
            [alert] => &*alert.alert_id,
            [] => return Err(failure(format!("there is no alert {id}; `perfmon alerts list` shows those there are"))),
            _ => return Err(failure(format!("{} alerts begin with {id}; give more of the id", matching.len()))),
        };
        let alert: Alert = read(self.ask(Method::POST, &format!("alerts/{id}/{what}"), Some(json!({"by": by, "note": note}))).await?)?;
        print(&format!("{} {} is {}\n", alert.alert_id, alert.rule, state(alert.state)))
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let mut request = self.client.request(method, format!("{}/api/v1/{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let unreached = |error: reqwest::Error| {
            let url = &self.url;
            failure(match error.is_connect() {
                true => format!("no perfmon answers at {url}; start one with `perfmon run`, or say where it is with --url"),
                false => format!("{url} was asked in vain: {:#}", anyhow::Error::from(error.without_url())),
            })
        };
        let answer = request.send().await.map_err(unreached)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|_| failure(format!("what answers at {} is no perfmon ({status})", self.url)))?;
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => Err(failure(format!("{} wants a token: set http.token (PERFMON_HTTP__TOKEN)", self.url))),
            _ => Err(failure(body["error"]["message"].as_str().map_or_else(|| format!("{} answered {status}", self.url), str::to_owned))),
        }
    }
}

fn failure(message: String) -> Failure {
    Failure::Failed(anyhow::Error::msg(message))
}

fn read<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| failure(format!("the answer is not understood, maybe of another version: {error}")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("")
}

fn said(notified: &Notified) -> String {
    match &notified.error {
        None => format!("{}: delivered\n", notified.channel),
        Some(error) => format!("{}: failed: {error}\n", notified.channel),
    }
}

fn state(state: AlertState) -> &'static str {
    match state {
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
        AlertState::Acknowledged => "acknowledged",
        AlertState::Resolved => "resolved",
        AlertState::Silenced => "silenced",
    }
}

/// Alerts for people.
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
        let cells: [&str; 7] = [&alert.alert_id, state(alert.state), &severity, &alert.rule, &since, by, &alert.message];
        table.add_row(cells.map(printable));
    }
    format!("{table}\n")
}

/// Without control characters: messages carry names that others chose.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
