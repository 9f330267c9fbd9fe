//! The HTTP client for calls to other programs. Blocking: every user has its own thread. Every status is an answer, not an error; redirects
//! are not followed, because they would carry secrets to another server. Trusts the host's certificates, read at the first `https` call.
mod unix;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The way to another perfmon.
#[derive(Clone, Debug)]
pub struct PerfmonAgent {
    /// Sends requests to it.
    pub agent: Agent,
    /// What their URLs begin with.
    pub base: String,
}

/// Whose certificate another perfmon may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedRoots {
    /// Those in this file alone.
    Only(PathBuf),
    /// Those of this host, and those in the file, if there is one.
    HostAnd(Option<PathBuf>),
}

/// Why another perfmon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of trusted certificates cannot be read.
    #[error("--ca {}: {source}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It holds none.
    #[error("--ca {}: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    Empty(PathBuf),
}

/// The way to a URL of the world outside, through the proxy that the environment names, if any. `timeout` is for a whole exchange.
pub fn agent(url: &str, timeout: Duration) -> Agent {
    let roots = if url.starts_with("https://") { trusted() } else { RootCerts::Specific(Arc::default()) };
    let tls = TlsConfig::builder().root_certs(roots).build();
    let builder = Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).tls_config(tls);
    builder.max_redirects(0).max_redirects_will_error(false).user_agent(concat!("perfmon/", env!("CARGO_PKG_VERSION"))).build().into()
}

/// The way to the perfmon at `http://…`, `https://…` or `unix:/path`, never through a proxy.
pub fn direct(url: &str, roots: &TrustedRoots, timeout: Duration) -> Result<PerfmonAgent, TrustError> {
    let roots = if url.starts_with("https://") { roots.read()? } else { RootCerts::Specific(Arc::default()) };
    let tls = TlsConfig::builder().root_certs(roots).build();
    let builder = Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).tls_config(tls);
    let config = builder.max_redirects(0).max_redirects_will_error(false).proxy(None).build();
    Ok(match url.strip_prefix("unix:") {
        Some(path) => PerfmonAgent { agent: unix::agent(path.into(), config), base: "http://localhost".into() },
        None => PerfmonAgent { agent: config.into(), base: url.trim_end_matches('/').into() },
    })
}

impl TrustedRoots {
    fn read(&self) -> Result<RootCerts, TrustError> {
        choose_provider();
        match self {
            Self::Only(path) => {
                let pem = std::fs::read(path).map_err(|source| TrustError::Unreadable { path: path.clone(), source })?;
                let found = certificates(&pem);
                if found.is_empty() { Err(TrustError::Empty(path.clone())) } else { Ok(found.into()) }
            }
            Self::HostAnd(more) => {
                let RootCerts::Specific(host) = trusted() else { return Ok(trusted()) };
                let own = more.as_deref().map(|path: &Path| std::fs::read(path).unwrap_or_default());
                Ok(host.iter().cloned().chain(certificates(&own.unwrap_or_default())).collect::<Vec<_>>().into())
            }
        }
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(|der| Some(Certificate::from_der(&der.ok()?).to_owned())).collect()
}

/// Whoever was first chose the same.
fn choose_provider() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

fn trusted() -> RootCerts {
    static TRUSTED: OnceLock<RootCerts> = OnceLock::new();
    let read = || {
        choose_provider();
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            tracing::error!("This host has no trusted certificates, so no server is trusted over HTTPS; install ca-certificates.");
        }
        found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into()
    };
    TRUSTED.get_or_init(read).clone()
}
