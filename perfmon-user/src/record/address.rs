//! Names of the other end, as `destination` and `peer` write them, taken apart.

/// A name and a port out of `host`, `host:port`, `ip:port`, `[ip]:port`.
pub fn address(text: &str) -> (&str, Option<u64>) {
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address without brackets has no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (text, None),
    };
    if port.is_none() && !text.ends_with(']') {
        return (text, None);
    }
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, parts) in [
            ("shop.example", ("shop.example", None)),
            ("shop.example:8443", ("shop.example", Some(8443))),
            ("10.0.0.1:80", ("10.0.0.1", Some(80))),
            ("[::1]:80", ("::1", Some(80))),
            ("[::1]", ("::1", None)),
            ("fe80::1", ("fe80::1", None)),
            ("unix:/run/x.sock", ("unix:/run/x.sock", None)),
        ] {
            assert_eq!(address(text), parts, "{text}");
        }
    }
}
