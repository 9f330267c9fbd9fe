//! Who may ask the HTTP server: from the configuration and from who started perfmon to [`Access`].
use crate::config::{Config, Secret};
use crate::http::{Access, AccountFiles, Admitted};

/// Where sudo, doas and pkexec leave the user who called them.
const STARTED_BY: [&str; 3] = ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"];

/// The access that the configuration describes. Errors: users and groups that do not exist, a sentence each.
pub fn access(config: &Config) -> Result<Access, Vec<String>> {
    let started_by: Vec<String> = STARTED_BY.iter().filter_map(|name| std::env::var(name).ok()).collect();
    let http = &config.http;
    let admitted = Admitted::new(&AccountFiles::read(), &started_by, &http.allow_users, &http.allow_groups)?;
    let token = http.token.as_ref().map(|token| Secret::expose(token).to_owned());
    Ok(Access::new(config.listen, &http.hosts, token).admitting(admitted, http.open_loopback))
}

/// Says what a reader of the network could see.
pub fn warn_of_clear_text(config: &Config) {
    if !config.listen.ip().is_loopback() {
        tracing::warn!(listen = %config.listen, "Tokens and answers travel unencrypted to and from other machines; put a TLS proxy in front, or use a tunnel.");
    }
}
