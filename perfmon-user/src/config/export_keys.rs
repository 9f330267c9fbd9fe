//! Keys of the export, and the environment variables that other programs know too: OpenTelemetry's and Logfire's.
use std::time::Duration;

use super::duration;
use super::export::{Export, OtlpOptions, Secret, Signal};
use super::key::{About, Key, show_list, show_text};
use super::keys::about;
use super::node::{Checked, ConfigNode, RawValue};
use super::settings::Config;
use crate::redact;

pub(super) const INTERVAL: Key<Config> = Key {
    about: about("export.interval", None, "duration from `1s` to `5m`", "How often metrics are sent."),
    set: |config, node| node.duration(Duration::from_secs(1), Duration::from_secs(300)).map(|value| config.export.interval = value),
    show: |config| Some(show_text(&duration::show(config.export.interval))),
};

pub(super) const SPAN_RATE: Key<Config> = Key {
    about: about(
        "export.span_rate",
        None,
        "number from 0 to 1",
        "Share of ordinary requests that are sent as spans. Slow and failed requests, model calls, agent runs and tools always are.",
    ),
    set: |config, node| share(node).map(|value| config.export.span_rate = value),
    show: |config| Some(config.export.span_rate.to_string()),
};

pub(super) const METRICS_ONLY: Key<Config> = Key {
    about: about(
        "export.metrics_only",
        None,
        "`true` or `false`",
        "Send no spans: for services that already send their own, which would be counted twice.",
    ),
    set: |config, node| node.bool().map(|value| config.export.metrics_only = value),
    show: |config| Some(config.export.metrics_only.to_string()),
};

pub(super) const QUEUE: Key<Config> = Key {
    about: about(
        "export.queue_mib",
        None,
        "integer from 1 to 1024",
        "Memory for the queue of each receiver and signal, in MiB after compression. Beyond it, the oldest items are dropped and counted.",
    ),
    set: |config, node| node.integer(1, 1_024).map(|value| config.export.queue_bytes = (value as usize) << 20),
    show: |config| Some((config.export.queue_bytes >> 20).to_string()),
};

pub(super) const ENVIRONMENT: Key<Config> = Key {
    about: about("export.environment", None, "text", "`deployment.environment.name` of all telemetry. Also `LOGFIRE_ENVIRONMENT`."),
    set: |config, node| node.text().map(|text| config.export.environment = Some(text.into())),
    show: |config| config.export.environment.as_deref().map(show_text),
};

pub(super) const SERVICE_NAME: Key<Config> = Key {
    about: about(
        "export.service_name",
        None,
        "text",
        "`service.name` of the host's own figures; observed services keep their names. Also `OTEL_SERVICE_NAME`.",
    ),
    set: |config, node| node.text().map(|text| config.export.service_name = text.into()),
    show: |config| Some(show_text(&config.export.service_name)),
};

pub(super) const RESOURCE_ATTRIBUTES: Key<Config> = Key {
    about: about(
        "export.resource_attributes",
        None,
        "list of `name=value`",
        "Attributes of every exported resource; they override perfmon's own. Also `OTEL_RESOURCE_ATTRIBUTES`.",
    ),
    set: |config, node| node.list(|item| by_text(item, pair)).map(|pairs| config.export.resource_attributes = pairs),
    show: |config| show_list(&config.export.resource_attributes, |(name, value)| show_text(&format!("{name}={value}"))),
};

pub(super) const LOGFIRE_TOKEN: Key<Config> = Key {
    about: About {
        secret: true,
        ..about(
            "export.logfire.token",
            None,
            "list of write tokens",
            "Send to these Logfire projects. This alone is enough. Also `LOGFIRE_TOKEN`, or `LOGFIRE_TOKEN_FILE`, a file that holds them.",
        )
    },
    set: |config, node| {
        let one = |item: &ConfigNode| item.text().map(|text| Secret(text.into()));
        let tokens = if let RawValue::Text(_) = node.value { one(node).map(|token| vec![token]) } else { node.list(one) };
        tokens.map(|tokens| config.export.logfire.tokens = tokens)
    },
    show: |config| show_list(&config.export.logfire.tokens, |token| show_text(&token.0)),
};

pub(super) const LOGFIRE_BASE_URL: Key<Config> = Key {
    about: about(
        "export.logfire.base_url",
        None,
        "URL",
        "URL of Logfire, if it differs from that of the token's region. Also `LOGFIRE_BASE_URL`.",
    ),
    set: |config, node| node.text().map(|text| config.export.logfire.base_url = Some(text.into())),
    show: |config| config.export.logfire.base_url.as_deref().map(shown_url),
};

pub(super) const LOGFIRE_SEND: Key<Config> = Key {
    about: about(
        "export.logfire.send",
        None,
        "`true` or `false`",
        "`false` sends nothing to Logfire even when a token is set. Also `LOGFIRE_SEND_TO_LOGFIRE`.",
    ),
    set: |config, node| node.bool().map(|value| config.export.logfire.send = Some(value)),
    show: |config| config.export.logfire.send.map(|value| value.to_string()),
};

pub(super) const OTLP_ENDPOINT: Key<Config> = Key {
    about: about(
        "export.otlp.endpoint",
        None,
        "URL",
        "An OTLP receiver over HTTP, like `http://localhost:4318`; `/v1/metrics` and so on are appended. Also `OTEL_EXPORTER_OTLP_ENDPOINT`; \
         the variables for one signal, like `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, are used as they are.",
    ),
    set: |config, node| node.text().map(|text| config.export.otlp.endpoint = Some(text.into())),
    show: |config| config.export.otlp.endpoint.as_deref().map(shown_url),
};

pub(super) const OTLP_HEADERS: Key<Config> = Key {
    about: About {
        secret: true,
        ..about("export.otlp.headers", None, "list of `name=value`", "Headers for that receiver. Also `OTEL_EXPORTER_OTLP_HEADERS`.")
    },
    set: |config, node| node.list(|item| by_text(item, header)).map(|headers| config.export.otlp.all.headers = Some(headers)),
    show: |config| {
        config.export.otlp.all.headers.as_ref().and_then(|all| show_list(all, |(name, value)| show_text(&format!("{name}={}", value.0))))
    },
};

pub(super) const OTLP_TIMEOUT: Key<Config> = Key {
    about: about(
        "export.otlp.timeout",
        None,
        "duration from `100ms` to `5m`",
        "How long one delivery may take; default `10s`. Also `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds.",
    ),
    set: |config, node| {
        node.duration(Duration::from_millis(100), Duration::from_secs(300)).map(|value| config.export.otlp.all.timeout = Some(value))
    },
    show: |config| config.export.otlp.all.timeout.map(|value| show_text(&duration::show(value))),
};

pub(super) const OTLP_COMPRESSION: Key<Config> = Key {
    about: about(
        "export.otlp.compression",
        None,
        "`gzip` or `none`",
        "How deliveries are compressed; default `gzip`. Also `OTEL_EXPORTER_OTLP_COMPRESSION`.",
    ),
    set: |config, node| node.choice(&[("gzip", true), ("none", false)]).map(|value| config.export.otlp.all.gzip = Some(value)),
    show: |config| config.export.otlp.all.gzip.map(|gzip| show_text(if gzip { "gzip" } else { "none" })),
};

/// A receiver without what may be a secret in its URL.
fn shown_url(url: &str) -> String {
    show_text(&redact::url(url))
}

/// Sets a value from its text; the error names the problem.
type Set<T> = fn(&mut T, &str) -> Result<(), String>;
type BoxedSet = Box<dyn Fn(&mut Export, &str) -> Result<(), String>>;

/// A variable that other programs know too.
pub(super) struct Standard {
    /// The key that it sets, when a key does.
    pub(super) key: Option<&'static str>,
    /// Sets the value.
    pub(super) set: BoxedSet,
}

/// The variable of this name, if perfmon reads it.
pub(super) fn standard(name: &str) -> Option<Standard> {
    if let Some(rest) = name.strip_prefix("OTEL_EXPORTER_OTLP_") {
        return otlp(rest);
    }
    let by_key: Set<Export> = match name {
        "LOGFIRE_TOKEN" => |export, text| {
            export.logfire.tokens =
                text.split(',').map(str::trim).filter(|token| !token.is_empty()).map(|token| Secret(token.into())).collect();
            Ok(())
        },
        "LOGFIRE_TOKEN_FILE" => |export, path| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
            export.logfire.tokens =
                text.split([',', '\n']).map(str::trim).filter(|token| !token.is_empty()).map(|token| Secret(token.into())).collect();
            Ok(())
        },
        "LOGFIRE_BASE_URL" => |export, text| {
            export.logfire.base_url = Some(text.into());
            Ok(())
        },
        "LOGFIRE_ENVIRONMENT" => |export, text| {
            export.environment = Some(text.into());
            Ok(())
        },
        "LOGFIRE_SEND_TO_LOGFIRE" => |export, text| {
            export.logfire.send = Some(match text.to_ascii_lowercase().as_str() {
                "false" | "0" | "f" | "no" => false,
                "true" | "1" | "t" | "yes" | "if-token-present" => true,
                _ => return Err("is neither true nor false nor if-token-present".into()),
            });
            Ok(())
        },
        "OTEL_SERVICE_NAME" => |export, text| {
            export.service_name = text.into();
            Ok(())
        },
        "OTEL_RESOURCE_ATTRIBUTES" => |export, text| {
            export.resource_attributes = pairs(text)?;
            Ok(())
        },
        _ => return None,
    };
    let key = match name {
        "LOGFIRE_TOKEN" | "LOGFIRE_TOKEN_FILE" => "export.logfire.token",
        "LOGFIRE_BASE_URL" => "export.logfire.base_url",
        "LOGFIRE_ENVIRONMENT" => "export.environment",
        "LOGFIRE_SEND_TO_LOGFIRE" => "export.logfire.send",
        "OTEL_SERVICE_NAME" => "export.service_name",
        _ => "export.resource_attributes",
    };
    Some(Standard { key: Some(key), set: Box::new(by_key) })
}

/// `ENDPOINT`, `TRACES_HEADERS` and so on.
fn otlp(rest: &str) -> Option<Standard> {
    let signal = Signal::ALL.iter().position(|signal| rest.starts_with(&signal.name().to_uppercase()));
    let what = signal.map_or(rest, |_| rest.split_once('_').map_or("", |(_, what)| what));
    if what == "ENDPOINT" {
        return Some(Standard {
            key: signal.is_none().then_some("export.otlp.endpoint"),
            set: Box::new(move |export, text| {
                let endpoint = signal.map_or(&mut export.otlp.endpoint, |signal| &mut export.otlp.signals[signal].endpoint);
                *endpoint = Some(text.into());
                Ok(())
            }),
        });
    }
    let (key, set): (_, Set<OtlpOptions>) = match what {
        "HEADERS" => (Some("export.otlp.headers"), |options, text| {
            let headers = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(header);
            options.headers = Some(headers.collect::<Result<_, _>>()?);
            Ok(())
        }),
        "TIMEOUT" => (Some("export.otlp.timeout"), |options, text| {
            let milliseconds =
                text.parse().ok().filter(|ms| (1..=300_000).contains(ms)).ok_or("is not a number of milliseconds from 1 to 300000")?;
            options.timeout = Some(Duration::from_millis(milliseconds));
            Ok(())
        }),
        "COMPRESSION" => (Some("export.otlp.compression"), |options, text| {
            options.gzip = Some(match text {
                "gzip" => true,
                "none" => false,
                _ => return Err(format!("{text:?} is neither gzip nor none")),
            });
            Ok(())
        }),
        "PROTOCOL" => (None, |options, text| {
            options.protocol = Some(text.into());
            Ok(())
        }),
        _ => return None,
    };
    Some(Standard {
        key: key.filter(|_| signal.is_none()),
        set: Box::new(move |export, text| {
            let options = signal.map_or(&mut export.otlp.all, |signal| &mut export.otlp.signals[signal].options);
            set(options, text)
        }),
    })
}

fn by_text<T>(node: &ConfigNode, read: fn(&str) -> Result<T, String>) -> Checked<T> {
    read(node.text()?).or_else(|message| node.fault(message))
}

/// `name=value`, the value percent-encoded (W3C Baggage, as OpenTelemetry writes its lists). Values are never shown: they may be secret.
fn pair(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
        return Err("each entry is written name=value".into());
    };
    Ok((name.trim().into(), decoded(value.trim()).ok_or_else(|| format!("the value of {} is badly percent-encoded", name.trim()))?))
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(pair).collect()
}

fn header(text: &str) -> Result<(String, Secret), String> {
    let (name, value) = pair(text)?;
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if !name.bytes().all(token) {
        return Err(format!("{name:?} is not a valid header name"));
    }
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err(format!("the value of {name} has characters that no header may have"));
    }
    Ok((name.to_ascii_lowercase(), Secret(value)))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

fn share(node: &ConfigNode) -> Checked<f64> {
    let number = match &node.value {
        RawValue::Float(number) => Some(*number),
        RawValue::Integer(number) => Some(*number as f64),
        RawValue::Word(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => node.fault("must be a number from 0 to 1"),
    }
}
