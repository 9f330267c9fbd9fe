//! A scheduled report on its way to a channel: title, summary and link for people, and the page itself for mails. In: a [`ReportNotice`]; out:
//! the bodies of each type of channel that takes reports. Channels for incidents take none: a report is nothing to acknowledge.
use std::sync::Arc;

use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use serde_json::{Value, json};

use super::notification::cut;
use super::{ChannelType, Sender};

/// Types of channels that take incidents only.
const FOR_INCIDENTS: [&str; 2] = ["pagerduty", "alertmanager"];
/// Characters of the text in a chat.
const TEXT: usize = 2_500;

/// A report to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportNotice {
    /// Its id, like `daily-2026-11-27`.
    pub id: Arc<str>,
    /// One line.
    pub title: String,
    /// The summary.
    pub text: String,
    /// The whole report as an HTML page.
    pub page: Arc<str>,
}

impl ChannelType {
    /// Whether reports can be sent to it.
    pub fn takes_reports(&self) -> bool {
        !FOR_INCIDENTS.contains(&self.name)
    }
}

impl ReportNotice {
    /// Where the report is.
    fn link(&self, sender: &Sender) -> Option<String> {
        sender.page.as_deref().map(|page| format!("{page}/api/v1/reports/{}?format=html", self.id))
    }

    /// For webhooks: `text` is what chats show.
    pub(super) fn webhook(&self, sender: &Sender) -> Value {
        json!({
            "kind": "report",
            "id": &*self.id,
            "title": self.title,
            "text": format!("{}\n{}", self.title, self.text),
            "host": &*sender.host,
            "link": self.link(sender),
        })
    }

    /// For Slack.
    pub(super) fn slack(&self, sender: &Sender) -> Value {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (title, text) = (escaped(&self.title), escaped(cut(&self.text, TEXT)));
        let link = self.link(sender).map(|link| format!("\n<{}|Open the report>", escaped(&link))).unwrap_or_default();
        json!({
            "text": format!(":bar_chart: {title}: {text}"),
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": format!(":bar_chart: *{title}*\n{text}{link}")}}],
        })
    }

    /// For Microsoft Teams.
    pub(super) fn teams(&self, sender: &Sender) -> Value {
        let plain = |text: &str| text.replace('[', "\\[").replace(']', "\\]");
        let open = |url: String| json!({"type": "Action.OpenUrl", "title": "Open the report", "url": url});
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {"type": "TextBlock", "text": plain(&self.title), "weight": "bolder", "size": "medium", "wrap": true},
                        {"type": "TextBlock", "text": plain(cut(&self.text, TEXT)), "wrap": true},
                    ],
                    "actions": self.link(sender).map(open).into_iter().collect::<Vec<_>>(),
                },
            }],
        })
    }

    /// For mails: the summary as text, the page attached. Mail programs drop style and pictures of a page that is the mail itself.
    pub(super) fn mail(&self, sender: &Sender) -> MultiPart {
        let link = self.link(sender).map(|link| format!("\n\n{link}")).unwrap_or_default();
        let text = format!("{}\n\nThe whole report is attached as a page for any browser.{link}\n", self.text);
        let page = Attachment::new(format!("perfmon-{}.html", self.id)).body(self.page.to_string(), ContentType::TEXT_HTML);
        MultiPart::mixed().singlepart(SinglePart::plain(text)).singlepart(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_gets_the_summary_and_mails_the_page() {
        let sender = Sender { host: "web-1".into(), page: Some("https://web-1:9911".into()) };
        let notice = ReportNotice {
            id: "daily-2026-11-27".into(),
            title: "Daily report on web-1: Good".into(),
            text: "shop answered 12 requests <b>; [x](y).".into(),
            page: "<!doctype html><p>12</p>".into(),
        };
        let link = "https://web-1:9911/api/v1/reports/daily-2026-11-27?format=html";
        let hook = notice.webhook(&sender);
        assert_eq!((&hook["kind"], &hook["id"], &hook["link"]), (&"report".into(), &"daily-2026-11-27".into(), &link.into()));
        assert!(hook["text"].as_str().unwrap().starts_with("Daily report on web-1: Good\nshop answered"));
        let slack = notice.slack(&sender).to_string();
        assert!(slack.contains("&lt;b&gt;") && slack.contains(&format!("<{link}|Open the report>")), "{slack}");
        assert!(notice.teams(&sender).to_string().contains("\\\\[x\\\\](y)"));
        let mail = String::from_utf8(notice.mail(&sender).formatted()).unwrap();
        assert!(mail.contains("filename=\"perfmon-daily-2026-11-27.html\"") && mail.contains("multipart/mixed"), "{mail}");
        for kind in super::super::CHANNEL_TYPES {
            assert_eq!(kind.takes_reports(), !["pagerduty", "alertmanager"].contains(&kind.name), "{}", kind.name);
        }
    }
}
