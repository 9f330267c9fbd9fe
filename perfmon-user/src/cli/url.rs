//! The address of a running perfmon, from `--url` or the configuration: HTTP, HTTPS or a unix socket.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Config, ListenAddress};

const HOW: &str = "write it like http://127.0.0.1:9911, https://HOST:9911 or unix:/run/perfmon.sock";

/// `http://host:port`, `https://host:port` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    scheme: &'static str,
    /// Host and port, or the path.
    place: String,
}

impl Url {
    /// Parses the address; the error shows the syntax.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/') && !path.contains('\0');
            return if is_path {
                Ok(Self { scheme: "unix:", place: path.into() })
            } else {
                Err(format!("{text:?} has no absolute path; {HOW}"))
            };
        }
        let schemes = ["http://", "https://"];
        let Some((scheme, rest)) = schemes.iter().find_map(|scheme| Some((*scheme, text.strip_prefix(scheme)?))) else {
            return Err(format!("{text:?} is not a URL; {HOW}"));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
        match port.map(str::parse::<u16>) {
            _ if !named && !bracketed => Err(format!("{text:?} has no host, or it has a path; {HOW}")),
            Some(Err(_) | Ok(0)) => Err(format!("{text:?} has no valid port; {HOW}")),
            Some(Ok(_)) => Ok(Self { scheme, place: authority.into() }),
            None => Ok(Self { scheme, place: format!("{authority}:9911") }),
        }
    }

    /// The URL of a listening address; an unspecified one is reached through loopback.
    pub fn of(listen: &ListenAddress, speaks_tls: bool) -> Self {
        let listen = match listen {
            ListenAddress::Tcp(address) => *address,
            ListenAddress::Unix(path) => return Self { scheme: "unix:", place: path.display().to_string() },
        };
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let scheme = if speaks_tls { "https://" } else { "http://" };
        Self { scheme, place: SocketAddr::new(ip, listen.port()).to_string() }
    }

    /// The dashboard's.
    pub fn of_page(&self) -> String {
        if self.scheme == "unix:" { self.to_string() } else { format!("{self}/") }
    }

    /// How the perfmon with this configuration is reached on its own host: over its unix socket where it speaks HTTPS, whose certificate seldom
    /// names 127.0.0.1; else at its first address.
    pub fn of_configured(config: &Config) -> Self {
        let speaks_tls = config.http.tls_cert.is_some();
        let unix = config.listen.iter().find(|address| speaks_tls && matches!(address, ListenAddress::Unix(_)));
        Self::of(unix.or(config.listen.first()).unwrap_or(&ListenAddress::USUAL), speaks_tls)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scheme, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (text, url) in [
            ("http://127.0.0.1:9911", "http://127.0.0.1:9911"),
            ("http://box.lan:80/", "http://box.lan:80"),
            ("http://localhost", "http://localhost:9911"),
            ("http://[::1]:5", "http://[::1]:5"),
            ("http://[::1]", "http://[::1]:9911"),
            ("https://box.lan", "https://box.lan:9911"),
            ("unix:/run/perfmon.sock", "unix:/run/perfmon.sock"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), url);
        }
    }

    #[test]
    fn malformed_urls_are_refused_with_the_mend() {
        for text in [
            "",
            "localhost:9911",
            "unix:run",
            "unix:",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:b",
            "http://a:0",
            "http://a:99999",
            "http://a/b",
            "http://[::1",
            "http://a b",
        ] {
            assert!(Url::parse(text).unwrap_err().contains("http://127.0.0.1:9911"), "{text}");
        }
    }

    #[test]
    fn the_url_of_a_configuration_is_one_that_answers_here() {
        let url = |listen: &str, tls: bool| {
            let listen = listen.split(',').map(|text| match text.strip_prefix("unix:") {
                Some(path) => ListenAddress::Unix(path.into()),
                None => ListenAddress::Tcp(text.parse().unwrap()),
            });
            let mut config = Config { listen: listen.collect(), ..Config::default() };
            config.http.tls_cert = tls.then(|| "c.pem".into());
            Url::of_configured(&config).to_string()
        };
        assert_eq!(url("0.0.0.0:1", false), "http://127.0.0.1:1");
        assert_eq!(url("[::]:1", true), "https://[::1]:1");
        assert_eq!(url("127.0.0.1:1,unix:/p", false), "http://127.0.0.1:1");
        assert_eq!(url("0.0.0.0:1,unix:/p", true), "unix:/p");
        assert_eq!(url("unix:/p,127.0.0.1:1", false), "unix:/p");
    }
}
