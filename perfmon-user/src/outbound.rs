//! The HTTP client for calls to other programs. Blocking: every user has its own thread. Every status is an answer, not an error; redirects
//! are not followed, because they would carry secrets to another server. Trusts the host's certificates, read at the first `https` call.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The way to a URL of the world outside, through the proxy that the environment names, if any. `timeout` is for a whole exchange.
pub fn agent(url: &str, timeout: Duration) -> Agent {
    let roots = if url.starts_with("https://") { trusted() } else { RootCerts::Specific(Arc::default()) };
    let tls = TlsConfig::builder().root_certs(roots).build();
    let builder = Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).tls_config(tls);
    builder.max_redirects(0).max_redirects_will_error(false).user_agent(concat!("perfmon/", env!("CARGO_PKG_VERSION"))).build().into()
}

/// The way to another perfmon: plain HTTP, and never through a proxy.
pub fn direct(timeout: Duration) -> Agent {
    Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).proxy(None).build().into()
}

fn trusted() -> RootCerts {
    static TRUSTED: OnceLock<RootCerts> = OnceLock::new();
    let read = || {
        // Whoever was first chose the same.
        rustls::crypto::ring::default_provider().install_default().ok();
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            tracing::error!("This host has no trusted certificates, so nothing can be sent over HTTPS; install ca-certificates.");
        }
        found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into()
    };
    TRUSTED.get_or_init(read).clone()
}
