//! Keys of an entry of `alerts.channels`. A secret may stand in the entry, in a file (`…_file`) or in an environment variable (`…_env`).
use super::channels::{ChannelEntry, read_file, read_variable, set_once};
use super::export::is_web;
use super::key::{About, Key, show_list, show_text};
use super::keys::{about, words};
use crate::alert::{CHANNEL_TYPES, ChannelType};

/// A secret that a file or a variable holds.
macro_rules! secret_from {
    ($path:literal, $field:ident, $takes:literal, $text:literal, $read:ident) => {
        Key {
            about: about($path, None, $takes, $text),
            set: |channel, node| {
                channel.sources.insert($path, node.text()?.into());
                match $read(node) {
                    Err(_) if channel.asks_only => channel.withheld = true,
                    value => set_once(&mut channel.options.$field, node, value?)?,
                }
                Ok(())
            },
            show: |channel| channel.sources.get($path).map(|source| show_text(source)),
        }
    };
}

/// A secret as it stands.
macro_rules! secret {
    ($path:literal, $field:ident, $text:literal) => {
        Key {
            about: About { secret: true, ..about($path, None, "text", $text) },
            set: |channel, node| set_once(&mut channel.options.$field, node, words(node)?),
            show: |channel| channel.shown_secret($path, &channel.options.$field),
        }
    };
}

/// Keys of an entry of `alerts.channels`.
pub(super) static CHANNEL_KEYS: &[Key<ChannelEntry>] = &[
    Key {
        about: about("name", None, "text, required", "The channel's name."),
        set: |channel, node| node.text().map(|text| channel.name = text.into()),
        show: |channel| Some(show_text(&channel.name)),
    },
    Key {
        about: about(
            "type",
            None,
            "`log`, `webhook`, `slack`, `teams`, `pagerduty`, `email` or `alertmanager`, required",
            "What it is; each type has an example in [alerts.md](alerts.md). `command` is refused, because a running perfmon starts no other program.",
        ),
        set: |channel, node| match node.text() {
            Ok("command") => {
                node.fault("command is refused: a running perfmon starts no other program; let a webhook on this host start it")
            }
            _ => node.choice(&CHANNEL_TYPES.map(|kind: &'static ChannelType| (kind.name, kind))).map(|kind| channel.kind = Some(kind)),
        },
        show: |channel| channel.kind.map(|kind| show_text(kind.name)),
    },
    Key {
        about: About {
            secret: true,
            ..about(
                "url",
                None,
                "URL",
                "URL of the webhook (of `slack` and `teams` too), of Alertmanager, or of PagerDuty where it is not that of the United States; only its host is ever shown.",
            )
        },
        set: |channel, node| match words(node)? {
            text if is_web(&text) => set_once(&mut channel.options.url, node, text),
            // The text itself may hold a secret.
            _ => node.fault("is not a URL that begins with http:// or https://"),
        },
        show: ChannelEntry::shown_url,
    },
    secret_from!("url_file", url, "path", "File that holds the URL.", read_file),
    secret_from!("url_env", url, "name of a variable", "Environment variable that holds the URL.", read_variable),
    secret!("routing_key", routing_key, "Integration key of a PagerDuty service (Events API v2)."),
    secret_from!("routing_key_file", routing_key, "path", "File that holds it.", read_file),
    secret_from!("routing_key_env", routing_key, "name of a variable", "Environment variable that holds it.", read_variable),
    secret!(
        "signing_key",
        signing_key,
        "Signs each body of a `webhook`: `X-Perfmon-Signature-256: sha256=` and its HMAC-SHA256 in hexadecimal."
    ),
    secret_from!("signing_key_file", signing_key, "path", "File that holds it.", read_file),
    secret_from!("signing_key_env", signing_key, "name of a variable", "Environment variable that holds it.", read_variable),
    Key {
        about: about(
            "template",
            None,
            "text with fields",
            "Body of a `webhook` instead of the alert's record, with fields like `{{message}}`; JSON when it begins with `{` or `[`.",
        ),
        set: |channel, node| words(node).map(|text| channel.options.template = Some(text)),
        show: |channel| channel.options.template.as_deref().map(show_text),
    },
    Key {
        about: about(
            "smtp",
            None,
            "`smtp://host:port` or `smtps://host:port`",
            "Mail server of `email`. `smtps` is TLS from the start, port 465 by default; `smtp` is STARTTLS, port 587, or plain on port 25 for a server on this host.",
        ),
        set: |channel, node| words(node).map(|text| channel.options.smtp = Some(text)),
        show: |channel| channel.options.smtp.as_deref().map(show_text),
    },
    Key {
        about: about(
            "starttls",
            None,
            "`true` or `false`",
            "Whether an `smtp://` server must encrypt; by default unless it is on this host. A server that cannot is refused.",
        ),
        set: |channel, node| node.bool().map(|value| channel.options.starttls = Some(value)),
        show: |channel| channel.options.starttls.map(|value| value.to_string()),
    },
    Key {
        about: about("username", None, "text", "User at the mail server."),
        set: |channel, node| words(node).map(|text| channel.options.username = Some(text)),
        show: |channel| channel.options.username.as_deref().map(show_text),
    },
    secret!("password", password, "Password at the mail server."),
    secret_from!("password_file", password, "path", "File that holds it.", read_file),
    secret_from!("password_env", password, "name of a variable", "Environment variable that holds it.", read_variable),
    Key {
        about: about("from", None, "address", "Sender of mails, like `perfmon@example.com` or `perfmon <perfmon@example.com>`."),
        set: |channel, node| words(node).map(|text| channel.options.from = Some(text)),
        show: |channel| channel.options.from.as_deref().map(show_text),
    },
    Key {
        about: about("to", None, "list of addresses", "Receivers of mails."),
        set: |channel, node| node.list(words).map(|addresses| channel.options.to = addresses),
        show: |channel| show_list(&channel.options.to, |address| show_text(address)),
    },
    Key {
        about: about(
            "default",
            None,
            "`true` or `false`",
            "Gets the notifications of rules without channels; by default the first channel.",
        ),
        set: |channel, node| node.bool().map(|value| channel.default = value),
        show: |channel| Some(channel.default.to_string()),
    },
    Key {
        about: about("fallback", None, "name of a channel", "Notified instead when this one fails."),
        set: |channel, node| words(node).map(|name| channel.fallback = Some(name)),
        show: |channel| channel.fallback.as_deref().map(show_text),
    },
    Key {
        about: about("send_resolved", None, "`true` or `false`", "Whether the end of an alert is notified too; true by default."),
        set: |channel, node| node.bool().map(|value| channel.quiet_end = !value),
        show: |channel| Some((!channel.quiet_end).to_string()),
    },
    Key {
        about: about(
            "max_per_minute",
            None,
            "integer from 1 to 6000",
            "Notifications a minute. What comes faster waits; `slack`, `teams` and `email`, which have 20 by default, then get one summary of it.",
        ),
        set: |channel, node| node.integer(1, 6_000).map(|value| channel.max_per_minute = Some(value as u32)),
        show: |channel| channel.max_per_minute.map(|value| value.to_string()),
    },
];
