//! Which of several media types a client wants (RFC 9110, 12.5.1): that of the highest quality, of those the most exactly named, of those the
//! first offered. A client that accepts none of them gets the first, which says more than a refusal.
use axum::http::{HeaderMap, header};

/// Index of the offered type that the client wants.
pub(super) fn preferred(headers: &HeaderMap, offered: &[&str]) -> usize {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f32)> = values.flat_map(|value| value.split(',')).map(range).collect();
    let mut best = (0.0, 0, 0);
    for (index, media_type) in offered.iter().enumerate() {
        let matched = ranges.iter().filter_map(|(range, quality)| Some((exactness(range, media_type)?, *quality)));
        // The most exact range that matches says how much a type is wanted.
        let Some((exactness, quality)) = matched.max_by_key(|(exactness, _)| *exactness) else { continue };
        if quality > best.0 || (quality > 0.0 && quality == best.0 && exactness > best.1) {
            best = (quality, exactness, index);
        }
    }
    best.2
}

/// A media range and its quality.
fn range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |quality| quality.trim().parse().unwrap_or(0.0));
    (name, quality)
}

/// 2: the type itself, 1: all of its family, 0: all; `None`: not this one.
fn exactness(range: &str, media_type: &str) -> Option<u8> {
    let family = media_type.split('/').next().unwrap_or_default();
    match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(media_type) => Some(2),
        Some((of_range, "*")) if of_range.eq_ignore_ascii_case(family) => Some(1),
        Some(("*", "*")) => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses() {
        let offered = ["application/json", "text/html", "text/csv"];
        let chosen = |accept: &str| {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            offered[preferred(&headers, &offered)]
        };
        assert_eq!(chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), "text/html");
        assert_eq!([chosen(""), chosen("*/*"), chosen("image/png"), chosen("garbage;q=x")], ["application/json"; 4]);
        assert_eq!([chosen("text/csv"), chosen("TEXT/CSV;q=0.5"), chosen("text/csv, */*")], ["text/csv"; 3]);
        assert_eq!([chosen("text/*"), chosen("text/csv;q=0, text/*")], ["text/html"; 2]);
        assert_eq!(chosen("text/html;q=0.2, text/csv;q=0.9"), "text/csv");
    }
}
