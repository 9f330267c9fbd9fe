//! The graphs above the tables.
use super::*;

#[test]
fn the_graphs_show_rate_p95_and_cpu() {
    let model = ScreenModel { newest: Some(GraphSample { p95_ms: Some(10.0), ..GraphSample::default() }), ..model() };
    let lines = screen(98, 24, &mut view(), &model);
    assert_eq!(lines[3], "requests/s 20.5  max 59.0        p95 10.0 ms  max 10.0  1m04s      host CPU 12%  max 100  1m02s");
    let panel = |line: &str, at: usize| line.chars().chain(std::iter::repeat(' ')).skip(at * 33).take(31).collect::<String>();
    // The rate rises: the top line is filled at its right end only, the bottom line everywhere but in its first columns.
    let (top, bottom) = (panel(&lines[4], 0), panel(&lines[6], 0));
    assert!(top.starts_with("          ") && top.ends_with('⣿'), "{top:?}");
    assert!(bottom.trim_start().chars().count() >= 29 && bottom.ends_with("⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿"), "{bottom:?}");
    // p95 and CPU are at their maximum in each second.
    for at in [1, 2] {
        assert!(panel(&lines[4], at).contains(&"⣿".repeat(28)), "{:?}", lines[4]);
    }
}

#[test]
fn a_terminal_without_braille_has_graphs_in_ascii() {
    let lines = screen(98, 24, &mut ViewState::new(monochrome()), &model());
    assert!(lines[4].contains(&"#".repeat(28)) && lines[4].is_ascii(), "{}", lines[4]);
}

#[test]
fn a_low_terminal_has_none() {
    let graphs = |height| screen(80, height, &mut view(), &model()).iter().any(|line| line.contains('⣿'));
    assert!((20..60).all(graphs) && !(1..18).any(graphs));
}
