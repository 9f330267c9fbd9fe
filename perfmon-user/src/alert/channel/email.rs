//! E-mail by SMTP (RFC 5321): `smtps://` is TLS from the start, `smtp://` is STARTTLS (RFC 3207) unless the server is on this host or
//! `starttls` is false. A message's id depends on the alert and its state alone, so that a repeated one is seen as the same.
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport as _};
use ureq::http::Uri;

use crate::printable::printable;
use crate::record::{Alert, AlertState};

use super::notification::cut;
use super::{ChannelOptions, ChannelTransport, ChannelType, DeliveryError, Notification, OptionFault, ReportNotice, Sender};

pub(super) static TYPE: ChannelType = ChannelType {
    name: "email",
    needs: &["smtp", "from", "to"],
    takes: &["starttls", "username", "password"],
    takes_acknowledgements: false,
    sums_up: true,
    check,
    open: |options, timeout| Arc::new(Email { options: options.clone(), timeout }),
};

/// Port of `smtps://` (RFC 8314).
const TLS_PORT: u16 = 465;
/// Port of `smtp://`: that of submission (RFC 6409), or that of the relay on this host.
const SUBMISSION_PORT: u16 = 587;
const RELAY_PORT: u16 = 25;
/// Characters of a server's answer in an error.
const SAID: usize = 200;

struct Email {
    options: ChannelOptions,
    timeout: Duration,
}

/// Where mails go.
#[derive(Debug, PartialEq, Eq)]
struct MailServer {
    host: String,
    port: u16,
    security: Security,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    Wrapped,
    Starttls,
    None,
}

impl MailServer {
    fn of(options: &ChannelOptions) -> Result<Self, String> {
        const FORM: &str = "is not like smtp://host:587 or smtps://host";
        let uri: Uri = options.smtp.as_deref().unwrap_or_default().parse().map_err(|_| FORM.to_string())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(FORM)?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("must hold no user and password; use username and password".into());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        let (security, port) = match uri.scheme_str() {
            Some("smtps") => (Security::Wrapped, TLS_PORT),
            Some("smtp") if options.starttls.unwrap_or(!is_here) => (Security::Starttls, SUBMISSION_PORT),
            Some("smtp") => (Security::None, if is_here { RELAY_PORT } else { SUBMISSION_PORT }),
            _ => return Err(FORM.into()),
        };
        if security == Security::None && !is_here && options.password.is_some() {
            return Err("a password would be readable on its way; leave starttls = false out, or use smtps://".into());
        }
        Ok(Self { host, port: uri.port_u16().unwrap_or(port), security })
    }
}

fn check(options: &ChannelOptions) -> Vec<OptionFault> {
    let mut faults: Vec<OptionFault> = MailServer::of(options).err().map(|fault| ("smtp", fault)).into_iter().collect();
    let addresses = options.from.iter().map(|from| ("from", from)).chain(options.to.iter().map(|to| ("to", to)));
    let wrong = addresses.filter(|(_, address)| address.parse::<Mailbox>().is_err());
    faults.extend(wrong.map(|(key, address)| (key, format!("{address:?} is not an address like ops@example.com"))));
    for (one, other, key) in [(&options.username, &options.password, "password"), (&options.password, &options.username, "username")] {
        if one.is_some() && other.is_none() {
            faults.push((key, "is missing; give username and password, or neither".into()));
        }
    }
    faults
}

impl Email {
    fn transport(&self, sender: &Sender) -> Result<SmtpTransport, String> {
        let MailServer { host, port, security } = MailServer::of(&self.options)?;
        let parameters = || TlsParameters::new(host.clone()).map_err(|error| error.to_string());
        let tls = match security {
            Security::Wrapped => Tls::Wrapper(parameters()?),
            Security::Starttls => Tls::Required(parameters()?),
            Security::None => Tls::None,
        };
        let builder = SmtpTransport::builder_dangerous(&host).port(port).tls(tls).timeout(Some(self.timeout));
        let builder = match &*sender.host {
            "" => builder,
            name => builder.hello_name(ClientId::Domain(name.into())),
        };
        Ok(match (&self.options.username, &self.options.password) {
            (Some(user), Some(password)) => builder.credentials(Credentials::new(user.clone(), password.clone())).build(),
            _ => builder.build(),
        })
    }

    fn deliver(&self, message: &Message, sender: &Sender) -> Result<(), DeliveryError> {
        let transport = self.transport(sender).map_err(DeliveryError::Refused)?;
        transport.send(message).map(drop).map_err(|error| failure(&error, self.timeout))
    }

    /// The id depends on the report and the host alone, like that of an alert.
    fn report(&self, report: &ReportNotice, sender: &Sender) -> Result<Message, String> {
        let address = |text: &str| text.parse::<Mailbox>().map_err(|error| error.to_string());
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
        let mut builder = Message::builder()
            .from(address(self.options.from.as_deref().unwrap_or_default())?)
            .subject(one_line(&report.title))
            .message_id(Some(format!("<{}.{}.report@perfmon>", report.id, one_line(&sender.host))))
            .raw_header(automatic);
        for to in &self.options.to {
            builder = builder.to(address(to)?);
        }
        builder.multipart(report.mail(sender)).map_err(|error| error.to_string())
    }

    fn message(&self, notification: &Notification) -> Result<Message, String> {
        let alert = &notification.alert;
        let address = |text: &str| text.parse::<Mailbox>().map_err(|error| error.to_string());
        let thread = |part: &str| format!("<{}.{part}@perfmon>", alert.alert_id);
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(alert.time.0 / 1_000_000_000);
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
        let mut builder = Message::builder()
            .from(address(self.options.from.as_deref().unwrap_or_default())?)
            .subject(one_line(&notification.title()))
            .date(date)
            .message_id(Some(thread(&part(alert))))
            .header(ContentType::TEXT_PLAIN)
            .raw_header(automatic);
        if notification.is_over() {
            builder = builder.references(thread("firing")).in_reply_to(thread("firing"));
        }
        for to in &self.options.to {
            builder = builder.to(address(to)?);
        }
        builder.body(text(notification)).map_err(|error| error.to_string())
    }
}

impl ChannelTransport for Email {
    fn send(&self, notification: &Notification) -> Result<(), DeliveryError> {
        let message = self.message(notification).map_err(DeliveryError::Refused)?;
        self.deliver(&message, &notification.sender)
    }

    fn send_report(&self, report: &ReportNotice, sender: &Sender) -> Result<(), DeliveryError> {
        let message = self.report(report, sender).map_err(DeliveryError::Refused)?;
        self.deliver(&message, sender)
    }
}

/// What the message tells of its alert; a later step of the escalation and a worse severity are messages of their own.
fn part(alert: &Alert) -> String {
    let first = (alert.severity_since == alert.fired_at || alert.severity_since.is_none()) && alert.escalation_level == 0;
    match alert.state {
        AlertState::Firing if !first => format!("firing.{:?}.{}", alert.severity, alert.escalation_level).to_lowercase(),
        state => state.name().into(),
    }
}

/// A header's value has no line breaks.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The body.
fn text(notification: &Notification) -> String {
    let mut text = format!("{}\n\n", notification.alert.message);
    for (name, value) in notification.facts() {
        text += &format!("{name}: {}\n", one_line(&value));
    }
    if let Some(link) = notification.link() {
        text += &format!("\n{link}\n");
    }
    text
}

fn failure(error: &Error, timeout: Duration) -> DeliveryError {
    let inner = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let said = printable(cut(&inner, SAID)).to_string();
    let code = error.status().map(|code| format!("{code} ")).unwrap_or_default();
    if error.is_timeout() {
        DeliveryError::TimedOut(timeout)
    } else if error.is_permanent() || error.is_client() {
        DeliveryError::Refused(format!("{code}{said}"))
    } else if error.is_transient() || error.is_response() {
        DeliveryError::Busy(format!("{code}{said}"))
    } else {
        DeliveryError::Unreachable(said)
    }
}
