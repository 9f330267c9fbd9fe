//! Keys of the HTTP server: who may ask it, and over what.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::export::Secret;
use super::key::{About, Key, show_list, show_text};
use super::keys::{about, name_of, words};
use super::node::{Checked, ConfigNode};
use super::origin::{ConfigProblem, SettingOrigin};
use super::settings::Config;

const TOKEN_FILE_PATH: &str = "http.token_file";
const NO_TOKEN: &str = "must have 16 characters or more, without spaces; try `openssl rand -hex 16`";
const LOOPBACKS: [(&str, bool); 2] = [("users", false), ("open", true)];

pub(super) const HOSTS: Key<Config> = Key {
    about: about(
        "http.hosts",
        None,
        "list of host names",
        "Host names, besides `localhost`, under which the server may be reached; requests with any other `Host` are refused, which prevents DNS rebinding.",
    ),
    set: |config, node| node.list(words).map(|hosts| config.http.hosts = hosts),
    show: |config| show_list(&config.http.hosts, |host| show_text(host)),
};

pub(super) const TOKEN: Key<Config> = Key {
    about: About {
        secret: true,
        ..about(
            "http.token",
            None,
            "text of 16 characters or more",
            "Token that requests from other machines must carry as `Authorization: Bearer TOKEN`, and with which any user of this host is let in; required when `listen` is not a loopback address.",
        )
    },
    set: |config, node| {
        token(node).map(|value| {
            config.http.token = Some(value);
            config.http.token_file = None;
        })
    },
    show: |config| config.http.token.as_ref().filter(|_| config.http.token_file.is_none()).map(|token| show_text(token.expose())),
};

pub(super) const TOKEN_FILE: Key<Config> = Key {
    about: about(
        TOKEN_FILE_PATH,
        None,
        "path",
        "File that holds the token instead, like a credential of systemd. Where it cannot be read, `perfmon run` does not start and the other commands have no token.",
    ),
    set: |config, node| {
        let path = node.text()?;
        config.http.token = read_token(node, Path::new(path))?;
        config.http.token_file = Some(path.into());
        Ok(())
    },
    show: |config| show_path(&config.http.token_file),
};

pub(super) const ALLOW_USERS: Key<Config> = Key {
    about: about(
        "http.allow_users",
        None,
        "list of user names or numbers",
        "Users of this host who may read and act without a token, besides root and the user who started perfmon through sudo, doas or pkexec. Others get `/health/performance`, `/healthz` and `/readyz`.",
    ),
    set: |config, node| node.list(words).map(|users| config.http.allow_users = users),
    show: |config| show_list(&config.http.allow_users, |user| show_text(user)),
};

pub(super) const ALLOW_GROUPS: Key<Config> = Key {
    about: about(
        "http.allow_groups",
        None,
        "list of group names or numbers",
        "The same for the members of groups in `/etc/group`, as they are when perfmon starts.",
    ),
    set: |config, node| node.list(words).map(|groups| config.http.allow_groups = groups),
    show: |config| show_list(&config.http.allow_groups, |group| show_text(group)),
};

pub(super) const LOOPBACK: Key<Config> = Key {
    about: about(
        "http.loopback",
        None,
        "`users` or `open`",
        "Who may read on loopback: the users above, or with `open` every user of this host. Acting on alerts is always theirs alone.",
    ),
    set: |config, node| node.choice(&LOOPBACKS).map(|open| config.http.open_loopback = open),
    show: |config| Some(name_of(&LOOPBACKS, config.http.open_loopback)),
};

pub(super) const TLS_CERT: Key<Config> = Key {
    about: about(
        "http.tls_cert",
        None,
        "path",
        "File of the server's certificate in PEM, its own first, then those between it and the root. With it every TCP address of `listen` speaks HTTPS (TLS 1.2 and 1.3, HTTP/1.1). SIGHUP reads the file and the key again.",
    ),
    set: |config, node| path(node).map(|path| config.http.tls_cert = Some(path)),
    show: |config| show_path(&config.http.tls_cert),
};

pub(super) const TLS_KEY: Key<Config> = Key {
    about: about(
        "http.tls_key",
        None,
        "path",
        "File of the certificate's private key in PEM, without a passphrase. Only root, or the user that perfmon runs as, should be able to read it.",
    ),
    set: |config, node| path(node).map(|path| config.http.tls_key = Some(path)),
    show: |config| show_path(&config.http.tls_key),
};

pub(super) const TLS_CA: Key<Config> = Key {
    about: about(
        "http.tls_ca",
        Some("--ca"),
        "path",
        "File of the certificates in PEM that `perfmon top` and `perfmon alerts` trust when they ask an `https://` URL; else those of this host, and the one in `http.tls_cert`.",
    ),
    set: |config, node| path(node).map(|path| config.http.tls_ca = Some(path)),
    show: |config| show_path(&config.http.tls_ca),
};

fn path(node: &ConfigNode) -> Checked<PathBuf> {
    node.text().map(PathBuf::from)
}

fn show_path(path: &Option<PathBuf>) -> Option<String> {
    path.as_ref().map(|path| show_text(&path.to_string_lossy()))
}

/// One source gives the token in two ways. Of different sources the later one counts, as for every key.
pub(super) fn token_contradiction(origins: &BTreeMap<&'static str, SettingOrigin>) -> Option<ConfigProblem> {
    let (typed, file) = (origins.get(TOKEN.about.path)?, origins.get(TOKEN_FILE_PATH)?);
    let is_same = std::mem::discriminant(typed) == std::mem::discriminant(file);
    is_same.then(|| ConfigProblem::new(format!("{TOKEN_FILE_PATH} ({file})"), format!("http.token is set too ({typed}); keep one of them")))
}

fn token(node: &ConfigNode) -> Checked<Secret> {
    let text = node.text()?;
    if is_token(text) { Ok(Secret::new(text)) } else { node.fault(NO_TOKEN) }
}

/// The token in a file; none when it cannot be read here. A credential of systemd is there for the running service alone: `perfmon run` then
/// refuses to start, other commands go on without.
fn read_token(node: &ConfigNode, path: &Path) -> Checked<Option<Secret>> {
    match std::fs::read_to_string(path) {
        Ok(text) if is_token(text.trim()) => Ok(Some(Secret::new(text.trim()))),
        Ok(_) => node.fault(format!("{}: a token {NO_TOKEN}", path.display())),
        Err(_) => Ok(None),
    }
}

fn is_token(text: &str) -> bool {
    text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic())
}
