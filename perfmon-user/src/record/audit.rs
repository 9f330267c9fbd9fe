//! The audit trail: who changed what on perfmon, from where and when. It is no [`Record`](super::Record): it goes into the history and to those
//! who ask for it, not into exports and streams.
use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::WallTime;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub time: WallTime,
    /// Name of the user, `token`, or `perfmon` for what it does by itself.
    pub by: Arc<str>,
    /// Number of the user, when there is one.
    pub uid: Option<u32>,
    /// Address and port, `unix`, or `perfmon`.
    pub from: Arc<str>,
    /// `acknowledged`, `resolved`, `silence`, `unsilence`, `test`, `escalate`.
    pub action: Cow<'static, str>,
    /// Id of the alert or silence, or name of the channel.
    pub id: Arc<str>,
    /// What the user noted.
    pub note: Option<Arc<str>>,
}

impl AuditEntry {
    /// `kind` of its row in the history.
    pub const KIND: &str = "audit";
    /// `by` and `from` of what perfmon does by itself.
    pub const PERFMON: &str = "perfmon";
}
