//! Texts: paths and their templates, what must not leave perfmon, queries of the HTTP API. No panic; redacted texts are stable, and a path has
//! the template of its redacted form.
use perfmon_user::aggregate::endpoint::learn::Tree;
use perfmon_user::aggregate::endpoint::template;
use perfmon_user::redact as redacted;

/// Lines of paths, which one service has.
pub fn endpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut tree = Tree::default();
    for (row, line) in text.lines().take(64).enumerate() {
        let Some(path) = template::origin_form(line) else { continue };
        let (mut raw, mut redacted) = (String::new(), String::new());
        template::template(path, &mut raw);
        template::template(&redacted::path(path), &mut redacted);
        assert_eq!(raw, redacted, "the template of {path:?}");
        if tree.find(&raw).is_none() {
            tree.insert(&raw, row as u32, &|_| 1);
        }
    }
}

/// A text.
pub fn redact(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = redacted::path(text);
    assert_eq!(redacted::path(&path), path, "a path that was cleaned is clean");
    let clean = redacted::text(text);
    assert_eq!(redacted::text(&clean), clean, "a text that was cleaned is clean");
    redacted::host(text);
    redacted::host_bytes(data);
}

/// The query of a URL.
pub fn query(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        perfmon_user::http::read_query(text);
    }
}

/// SQL: any text is read, the result is short.
pub fn sql(data: &[u8]) {
    let text = String::from_utf8_lossy(&data[..data.len().min(perfmon_user::proto::sql::TEXT_BYTES)]);
    for statement in perfmon_user::proto::sql::postgresql(&text, false) {
        assert!(statement.query.len() <= perfmon_user::proto::sql::QUERY_BYTES + 8, "a query is cut");
    }
}
