//! The examples at the end of each help text. A test parses every line that starts with `perfmon`.

pub(super) const PERFMON: &str = "Examples:
  perfmon run                            watch everything on this host
  perfmon run --port 8000                watch the process that listens on port 8000
  perfmon check                          show what this host allows
  curl localhost:9911/health/performance ask the running perfmon whether all is well";

pub(super) const RUN: &str = "Examples:
  perfmon run
  perfmon run --pid 1234
  perfmon run --exe nginx --exe '/opt/shop/*' --wait
  perfmon run --port 8000 --jsonl requests.jsonl --ui none
  perfmon run --duration 30s --jsonl -
  perfmon run --listen 127.0.0.1:9000 -- python3 -m http.server 8000
  perfmon run --assert 'error_rate < 1%' --junit results.xml -- pytest

While it runs: http://127.0.0.1:9911/health/performance, /metrics, /api/v1/endpoints and more.
Exit codes: 0 done, 1 failed while running, 2 wrong usage, 3 not possible on this host or for this user; with CMD, its own.";

pub(super) const TOP: &str = "Examples:
  perfmon top
  perfmon top --url http://127.0.0.1:9000";

pub(super) const CHECK: &str = "Examples:
  perfmon check
  perfmon check --all-processes
  perfmon check --port 8000 --json";

pub(super) const RECORD: &str = "Examples:
  perfmon record -o session.perfmon --duration 30s
  perfmon record -o nginx.perfmon --exe nginx";

pub(super) const REPLAY: &str = "Examples:
  perfmon replay session.perfmon
  perfmon replay session.perfmon --jsonl -";

pub(super) const ALERTS: &str = "Examples:
  perfmon alerts list
  perfmon alerts list --json --url http://127.0.0.1:9000
  perfmon alerts ack 3f2a --note 'looking at the database'
  perfmon alerts resolve 3f2a --by ops
  perfmon alerts silence --rule cpu_usage --for 2h --note 'nightly build'
  perfmon alerts test hook";

pub(super) const ALERTS_TEST_RULES: &str = "Examples:
  perfmon alerts test-rules
  perfmon alerts test-rules --config new.toml --from 2026-01-24 --to 2026-01-31";

pub(super) const ALERTS_LIST: &str = "Examples:
  perfmon alerts list
  perfmon alerts list --json --url http://127.0.0.1:9000";

pub(super) const ALERTS_ACK: &str = "Examples:
  perfmon alerts ack 3f2a
  perfmon alerts ack 3f2a --note 'looking at the database'";

pub(super) const ALERTS_RESOLVE: &str = "Examples:
  perfmon alerts resolve 3f2a
  perfmon alerts resolve 3f2a --by ops";

pub(super) const ALERTS_SILENCE: &str = "Examples:
  perfmon alerts silence --rule cpu_usage --for 2h --note 'nightly build'
  perfmon alerts silence --scope shop --for 30m
  perfmon alerts silence --match 'severity!=critical' --match 'service=~shop|blog' --for 8h
  perfmon alerts silence delete 3f2a9c0d11e45b77";

pub(super) const SILENCE_LIST: &str = "Examples:
  perfmon alerts silence list
  perfmon alerts silence list --json";

pub(super) const SILENCE_DELETE: &str = "Examples:
  perfmon alerts silence delete 3f2a9c0d11e45b77";

pub(super) const ALERTS_AUDIT: &str = "Examples:
  perfmon alerts audit
  perfmon alerts audit --json --url unix:/run/perfmon.sock";

pub(super) const ALERTS_TEST: &str = "Examples:
  perfmon alerts test
  perfmon alerts test hook";

pub(super) const REPORT: &str = "Examples:
  perfmon report
  perfmon report --period week --format html -o week.html
  perfmon report --from 2026-01-31 --to 2026-02-01 --format json

Dates without a zone are in the time zone of this host; times in JSON are UTC.";

pub(super) const CONFIG: &str = "Examples:
  perfmon config print
  perfmon config print --config perfmon.toml
  perfmon config check perfmon.toml
  perfmon config keys alerts";

pub(super) const CONFIG_PRINT: &str = "Examples:
  perfmon config print
  perfmon config print --config perfmon.toml";

pub(super) const CONFIG_CHECK: &str = "Examples:
  perfmon config check
  perfmon config check perfmon.toml";

pub(super) const CONFIG_KEYS: &str = "Examples:
  perfmon config keys
  perfmon config keys alerts
  perfmon config keys capture.tier";

pub(super) const COMPLETIONS: &str = "Examples:
  perfmon completions bash
  perfmon completions zsh";

pub(super) const MAN: &str = "Examples:
  perfmon man
  perfmon man run";
