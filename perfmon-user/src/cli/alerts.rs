//! `perfmon alerts`: from arguments to requests to a running perfmon. The acting user is the user's name unless `--by` is given.
use super::args::{AlertsCommand, DecisionArgs, ServerArgs, SilenceArgs, SilenceCommand};
use super::{Invocation, Reading, Url, report};
use crate::alert::SilenceMatcher;
use crate::config::{self, ConfigProblem};

/// What to do with alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertsAction {
    /// Show them.
    List {
        /// As JSON.
        json: bool,
    },
    /// Take one.
    Acknowledge {
        /// Its id, or the beginning of it.
        id: String,
        /// Who.
        by: Option<String>,
        /// Why.
        note: Option<String>,
    },
    /// End one.
    Resolve {
        /// Its id, or the beginning of it.
        id: String,
        /// Who.
        by: Option<String>,
        /// Why.
        note: Option<String>,
    },
    /// Add a silence.
    Silence {
        /// Name of the rule.
        rule: Option<String>,
        /// Scope.
        scope: Option<String>,
        /// Further conditions, as typed; checked.
        matchers: Vec<String>,
        /// How long, as typed; checked.
        duration: String,
        /// Who.
        by: Option<String>,
        /// Why.
        note: Option<String>,
    },
    /// Show the silences in force.
    Silences {
        /// As JSON.
        json: bool,
    },
    /// End a silence.
    Unsilence {
        /// Its id.
        id: String,
    },
    /// Show the audit trail.
    Audit {
        /// As JSON.
        json: bool,
    },
    /// Try channels.
    Test {
        /// Only this one.
        channel: Option<String>,
    },
}

impl Reading {
    pub(super) fn alerts(&mut self, command: AlertsCommand) -> Option<Invocation> {
        let (action, server) = match command {
            AlertsCommand::List { json, server } => (AlertsAction::List { json }, server),
            AlertsCommand::Ack(DecisionArgs { id, by, note, server }) => {
                (AlertsAction::Acknowledge { id, by: by.or_else(|| self.user()), note }, server)
            }
            AlertsCommand::Resolve(DecisionArgs { id, by, note, server }) => {
                (AlertsAction::Resolve { id, by: by.or_else(|| self.user()), note }, server)
            }
            AlertsCommand::Silence(args) => self.silence(args),
            AlertsCommand::Audit { json, server } => (AlertsAction::Audit { json }, server),
            AlertsCommand::TestRules(args) => {
                let period = report::period(args.from.as_ref(), args.to.as_ref(), &jiff::tz::TimeZone::system(), &mut self.problems);
                let config = self.config_to_ask(&args.general, |flags| flags.value("db", "--db", args.db.as_ref()))?;
                return Some(Invocation::TestRules { config, period: period?, json: args.json });
            }
            AlertsCommand::Test { channel, server } => (AlertsAction::Test { channel }, server),
        };
        let url = match server.url.as_deref().map(Url::parse).transpose() {
            Ok(url) => url,
            Err(why) => {
                self.problems.push(ConfigProblem::new("--url", why));
                None
            }
        };
        let config = self.config_to_ask(&server.general, |flags| flags.value("http.tls_ca", "--ca", server.ca.as_ref()))?;
        Some(Invocation::Alerts { url: url.unwrap_or_else(|| Url::of_configured(&config)), config, action })
    }

    fn silence(&mut self, args: SilenceArgs) -> (AlertsAction, ServerArgs) {
        let SilenceArgs { command, rule, scope, matchers, duration, by, note, server } = args;
        match command {
            Some(SilenceCommand::List { json, server }) => return (AlertsAction::Silences { json }, server),
            Some(SilenceCommand::Delete { id, server }) => return (AlertsAction::Unsilence { id }, server),
            None => {}
        }
        let duration = duration.unwrap_or_default();
        if rule.is_none() && scope.is_none() && matchers.is_empty() {
            self.problems.push(ConfigProblem::new("silence", "give --rule, --scope or --match"));
        }
        let wrong = matchers.iter().filter_map(|text| SilenceMatcher::parse(text).err());
        self.problems.extend(wrong.map(|why| ConfigProblem::new("--match", why)));
        if let Err(why) = config::parse_duration(&duration) {
            self.problems.push(ConfigProblem::new("--for", format!("{duration:?} is not a duration: {why}")));
        }
        (AlertsAction::Silence { rule, scope, matchers, duration, by: by.or_else(|| self.user()), note }, server)
    }

    /// The name of whoever sits there, also behind sudo.
    fn user(&self) -> Option<String> {
        let named =
            |wanted: &str| self.env.iter().find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.clone());
        named("SUDO_USER").or_else(|| named("USER"))
    }
}
