//! The address of a running perfmon, from `--url`. Plain HTTP only, the only protocol that perfmon serves.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    authority: String,
}

impl Url {
    /// Parses the address; the error shows the syntax.
    pub fn parse(text: &str) -> Result<Self, String> {
        let how = "write it like http://127.0.0.1:9911";
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(match text.starts_with("https://") {
                true => format!("{text:?}: perfmon serves plain HTTP; use a tunnel to reach another machine, and {how}"),
                false => format!("{text:?} is not a URL; {how}"),
            });
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
        match port.map(str::parse::<u16>) {
            _ if !named && !bracketed => Err(format!("{text:?} has no host, or it has a path; {how}")),
            Some(Err(_) | Ok(0)) => Err(format!("{text:?} has no valid port; {how}")),
            Some(Ok(_)) => Ok(Self { authority: authority.into() }),
            None => Ok(Self { authority: format!("{authority}:9911") }),
        }
    }

    /// The URL of a listening address; an unspecified one is reached through loopback.
    pub fn of(listen: SocketAddr) -> Self {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self { authority: SocketAddr::new(ip, listen.port()).to_string() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
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
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), url);
        }
    }

    #[test]
    fn malformed_urls_are_refused_with_the_mend() {
        for text in [
            "",
            "localhost:9911",
            "https://localhost",
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
    fn an_unspecified_address_is_reached_through_loopback() {
        assert_eq!(Url::of("0.0.0.0:1".parse().unwrap()).to_string(), "http://127.0.0.1:1");
        assert_eq!(Url::of("[::]:1".parse().unwrap()).to_string(), "http://[::1]:1");
    }
}
