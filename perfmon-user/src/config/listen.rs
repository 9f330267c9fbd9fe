//! Where the HTTP server listens. In: `address:port` or `unix:/path`, one or several; out: checked addresses.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::key::{show_list, show_text};
use super::node::{Checked, ConfigNode, RawValue, gather};

/// Longest path of a unix socket: `sun_path` of unix(7), without its last zero.
const PATH_BYTES: usize = 107;
const HOW: &str = "write it like 127.0.0.1:9911, [::1]:9911 or unix:/run/perfmon.sock";

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The file of a unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The one that is used unless another is named.
    pub const USUAL: Self = Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9911));

    /// Whether only this host reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    fn read(node: &ConfigNode) -> Checked<Self> {
        let text = node.text()?;
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                _ if !path.starts_with('/') => node.fault(format!("{text:?} has no absolute path; {HOW}")),
                _ if path.len() > PATH_BYTES => node.fault(format!("{text:?} is too long: a path has {PATH_BYTES} bytes at most")),
                path => Ok(Self::Unix(path.into())),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        match (host, port.parse()) {
            ("localhost", Ok(port)) => Ok(Self::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
            _ if text.parse::<IpAddr>().is_ok() => node.fault(format!("{text:?} has no port; {HOW}")),
            _ => node.fault(format!("{text:?} is not an address with a port; {HOW}")),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub(super) fn read(node: &ConfigNode) -> Checked<Vec<ListenAddress>> {
    let addresses = match &node.value {
        RawValue::Text(_) => vec![ListenAddress::read(node)?],
        // The bracket may be that of an IPv6 address.
        RawValue::Word(text) if !is_toml_list(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            gather(parts.map(|part| ListenAddress::read(&ConfigNode::word(part))))?
        }
        _ => node.list(ListenAddress::read)?,
    };
    if addresses.is_empty() { node.fault(format!("names no address; {HOW}")) } else { Ok(addresses) }
}

fn is_toml_list(text: &str) -> bool {
    text.trim_start().strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', '\'']))
}

pub(super) fn show(addresses: &[ListenAddress]) -> Option<String> {
    match addresses {
        [address] => Some(show_text(&address.to_string())),
        addresses => show_list(addresses, |address| show_text(&address.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        read(&ConfigNode::word(text)).map(|addresses| show(&addresses).unwrap_or_default()).map_err(|faults| faults[0].message.clone())
    }

    #[test]
    fn one_or_several_addresses_are_read() {
        assert_eq!(shown("localhost:3").unwrap(), "\"127.0.0.1:3\"");
        assert_eq!(shown("unix:/run/perfmon.sock").unwrap(), "\"unix:/run/perfmon.sock\"");
        assert_eq!(shown("['[::1]:9', 'unix:/a']").unwrap(), "[\"[::1]:9\", \"unix:/a\"]");
        assert_eq!(shown("[::1]:9").unwrap(), "\"[::1]:9\"");
        assert_eq!(shown("[::1]:9,unix:/a b").unwrap(), "[\"[::1]:9\", \"unix:/a b\"]");
    }

    #[test]
    fn others_are_refused_with_the_mend() {
        let long = format!("unix:/{}", "x".repeat(PATH_BYTES));
        for text in ["127.0.0.1", "nowhere", "unix:", "unix:run/p", "unix:@name", "localhost:http", ","] {
            assert!(shown(text).unwrap_err().contains("127.0.0.1:9911"), "{text}");
        }
        assert!(shown(&long).unwrap_err().contains("107"));
    }

    #[test]
    fn only_addresses_of_this_host_are_local() {
        let is_local = |text: &str| read(&ConfigNode::word(text)).unwrap()[0].is_local();
        assert!(is_local("127.0.0.1:1") && is_local("[::1]:1") && is_local("unix:/a"));
        assert!(!is_local("0.0.0.0:1") && !is_local("10.0.0.1:1"));
    }
}
