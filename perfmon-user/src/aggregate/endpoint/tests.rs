//! Rows of requests: limits, floods, special rows, rules and forgetting.
use super::*;
use crate::aggregate::tests::request;
use crate::record::Side;

fn endpoints(patterns: &[&str]) -> Endpoints {
    let rule = |pattern: &&str| EndpointRule { service: None, method: None, pattern: (*pattern).into() };
    Endpoints::new(patterns.iter().map(rule).collect())
}

fn see(endpoints: &mut Endpoints, path: &str, status: u16) -> String {
    let mut request = request(Side::Server, path);
    request.status_code = Some(status);
    let row = endpoints.locate(&request).row;
    endpoints.take_merged();
    endpoints.name(row).unwrap().endpoint.to_string()
}

/// Words that neither form nor learning takes for values: each names a collection.
fn collection(number: usize) -> String {
    let letter = |at: u32| char::from(b'a' + (number / 26_usize.pow(at) % 26) as u8);
    format!("/w{}{}{}/x", letter(2), letter(1), letter(0))
}

#[test]
fn a_path_is_found_again_by_cache_and_by_tree() {
    let mut endpoints = endpoints(&[]);
    for _ in 0..3 {
        assert_eq!(see(&mut endpoints, "/users/7", 200), "/users/{id}");
    }
    assert_eq!(see(&mut endpoints, "/users/8", 404), "/users/{id}", "a known endpoint keeps its 404s");
    assert_eq!(endpoints.rows.len(), 1);
}

#[test]
fn a_flood_of_unknown_paths_is_one_row_and_no_memory() {
    let mut endpoints = endpoints(&[]);
    for number in 0..20_000 {
        let status = [404, 404, 404, 400, 405][number % 5];
        assert_eq!(see(&mut endpoints, &format!("/wp-{}/x{number}/admin.php", number * 7), status), "(not found)");
    }
    let row = endpoints.rows.iter().next().unwrap();
    assert_eq!((endpoints.rows.len(), &*row.name.method, row.hits), (1, "*", 20_000));
    assert!(endpoints.services.iter().all(|service| service.trees.is_empty()));
}

#[test]
fn a_path_gets_its_row_once_it_is_answered_otherwise() {
    let mut endpoints = endpoints(&[]);
    assert_eq!(see(&mut endpoints, "/late", 404), "(not found)");
    assert_eq!(see(&mut endpoints, "/late", 200), "/late");
    assert_eq!(see(&mut endpoints, "/late", 404), "/late");
    assert_eq!(see(&mut endpoints, "/always-broken", 500), "/always-broken");
}

#[test]
fn a_service_that_answers_everything_stays_within_the_limit() {
    let mut endpoints = endpoints(&[]);
    for number in 0..3_000 {
        let path = (0..number % 5).fold(String::new(), |path, depth| path + &collection(number * 31 + depth * 7)) + &collection(number);
        see(&mut endpoints, &path, 200);
    }
    assert!(endpoints.rows.len() <= limits::ENDPOINTS_PER_SERVICE + 1, "{}", endpoints.rows.len());
    assert_eq!(endpoints.rows.iter().map(|row| row.hits).sum::<u64>(), 3_000);
    assert!(endpoints.memory_bytes() < 8 << 20, "{}", endpoints.memory_bytes());
}

#[test]
fn beyond_the_limit_is_counted_in_the_overflow_row() {
    let mut endpoints = endpoints(&["/r/**"]);
    // Methods of one gRPC service are never folded, so each is a row.
    let mut call = request(Side::Server, "/");
    call.protocol = "grpc";
    for number in 0..600 {
        call.path = Some(format!("/pkg.Service{}", collection(number)).into());
        endpoints.locate(&call);
    }
    assert_eq!(endpoints.rows.len(), limits::ENDPOINTS_PER_SERVICE + 1);
    assert_eq!(endpoints.take_overflowed(), 100);
    let other = endpoints.rows.iter().find(|row| &*row.name.endpoint == "(other)").unwrap();
    assert_eq!(other.hits, 100);
}

#[test]
fn rules_win_over_form_and_over_404() {
    let mut endpoints = endpoints(&["/shop/{slug}/reviews", "/files/**"]);
    assert_eq!(see(&mut endpoints, "/shop/42/reviews", 200), "/shop/{slug}/reviews");
    assert_eq!(see(&mut endpoints, "/shop/blue-shoes/reviews/", 404), "/shop/{slug}/reviews");
    assert_eq!(see(&mut endpoints, "/files/a/b/c", 404), "/files/**");
    assert_eq!(endpoints.rows.len(), 2);
}

#[test]
fn requests_without_head_and_targets_without_path() {
    let mut endpoints = endpoints(&[]);
    let mut unseen = request(Side::Server, "/");
    (unseen.method, unseen.path) = (None, None);
    let row = endpoints.locate(&unseen).row;
    assert_eq!(&*endpoints.name(row).unwrap().endpoint, "(unknown)");
    assert_eq!(see(&mut endpoints, "*", 200), "*");
    assert_eq!(see(&mut endpoints, "example.com:443", 200), "{authority}");
}

#[test]
fn services_beyond_the_limit_are_one() {
    let mut endpoints = endpoints(&[]);
    let mut request = request(Side::Server, "/");
    for number in 0..limits::SERVICES as u32 + 50 {
        request.origin = Arc::new(Origin { service: number.to_string().into(), ..Origin::unknown(number) });
        endpoints.locate(&request);
    }
    assert_eq!(endpoints.services.len(), limits::SERVICES + 1);
    assert_eq!(endpoints.rows.len(), limits::SERVICES + 1);
}

#[test]
fn forgetting_everything_leaves_nothing() {
    let mut endpoints = endpoints(&["/r/{x}"]);
    for number in 0..2_000 {
        see(&mut endpoints, &format!("/users{}", collection(number)), 200);
        see(&mut endpoints, &format!("/r/{number}"), 200);
        see(&mut endpoints, &collection(number), 404);
    }
    let rows: Vec<u32> = (0..limits::ENDPOINTS_PER_SERVICE as u32 + 3).collect();
    endpoints.forget(&rows);
    assert_eq!((endpoints.rows.len(), endpoints.services.len(), endpoints.service_numbers.len()), (0, 0, 0));
    assert_eq!(see(&mut endpoints, "/users/waaa/x", 200), "/users/waaa/x", "what was learned is forgotten too");
}

#[test]
fn the_client_side_gets_the_same_text() {
    let mut endpoints = endpoints(&["/shop/{slug}"]);
    let texts = [("/users/7", "/users/{id}"), ("/shop/blue", "/shop/{slug}"), ("/health", "/health")];
    for (path, expected) in [texts, texts].concat() {
        assert_eq!(&*endpoints.text_of(&"a".into(), &"GET".into(), &path.into(), false), expected);
        assert_eq!(see(&mut endpoints, path, 200), expected);
    }
    assert_eq!(&*endpoints.text_of(&"a".into(), &"POST".into(), &"/pkg.S/Get1234".into(), true), "/pkg.S/Get1234");
}

#[test]
fn a_scanner_behind_a_login_makes_a_row_and_folds_no_route() {
    let mut endpoints = endpoints(&[]);
    (0..50).for_each(|_| assert_eq!(see(&mut endpoints, "/api/orders", 200), "/api/orders"));
    for number in 0..5_000 {
        see(&mut endpoints, &collection(number), [401, 403, 500][number % 3]);
    }
    assert_eq!(see(&mut endpoints, "/api/orders", 200), "/api/orders");
    assert_eq!(endpoints.rows.len(), 2, "the route and what the scanner asked for");
    // A route that fails comes again.
    let pay: Vec<_> = (0..3).map(|_| see(&mut endpoints, "/api/pay", 500)).collect();
    assert_eq!(pay, ["(other)", "(other)", "/api/pay"]);
    see(&mut endpoints, &collection(9_000), 403);
    assert_eq!(see(&mut endpoints, "/api/pay", 200), "/api/pay");
    assert_eq!(endpoints.rows.len(), 3);
}

#[test]
fn a_few_routes_that_fail_have_rows_at_once() {
    let mut endpoints = endpoints(&[]);
    for path in ["/a", "/b", "/c", "/d"] {
        assert_eq!(see(&mut endpoints, path, 500), path);
    }
}

#[test]
fn routes_stay_words_beside_a_scanner_that_is_answered_well() {
    let mut endpoints = endpoints(&[]);
    (0..100).for_each(|_| assert_eq!(see(&mut endpoints, "/api/orders", 200), "/api/orders"));
    for number in 0..2_000 {
        see(&mut endpoints, &format!("/api{}", collection(number).trim_end_matches("/x")), 200);
        see(&mut endpoints, collection(number).trim_end_matches("/x"), 301);
    }
    assert_eq!(see(&mut endpoints, "/api/orders", 200), "/api/orders");
    assert!(endpoints.rows.len() < 250, "{}", endpoints.rows.len());
}

#[test]
fn builds_of_static_files_are_one_route() {
    let mut endpoints = endpoints(&[]);
    for number in 0..300 {
        let part = collection(number).trim_matches(['/', 'x']).to_owned();
        see(&mut endpoints, &format!("/assets/{part}-BxK3a9d1.js"), 200);
    }
    assert_eq!(endpoints.rows.len(), 1);
    assert_eq!(see(&mut endpoints, "/assets/index-BxK3a9d1.js", 200), "/assets/{id}.js");
}

#[test]
fn builds_of_a_file_are_one_route_whatever_their_hashes_look_like() {
    let mut endpoints = endpoints(&[]);
    for number in 0..300_u64 {
        see(&mut endpoints, &format!("/static/app.{:08x}.js", number * 2_654_435_761 % (1 << 32)), 200);
    }
    let names: Vec<_> = endpoints.rows.iter().map(|row| row.name.endpoint.to_string()).collect();
    assert!(names.len() <= 2, "{names:?}");
}
