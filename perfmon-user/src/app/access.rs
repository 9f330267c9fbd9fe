//! Who may ask the HTTP server: from the configuration and from who started perfmon to [`Access`].
use crate::config::{Config, ListenAddress, Secret};
use crate::http::{Access, AccountFiles, Admitted};

/// Where sudo, doas and pkexec leave the user who called them.
const STARTED_BY: [&str; 3] = ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"];

/// The access that the configuration describes, and the group that may use unix sockets. Errors: users and groups that do not exist, a
/// sentence each.
pub fn access(config: &Config) -> Result<(Access, Option<u32>), Vec<String>> {
    let started_by: Vec<String> = STARTED_BY.iter().filter_map(|name| std::env::var(name).ok()).collect();
    let http = &config.http;
    let files = AccountFiles::read();
    let admitted = Admitted::new(&files, &started_by, &http.allow_users, &http.allow_groups)?;
    let group = match &http.allow_groups[..] {
        [group] => files.gid(group),
        _ => None,
    };
    if let (None, Some(file)) = (&http.token, &http.token_file) {
        let why = std::fs::read(file).err().map_or_else(|| "it has changed".to_owned(), |error| error.to_string());
        return Err(vec![format!("http.token_file: {} cannot be read: {why}", file.display())]);
    }
    let token = http.token.as_ref().map(|token| Secret::expose(token).to_owned());
    let loopback = config.listen.iter().all(ListenAddress::is_local);
    Ok((Access::new(loopback, &http.hosts, token).admitting(admitted, http.open_loopback), group))
}

/// Says what a reader of the network could see.
pub fn warn_of_clear_text(config: &Config) {
    for listen in config.listen.iter().filter(|address| !address.is_local() && config.http.tls_cert.is_none()) {
        tracing::warn!(%listen, "Tokens and answers travel unencrypted to and from other machines: set http.tls_cert and http.tls_key, or use a tunnel.");
    }
}
