//! Templates of paths that real services have, and the bounds on any path.
use proptest::prelude::*;

use super::*;

fn of(path: &str) -> String {
    let mut out = String::from("left over");
    template(path, &mut out);
    out
}

#[test]
fn values_become_parameters_and_words_stay() {
    for (path, expected) in [
        ("/users/42", "/users/{id}"),
        ("/users/550e8400-e29b-41d4-a716-446655440000/orders/7", "/users/{id}/orders/{id}"),
        ("/api/v1/items/a1b2c3d4e5f6", "/api/v1/items/{id}"),
        ("/api/v2/reports/2024-01-31", "/api/v2/reports/{id}"),
        ("/users/bob@example.com/inbox", "/users/{id}/inbox"),
        ("/users/bob%40example.com", "/users/{id}"),
        ("/oauth2/token", "/oauth2/token"),
        ("/s3/utf8/index2.html", "/s3/utf8/index2.html"),
        ("/orders/123.json", "/orders/{id}.json"),
        ("/static/main.8f3a2b1c.js", "/static/main.{id}.js"),
        ("/static/app-5d8f7c2e.css", "/static/app-{id}.css"),
        ("/static/jquery-3.6.0.min.js", "/static/jquery-3.6.0.min.js"),
        ("/shop/order-12345/lines", "/shop/order-{id}/lines"),
        ("/files/user-550e8400-e29b-41d4-a716-446655440000.png", "/files/user-{id}.png"),
        ("/logs/app-2024-01-31.log", "/logs/app-{id}.log"),
        ("/logs/2024-01-31T10-22-33-access.log", "/logs/{id}-access.log"),
        ("/invoices/INV00012345", "/invoices/INV{id}"),
        ("/customers/cus_NffrFeUfNV2Hib", "/customers/{id}"),
        ("/projects/group%2Fproject/issues/5", "/projects/{id}/issues/{id}"),
        ("/hosts/10.0.0.1/ping", "/hosts/{id}/ping"),
        ("/pkg.Service/GetUserByName", "/pkg.Service/GetUserByName"),
        ("/.well-known/openid-configuration", "/.well-known/openid-configuration"),
    ] {
        assert_eq!(of(path), expected, "{path}");
    }
}

#[test]
fn forms_of_a_target() {
    for (path, expected) in [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("*", "*"),
        ("/users/", "/users/"),
        ("/users//42", "/users/{id}"),
        ("/a;jsessionid=9A8B/b;x=1", "/a/b"),
        ("/users/42?full=1", "/users/{id}"),
        ("/users/42#top", "/users/{id}"),
        ("http://example.com/users/42", "/users/{id}"),
        ("http://example.com", "/"),
        ("example.com:443", "{authority}"),
        ("/%7Euser/caf%c3%a9", "/~user/caf%C3%A9"),
        ("/100%/x%2", "/100%/x%2"),
        ("/%%34A", "/%%34A"),
        ("/a/%3Bx=1/", "/a/"),
        ("/a/%3Bx=1", "/a/"),
        ("/a/;x=1", "/a/"),
        ("/a;x=1/", "/a/"),
        ("/;x=1", "/"),
        ("/:~@aaaaa0A0", "/{token}@{id}"),
        ("/967588147sk-v1RTHTYMCNK_38287604926089801", "/{token}{id}"),
        ("/2024-01-31SRWUWAOR3290580A0a0A4755380rB日eyJ", "/{token}日eyJ"),
        ("/aa000aAamwzvqgmts58651_6820828356271", "/{token}"),
        ("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/{rest}"),
        ("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/%3Bx=1", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/"),
    ] {
        assert_eq!(of(path), expected, "{path}");
    }
}

proptest! {
    #[test]
    fn any_path_has_a_template_that_is_its_own_template(path in "(/|%[0-9a-fA-F]{2}|[a-zA-Z0-9._~;@:-]{1,12}|\\PC){0,24}") {
        let once = of(&path);
        prop_assert!(once == "*" || once == AUTHORITY || once.starts_with('/'));
        if once.starts_with('/') {
            prop_assert_eq!(of(&once), once);
        }
    }

    #[test]
    fn numbers_never_remain(number in any::<u64>(), word in "[a-z]{1,15}") {
        prop_assert_eq!(of(&format!("/{word}/{number}/x")), format!("/{word}/{{id}}/x"));
    }

    #[test]
    fn words_always_remain(words in prop::collection::vec("[a-z]{1,15}", 1..8)) {
        let path = format!("/{}", words.join("/"));
        prop_assert_eq!(of(&path), path);
    }
}
