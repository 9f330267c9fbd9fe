//! Size and cost under load. Costs are CPU time of the thread, printed and not asserted: `cargo test --release -p perfmon-user --lib
//! aggregate::tests::load -- --ignored --nocapture`.
use super::*;

const ENDPOINTS: u64 = 1_000;

/// A latency of long tail around 5 ms, its queue time and first byte: the same numbers each time.
fn noisy(mut request: Request, seed: &mut u64) -> Request {
    let mut next = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as f64 / (1_u64 << 31) as f64
    };
    // The sum of uniform numbers is nearly normal, so this is nearly log-normal with sigma 0.5.
    let latency = 5e6 * ((next() + next() + next() - 1.5) * 1.0).exp();
    let millis = |part: f64| Some(Millis((latency * part) as u64));
    (request.response_time_ms, request.time_to_first_byte_ms, request.queue_time_ms) = (millis(1.0), millis(0.8), millis(0.05));
    request
}

/// CPU nanoseconds of this thread; the kernel brings them up to date every few milliseconds.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Endpoint `number` of one of four services.
fn numbered(number: u64) -> Request {
    let mut request = request(Side::Server, &format!("/{}/{}/42", word(number as usize / 26), word(number as usize)));
    request.origin = Arc::new(Origin { service: format!("service-{}", number % 4).into(), ..Origin::unknown(1) });
    request
}

/// An aggregate after `seconds` in which each of the endpoints had `rate` requests a second.
fn loaded(seconds: u64, rate: u64) -> Aggregate {
    let mut aggregate = aggregate();
    let (mut seed, requests) = (7, (0..ENDPOINTS).map(numbered).collect::<Vec<_>>());
    for second in 0..seconds {
        for request in &requests {
            for _ in 0..rate {
                add(&mut aggregate, noisy(request.clone(), &mut seed));
            }
        }
        aggregate.tick(at(second + 1));
    }
    aggregate
}

/// Bytes of one endpoint that had `rate` requests a second for longer than an hour, so that all its slices are full. Series are independent
/// of one another, so a few are representative.
fn bytes_per_endpoint(rate: u64) -> usize {
    const ROWS: usize = 4;
    let (mut aggregate, mut seed) = (aggregate(), 7);
    let requests: Vec<Request> = (0..ROWS as u64).map(numbered).collect();
    for slice in 1..=780 {
        for request in &requests {
            (0..5 * rate).for_each(|_| drop(add(&mut aggregate, noisy(request.clone(), &mut seed))));
        }
        aggregate.tick(at(slice * 5));
    }
    assert_eq!(aggregate.endpoints.rows().count(), ROWS);
    aggregate.endpoints.memory_bytes() / ROWS
}

#[test]
fn a_thousand_endpoints_take_less_than_20_mb() {
    let bytes = bytes_per_endpoint(1);
    println!("an endpoint of one request a second: {bytes} bytes");
    assert!(bytes * 1_000 <= 20_000_000, "{bytes}");
}

#[test]
#[ignore = "a benchmark"]
fn bench_add_and_tick() {
    let mut aggregate = loaded(400, 1);
    let (mut seed, mut records) = (9, Vec::new());
    for number in 0..2_000_u64 {
        records.push(Record::Request(noisy(numbered(number % 50), &mut seed)));
    }
    let mut spent = 0;
    for second in 0..10 {
        let begin = cpu_ns();
        (0..20).for_each(|_| records.iter_mut().for_each(|record| aggregate.add(record)));
        spent += cpu_ns() - begin;
        aggregate.tick(at(401 + second));
    }
    println!("add: {:.0} ns", spent as f64 / (200 * records.len()) as f64);
    for (name, active) in [("50 of 1,000 endpoints active", 50), ("all 1,000 active", 1_000)] {
        let mut spent = 0;
        for second in 0..if active == 50 { 60 } else { 20 } {
            for number in 0..active {
                (0..10).for_each(|_| drop(add(&mut aggregate, noisy(numbered(number), &mut seed))));
            }
            let begin = cpu_ns();
            aggregate.tick(at(500 + active * 100 + second));
            spent += cpu_ns() - begin;
        }
        println!("tick, {name}: {:.2} ms", spent as f64 / if active == 50 { 60e6 } else { 20e6 });
    }
    for rate in [1, 10, 100] {
        println!("an endpoint of {rate} requests a second for an hour: {} bytes", bytes_per_endpoint(rate));
    }
}

#[test]
#[ignore = "a benchmark"]
fn bench_template() {
    let mut out = String::new();
    for path in ["/api/users/list", "/users/42/orders", "/api/v1/items/550e8400-e29b-41d4-a716-446655440000", "/static/main.8f3a2b1c.js"] {
        let begin = cpu_ns();
        for _ in 0..1_000_000 {
            super::super::endpoint::template::template(std::hint::black_box(path), &mut out);
            std::hint::black_box(&out);
        }
        println!("{path}: {:.0} ns", (cpu_ns() - begin) as f64 / 1e6);
    }
}

#[test]
#[ignore = "a benchmark"]
fn bench_redacted_path() {
    for path in
        ["/users/42/orders", "/items/550e8400-e29b-41d4-a716-446655440000", "/blog/how-to-build-a-house", "/reset/4eC39HqLyjWDarjtT1zdp7dc"]
    {
        let begin = cpu_ns();
        (0..1_000_000).for_each(|_| drop(std::hint::black_box(crate::redact::path(std::hint::black_box(path)))));
        println!("{path}: {:.0} ns", (cpu_ns() - begin) as f64 / 1e6);
    }
}
