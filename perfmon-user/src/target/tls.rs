//! The TLS library that a process has mapped, by file name, and the coverage of its encrypted traffic, in words. `probe` finds the functions
//! in the library. All wording about TLS for users stands here.
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A shared TLS library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTlsLibrary {
    /// Its name with the version that its file name tells: `OpenSSL 3`.
    pub library: Arc<str>,
    /// Its file, as the process's mount namespace names it.
    pub path: PathBuf,
}

impl std::fmt::Display for SharedTlsLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.library, self.path.display())
    }
}

/// The library that matters most among the mapped files: OpenSSL before others.
pub(super) fn find(mapped: &[PathBuf]) -> Option<SharedTlsLibrary> {
    let libraries = mapped.iter().filter_map(|path| Some((library(path)?, path)));
    libraries.min_by_key(|((rank, _), _)| *rank).map(|((_, name), path)| SharedTlsLibrary { library: name.into(), path: path.clone() })
}

/// Rank and name. Python wheels bundle `libssl-1a2b3c4d.so.1.1`.
fn library(path: &Path) -> Option<(u8, String)> {
    let (stem, version) = path.file_name()?.to_str()?.split_once(".so")?;
    let version = version.trim_start_matches('.');
    let bundled = stem.strip_prefix("libssl-").is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    let named = |name: &str| Some((2, if version.is_empty() { name.to_owned() } else { format!("{name} {version}") }));
    match stem {
        "libssl" if version.is_empty() => Some((1, "OpenSSL or BoringSSL".to_owned())),
        // LibreSSL counts from 30 on, OpenSSL has 3 at present.
        "libssl" if major.is_some_and(|major| major >= 30) => Some((1, "LibreSSL".to_owned())),
        _ if stem == "libssl" || bundled => Some((0, format!("OpenSSL {version}"))),
        "libgnutls" => Some((2, "GnuTLS".to_owned())),
        "libssl3" => Some((2, "NSS".to_owned())),
        "libmbedtls" => named("Mbed TLS"),
        "libwolfssl" => named("wolfSSL"),
        "libs2n" => named("s2n-tls"),
        _ => None,
    }
}

/// What can be seen of a process's encrypted traffic. `probed`: whether its shared OpenSSL took the probes, or why not; `None` when it
/// has none, or no attempt was made.
pub(super) fn outlook(runtime: Option<&str>, tls: Option<&SharedTlsLibrary>, probed: Option<Result<(), &str>>) -> Cow<'static, str> {
    match probed {
        Some(Ok(())) => "shared OpenSSL: plaintext".into(),
        Some(Err(reason)) => format!("shared OpenSSL, plaintext not read because {reason}: only destination, times and sizes").into(),
        None => unprobed(runtime, tls).into(),
    }
}

fn unprobed(runtime: Option<&str>, tls: Option<&SharedTlsLibrary>) -> &'static str {
    match (tls, runtime) {
        (Some(tls), _) if tls.library.contains("OpenSSL") || &*tls.library == "LibreSSL" => "shared OpenSSL: plaintext while perfmon runs",
        (Some(_), _) => "shared library other than OpenSSL: no plaintext, only destination, times and sizes",
        (None, Some("go")) => "Go's own TLS, if it uses TLS: no plaintext yet, only destination, times and sizes",
        (None, Some("node")) => "OpenSSL built into node: no plaintext yet, only destination, times and sizes",
        (None, Some("bun")) => "BoringSSL built into Bun: no plaintext yet, only destination, times and sizes",
        (None, Some("jvm")) => "Java's own TLS, if it uses TLS: no plaintext, only destination, times and sizes",
        (None, Some("deno")) => "rustls built into Deno: no plaintext, only destination, times and sizes",
        (None, _) => "no shared TLS library loaded: of TLS linked into the program, only destination, times and sizes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_by_file_name() {
        let table = [
            ("/usr/lib/x86_64-linux-gnu/libssl.so.3", Some("OpenSSL 3")),
            ("/opt/openssl/libssl.so.1.1", Some("OpenSSL 1.1")),
            ("/usr/lib/libssl.so.1.0.0", Some("OpenSSL 1.0.0")),
            ("/venv/psycopg2_binary.libs/libssl-3b1b1ab5.so.1.1", Some("OpenSSL 1.1")),
            ("/usr/lib/libssl.so.53.0.2", Some("LibreSSL")),
            ("/system/lib64/libssl.so", Some("OpenSSL or BoringSSL")),
            ("/usr/lib/x86_64-linux-gnu/libgnutls.so.30.34.3", Some("GnuTLS")),
            ("/usr/lib/x86_64-linux-gnu/libssl3.so", Some("NSS")),
            ("/usr/lib/libmbedtls.so.14", Some("Mbed TLS 14")),
            ("/usr/lib/x86_64-linux-gnu/libcrypto.so.3", None),
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", None),
            ("/usr/bin/libssl", None),
        ];
        for (path, expected) in table {
            assert_eq!(find(&[path.into()]).map(|tls| tls.library.to_string()).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn openssl_comes_first() {
        let tls = find(&["/a/libgnutls.so.30".into(), "/a/libssl.so.3".into()]).unwrap();
        assert_eq!(tls.to_string(), "OpenSSL 3 (/a/libssl.so.3)");
        assert_eq!(outlook(Some("python"), Some(&tls), Some(Ok(()))), "shared OpenSSL: plaintext");
        assert!(outlook(Some("python"), Some(&tls), Some(Err("it is odd"))).contains("because it is odd"));
        assert!(outlook(Some("python"), Some(&tls), None).starts_with("shared OpenSSL"));
        assert!(outlook(Some("jvm"), None, None).contains("no plaintext"));
    }
}
