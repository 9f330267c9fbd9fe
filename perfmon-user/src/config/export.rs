//! Telemetry receivers: Logfire and OTLP, as configured in the file or in the standard environment variables. Out: one checked
//! [`ExportTarget`] for each signal and receiver, or the faults.
use std::fmt;
use std::time::Duration;

use ureq::http::Uri;

/// A value that no message shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name, as in URLs: `/v1/traces`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// Signals, intervals and receivers of telemetry.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// Length of an interval of metrics.
    pub interval: Duration,
    /// Share of ordinary requests that are sent as spans, 0..1.
    pub span_rate: f64,
    /// No spans at all.
    pub metrics_only: bool,
    /// Bytes that wait for one receiver of one signal.
    pub queue_bytes: usize,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// `service.name` of the host's own figures.
    pub service_name: String,
    /// Further attributes of every resource.
    pub resource_attributes: Vec<(String, String)>,
    /// Logfire.
    pub logfire: Logfire,
    /// Any other receiver.
    pub otlp: Otlp,
}

impl Default for Export {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            span_rate: 0.01,
            metrics_only: false,
            queue_bytes: 8 << 20,
            environment: None,
            service_name: "perfmon".into(),
            resource_attributes: Vec::new(),
            logfire: Logfire::default(),
            otlp: Otlp::default(),
        }
    }
}

/// Logfire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logfire {
    /// Write tokens; each project gets a copy.
    pub tokens: Vec<Secret>,
    /// Overrides the URL of the token's region.
    pub base_url: Option<String>,
    /// `false` sends nothing although there is a token.
    pub send: Option<bool>,
}

/// A receiver of OTLP over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Otlp {
    /// Base URL; `/v1/traces` and so on are appended.
    pub endpoint: Option<String>,
    /// For all signals.
    pub all: OtlpOptions,
    /// For traces, metrics and logs, in this order; they win.
    pub signals: [OtlpSignal; 3],
}

/// Options of a single signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpSignal {
    /// Full URL, used as it is.
    pub endpoint: Option<String>,
    /// Options.
    pub options: OtlpOptions,
}

/// How it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpOptions {
    /// Further headers.
    pub headers: Option<Vec<(String, Secret)>>,
    /// How long one delivery may take.
    pub timeout: Option<Duration>,
    /// Whether bodies are compressed; so by default.
    pub gzip: Option<bool>,
    /// Only `http/protobuf` is spoken.
    pub protocol: Option<String>,
}

/// One receiver of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportTarget {
    /// What messages call it.
    pub name: String,
    /// What it gets.
    pub signal: Signal,
    /// Where.
    pub url: String,
    /// Headers of every request.
    pub headers: Vec<(String, Secret)>,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// Where the token is checked at the start.
    pub check_url: Option<String>,
}

/// Key and message of a fault.
pub type ExportFault = (&'static str, String);

const TIMEOUT: Duration = Duration::from_secs(10);

impl Export {
    /// All receivers, one for each signal.
    pub fn targets(&self) -> Result<Vec<ExportTarget>, Vec<ExportFault>> {
        let (mut targets, mut faults) = (Vec::new(), Vec::new());
        let wanted = Signal::ALL.into_iter().filter(|signal| !(self.metrics_only && *signal == Signal::Traces));
        for signal in wanted {
            for (number, token) in self.logfire.wanted().iter().enumerate() {
                match self.logfire.target(signal, number, token) {
                    Ok(target) => targets.push(target),
                    Err(fault) => faults.push(fault),
                }
            }
            match self.otlp.target(signal) {
                Ok(target) => targets.extend(target),
                Err(fault) => faults.push(fault),
            }
        }
        faults.dedup();
        if faults.is_empty() { Ok(targets) } else { Err(faults) }
    }
}

impl Logfire {
    /// The tokens that are used.
    pub fn wanted(&self) -> &[Secret] {
        if self.send == Some(false) { &[] } else { &self.tokens }
    }

    fn target(&self, signal: Signal, number: usize, token: &Secret) -> Result<ExportTarget, ExportFault> {
        const KEY: &str = "export.logfire.token";
        if token.0.is_empty() || !token.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err((KEY, format!("token {} is not one: it has spaces or other characters that no token has", number + 1)));
        }
        let base = match &self.base_url {
            Some(url) => checked("export.logfire.base_url", url)?,
            None => format!("https://logfire-{}.pydantic.dev", region(&token.0).unwrap_or("us")),
        };
        Ok(ExportTarget {
            name: if self.wanted().len() > 1 { format!("logfire {}", number + 1) } else { "logfire".into() },
            signal,
            url: joined(&base, signal),
            headers: vec![("authorization".into(), token.clone())],
            timeout: TIMEOUT,
            gzip: true,
            check_url: (signal == Signal::Metrics).then(|| format!("{}/v1/info", base.trim_end_matches('/'))),
        })
    }

    /// True when the token has no known region and no URL is configured.
    pub fn is_region_guessed(&self) -> bool {
        self.base_url.is_none() && self.wanted().iter().any(|token| region(&token.0).is_none())
    }
}

/// The region of a write token: `pylf_v1_eu_…`.
fn region(token: &str) -> Option<&'static str> {
    let rest = token.strip_prefix("pylf_v")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
    let (region, _) = rest[digits..].strip_prefix('_')?.split_once('_')?;
    ["us", "eu"].into_iter().find(|known| *known == region)
}

impl Otlp {
    fn target(&self, signal: Signal) -> Result<Option<ExportTarget>, ExportFault> {
        const KEY: &str = "export.otlp.endpoint";
        let own = &self.signals[Signal::ALL.iter().position(|known| *known == signal).unwrap_or(0)];
        let url = match (&own.endpoint, &self.endpoint) {
            (Some(url), _) => checked(KEY, url)?,
            (None, Some(base)) => joined(&checked(KEY, base)?, signal),
            (None, None) => return Ok(None),
        };
        if let Some(protocol) = own.options.protocol.as_ref().or(self.all.protocol.as_ref())
            && protocol != "http/protobuf"
        {
            let mend = "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and an endpoint that speaks it, often port 4318";
            return Err((KEY, format!("the protocol {protocol:?} is not supported; {mend}")));
        }
        Ok(Some(ExportTarget {
            name: "otlp".into(),
            signal,
            url,
            headers: own.options.headers.as_ref().or(self.all.headers.as_ref()).cloned().unwrap_or_default(),
            timeout: own.options.timeout.or(self.all.timeout).unwrap_or(TIMEOUT),
            gzip: own.options.gzip.or(self.all.gzip).unwrap_or(true),
            check_url: None,
        }))
    }
}

fn joined(base: &str, signal: Signal) -> String {
    format!("{}/v1/{}", base.trim_end_matches('/'), signal.name())
}

/// Whether a text is a URL of HTTP, with or without TLS, that names a host.
pub(super) fn is_web(url: &str) -> bool {
    url.parse::<Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()))
}

/// A URL that can be used, without secrets in it.
fn checked(key: &'static str, url: &str) -> Result<String, ExportFault> {
    let Ok(uri) = url.parse::<Uri>() else { return Err((key, "this is not a URL; write it like https://host:4318".into())) };
    if !is_web(url) {
        return Err((key, "must begin with http:// or https:// and name a host, like http://localhost:4318".into()));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err((key, "must hold no user and password; put them into a header, with OTEL_EXPORTER_OTLP_HEADERS".into()));
    }
    Ok(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_follows_from_the_token() {
        for (token, wanted) in [
            ("pylf_v1_eu_abc", Some("eu")),
            ("pylf_v12_us_abc", Some("us")),
            ("pylf_v1_stagingus_abc", None),
            ("pylf_v_eu_abc", None),
            ("abc", None),
        ] {
            assert_eq!(region(token), wanted, "{token}");
        }
    }

    #[test]
    fn a_token_alone_is_enough_and_several_get_a_copy_each() {
        let mut export =
            Export { logfire: Logfire { tokens: vec![Secret("pylf_v1_eu_x".into())], ..Logfire::default() }, ..Export::default() };
        let targets = export.targets().unwrap();
        let urls: Vec<&str> = targets.iter().map(|target| target.url.as_str()).collect();
        let base = "https://logfire-eu.pydantic.dev/v1";
        assert_eq!(urls, [format!("{base}/traces"), format!("{base}/metrics"), format!("{base}/logs")]);
        assert_eq!(targets[0].headers, [("authorization".to_string(), Secret("pylf_v1_eu_x".into()))]);
        assert_eq!(targets.iter().filter_map(|t| t.check_url.as_deref()).collect::<Vec<_>>(), [format!("{base}/info")]);
        export.logfire.tokens.push(Secret("other".into()));
        assert!(export.logfire.is_region_guessed());
        assert_eq!(export.targets().unwrap().len(), 6);
        export.metrics_only = true;
        assert_eq!(export.targets().unwrap().len(), 4);
        export.logfire.send = Some(false);
        assert_eq!(export.targets().unwrap(), []);
    }

    #[test]
    fn endpoints_of_a_signal_are_used_as_they_are() {
        let mut otlp = Otlp { endpoint: Some("http://collector:4318/".into()), ..Otlp::default() };
        otlp.signals[0].endpoint = Some("http://traces:1/custom".into());
        let export = Export { otlp, ..Export::default() };
        let urls: Vec<String> = export.targets().unwrap().into_iter().map(|target| target.url).collect();
        assert_eq!(urls, ["http://traces:1/custom", "http://collector:4318/v1/metrics", "http://collector:4318/v1/logs"]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_showing_it() {
        for bad in ["collector:4318", "ftp://x", "http://", "http://user:hunter2@x:1", "not a url"] {
            let export = Export { otlp: Otlp { endpoint: Some(bad.into()), ..Otlp::default() }, ..Export::default() };
            let faults = export.targets().unwrap_err();
            assert!(faults.iter().all(|(_, message)| !message.contains("hunter2")), "{faults:?}");
        }
        let all = OtlpOptions { protocol: Some("grpc".into()), ..OtlpOptions::default() };
        let export =
            Export { otlp: Otlp { endpoint: Some("http://x:1".into()), all: all.clone(), ..Otlp::default() }, ..Export::default() };
        assert!(export.targets().unwrap_err()[0].1.contains("http/protobuf"));
        // Without an endpoint the options have no effect.
        assert_eq!(Export { otlp: Otlp { all, ..Otlp::default() }, ..Export::default() }.targets(), Ok(vec![]));
    }

    #[test]
    fn secrets_are_not_shown() {
        let export = Export { logfire: Logfire { tokens: vec![Secret("hunter2".into())], ..Logfire::default() }, ..Export::default() };
        assert!(!format!("{export:?} {:?}", export.targets()).contains("hunter2"));
    }
}
