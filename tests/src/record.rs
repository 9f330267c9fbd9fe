//! The `request` record as a reader of `--jsonl` sees it, and sets of records compared with what clients logged.
use serde::Deserialize;

/// Fields of the `request` record that the tests check. A missing field is an error, except the optional ones.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Request {
    /// RFC 3339.
    pub time: String,
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Service name.
    pub service: String,
    /// `server` or `client`.
    pub side: String,
    /// `http/1.0` or `http/1.1`.
    pub protocol: String,
    /// Encrypted.
    pub tls: bool,
    /// Own address.
    pub local: String,
    /// The other's address.
    pub peer: String,
    /// `Host`.
    pub host: Option<String>,
    /// Method.
    pub method: Option<String>,
    /// Path without query.
    pub path: Option<String>,
    /// Template.
    pub endpoint: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// Status.
    pub status_code: Option<u16>,
    /// Failure.
    pub error: Option<String>,
    /// Request body.
    pub request_size: Option<u64>,
    /// Response body.
    pub response_size: Option<u64>,
    /// Request on the wire.
    pub request_bytes: u64,
    /// Response on the wire.
    pub response_bytes: u64,
    /// Duration.
    pub response_time_ms: Option<f64>,
    /// Event streams and the like.
    pub streaming: bool,
    /// Arrival → first read.
    pub queue_time_ms: Option<f64>,
    /// First byte.
    pub time_to_first_byte_ms: Option<f64>,
    /// `fast` `moderate` `slow`.
    pub performance_category: Option<String>,
    /// This exchange.
    pub span_id: String,
    /// `exact` `inferred` `estimated`.
    pub quality: String,
    /// Needed and not captured.
    pub missing_bytes: u64,
    /// Messages that this side sent (WebSocket).
    pub messages_sent: Option<u64>,
    /// Messages that it received.
    pub messages_received: Option<u64>,
}

impl Request {
    /// Whether it is of the server side and of a service on this TCP port.
    pub fn served_by(&self, port: u16) -> bool {
        self.side == "server" && self.local.ends_with(&format!(":{port}"))
    }

    /// Whether it is of the client side and went to this TCP port.
    pub fn sent_to(&self, port: u16) -> bool {
        self.side == "client" && self.peer.ends_with(&format!(":{port}"))
    }

    /// Either of them.
    pub fn about(&self, port: u16) -> bool {
        self.served_by(port) || self.sent_to(port)
    }

    /// Everything except times, ids, ports and processes: what must be equal whenever the same traffic is seen.
    pub fn substance(&self) -> String {
        format!(
            "{} {} {:?} {:?} agent={:?} status={:?} error={:?} body={:?}/{:?} wire={}/{} {} streaming={} missing={}",
            self.side,
            self.protocol,
            self.method,
            self.path,
            self.user_agent,
            self.status_code,
            self.error,
            self.request_size,
            self.response_size,
            self.request_bytes,
            self.response_bytes,
            self.quality,
            self.streaming,
            self.missing_bytes,
        )
    }
}

/// The `request` records among lines of JSON.
pub fn requests(jsonl: &str) -> anyhow::Result<Vec<Request>> {
    let mut requests = Vec::new();
    for line in jsonl.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        if value.get("kind").is_some_and(|kind| kind == "request") {
            requests.push(serde_json::from_value(value)?);
        }
    }
    Ok(requests)
}

/// The `substance` of records, sorted: equal for equal traffic.
pub fn substances<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Vec<String> {
    let mut all: Vec<String> = requests.into_iter().map(Request::substance).collect();
    all.sort();
    all
}

/// The value below which a share `q` lies (nearest rank).
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Where the medians or 95th percentiles of both do not agree within 5 % or 0.5 ms.
pub fn different_percentiles(what: &str, seen: &[f64], logged: &[f64]) -> Option<String> {
    [0.50, 0.95].iter().find_map(|q| {
        let (seen, logged) = (quantile(seen, *q), quantile(logged, *q));
        let agree = (seen - logged).abs() <= (0.05 * logged).max(0.5);
        (!agree).then(|| format!("{what}: p{:.0} is {seen:.3} ms, the client logged {logged:.3} ms", q * 100.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.95)), (10.0, 19.0));
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn percentiles_agree_within_five_percent_or_half_a_millisecond() {
        assert_eq!(different_percentiles("x", &[0.2, 100.0], &[0.6, 104.0]), None);
        assert!(different_percentiles("x", &[0.2], &[0.8]).is_some());
        assert!(different_percentiles("x", &[100.0], &[106.0]).is_some());
        assert!(different_percentiles("x", &[], &[1.0]).is_some(), "nothing seen is no agreement");
    }

    #[test]
    fn lines_of_other_kinds_are_left_out() {
        assert_eq!(requests("{\"kind\":\"system\"}\n{\"kind\":\"llm\"}\n").unwrap(), []);
        assert!(requests("{\"kind\":\"request\"}\n").is_err(), "a request without its fields is an error");
    }
}
