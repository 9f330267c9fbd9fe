//! `GET /`: a small page that links what there is. No script, nothing from another host.
use axum::response::Html;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>perfmon</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }</style>
<h1>perfmon</h1>
<ul>
<li><a href="/health/performance">Health</a></li>
<li><a href="/api/v1/summary">Summary</a> of the last five minutes, <a href="/api/v1/summary?window=1m">one minute</a>, <a href="/api/v1/summary?window=1h">one hour</a></li>
<li><a href="/api/v1/endpoints">Endpoints</a>, those first that take most of the time</li>
<li><a href="/api/v1/destinations">Destinations</a> that the services ask</li>
<li><a href="/api/v1/findings">Findings</a></li>
<li><a href="/api/v1/alerts">Alerts</a> and <a href="/api/v1/silences">silences</a></li>
<li><a href="/api/v1/records?limit=100">Records</a>, the newest hundred; <a href="/api/v1/records?slow=1">slow requests</a></li>
<li><a href="/api/v1/system">System</a> and <a href="/api/v1/processes">processes</a></li>
<li><a href="/api/v1/self">perfmon itself</a>, <a href="/metrics">metrics</a>, <a href="/readyz">readiness</a></li>
</ul>
</html>
"#;

pub(super) async fn page() -> Html<&'static str> {
    Html(PAGE)
}
