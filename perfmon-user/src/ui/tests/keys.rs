//! Keys: sorting, filter, selection, tabs, help, the end.
use super::*;

fn first_row(view: &mut ViewState, model: &ScreenModel) -> String {
    screen(80, 24, view, model)[10].clone()
}

#[test]
fn keys_sort_reverse_and_filter() {
    let (mut view, model) = (view(), model());
    first_row(&mut view, &model);
    press(&mut view, &keys("3"));
    assert!(first_row(&mut view, &model).contains("/items/099/{id}"));
    assert!(screen(80, 24, &mut view, &model)[9].contains("COUNTv"));
    press(&mut view, &keys("3"));
    assert!(first_row(&mut view, &model).contains("/items/000/{id}"));
    assert!(screen(80, 24, &mut view, &model)[9].contains("COUNT^"));
    press(&mut view, &keys("0r"));
    assert!(first_row(&mut view, &model).contains("/items/099/{id}"));
    press(&mut view, &keys("0/ITEMS/05"));
    assert_eq!(screen(80, 24, &mut view, &model)[23], "filter: ITEMS/05_");
    press(&mut view, &[KeyCode::Enter]);
    assert!(first_row(&mut view, &model).contains("/items/050/{id}"));
    assert_eq!(view.rows, 10);
    assert!(screen(80, 24, &mut view, &model)[23].starts_with("filter: ITEMS/05  q quit"));
    press(&mut view, &[KeyCode::Esc]);
    first_row(&mut view, &model);
    assert_eq!(view.rows, 100);
    press(&mut view, &keys("/zzz"));
    assert_eq!(first_row(&mut view, &model), "Nothing matches the filter; Esc clears it.");
}

#[test]
fn a_number_is_a_column_on_the_screen() {
    let (mut view, model) = (view(), model());
    screen(80, 24, &mut view, &model);
    // The sixth column here is P95, since P50 has no room.
    press(&mut view, &keys("6"));
    assert!(screen(80, 24, &mut view, &model)[9].contains("P95v"));
}

#[test]
fn s_walks_through_the_columns_on_the_screen_and_back_to_none() {
    let (mut view, model) = (view(), model());
    screen(80, 24, &mut view, &model);
    let shown = view.shown.clone();
    assert_eq!(shown.len(), 9);
    for column in shown {
        press(&mut view, &keys("s"));
        assert_eq!(view.position().sort, Some(column));
    }
    press(&mut view, &keys("s"));
    assert_eq!(view.position().sort, None);
}

/// The row with the cursor.
fn selected(view: &mut ViewState, model: &ScreenModel) -> String {
    let buffer = frame(80, 24, view, model, None);
    let lines = lines_of(&buffer);
    let reversed = |y: &u16| buffer[(0, *y)].modifier.contains(Modifier::REVERSED);
    let rows: Vec<u16> = (10..22).filter(reversed).collect();
    assert_eq!(rows.len(), 1, "one row is selected");
    lines[usize::from(rows[0])].clone()
}

#[test]
fn the_cursor_stays_inside() {
    let (mut view, model) = (view(), model());
    assert!(selected(&mut view, &model).contains("/items/000/{id}"));
    press(&mut view, &[KeyCode::PageDown, KeyCode::Down]);
    assert!(selected(&mut view, &model).contains("/items/013/{id}"));
    press(&mut view, &[KeyCode::End, KeyCode::Down, KeyCode::PageDown]);
    assert!(selected(&mut view, &model).contains("/items/099/{id}"));
    let fewer = ScreenModel { endpoints: model.endpoints[..5].to_vec(), ..model.clone() };
    assert!(selected(&mut view, &fewer).contains("/items/004/{id}"));
    press(&mut view, &[KeyCode::Home, KeyCode::Up]);
    assert!(selected(&mut view, &model).contains("/items/000/{id}"));
}

#[test]
fn the_cursor_follows_its_row_but_the_top_stays_the_top() {
    let (mut view, model) = (view(), model());
    let turned = ScreenModel { endpoints: model.endpoints.iter().rev().cloned().collect(), ..model.clone() };
    selected(&mut view, &model);
    assert!(selected(&mut view, &turned).contains("/items/099/{id}"));
    selected(&mut view, &model);
    press(&mut view, &[KeyCode::Down]);
    assert!(selected(&mut view, &model).contains("/items/001/{id}"));
    assert!(selected(&mut view, &turned).contains("/items/001/{id}"));
    press(&mut view, &[KeyCode::Home]);
    assert!(selected(&mut view, &turned).contains("/items/099/{id}"));
    assert!(selected(&mut view, &model).contains("/items/000/{id}"));
}

#[test]
fn tab_and_arrows_reach_every_table() {
    let (mut view, model) = (view(), model());
    for part in [
        "api.example:443",
        "FROM orders",
        "saturated",
        "AAAA",
        "claude-haiku-4-5",
        "clerk",
        "4242",
        "event_loop_blocked",
        "error_rate_5min",
        "/items/000/{id}",
    ] {
        press(&mut view, &[KeyCode::Tab]);
        assert!(first_row(&mut view, &model).contains(part), "{part}");
    }
    press(&mut view, &[KeyCode::BackTab]);
    assert_eq!(view.tab, Tab::Alerts);
    press(&mut view, &[KeyCode::Left]);
    assert_eq!(view.tab, Tab::Findings);
    press(&mut view, &[KeyCode::Right, KeyCode::Right]);
    assert_eq!(view.tab, Tab::Endpoints);
    press(&mut view, &keys("w"));
    assert_eq!(view.window, Window::FiveMinutes);
    for tab in Tab::ALL {
        let narrow = screen(30, 12, &mut on(tab), &model);
        assert!(narrow.iter().any(|line| line.contains(tab.short_title())), "{tab:?}: {narrow:?}");
    }
}

#[test]
fn the_help_is_a_box_that_hides_what_is_under_it() {
    let (mut view, model) = (view(), model());
    let before = screen(80, 24, &mut view, &model);
    press(&mut view, &keys("?"));
    let lines = screen(80, 24, &mut view, &model);
    let top = lines.iter().position(|line| line.contains("Keys (Esc closes)")).unwrap();
    let left = lines[top].chars().position(|c| c == '┌').unwrap();
    let right = lines[top].chars().position(|c| c == '┐').unwrap();
    let bottom = lines.iter().position(|line| line.chars().nth(left) == Some('└')).unwrap();
    let inside: Vec<String> = lines[top + 1..bottom].iter().map(|line| line.chars().skip(left).take(right - left + 1).collect()).collect();
    assert!(inside[0].starts_with("│ Tab, left and right   next or previous table "), "{}", inside[0]);
    for line in &inside {
        assert!(line.starts_with('│') && line.ends_with('│'), "{line}");
        assert!(!line.contains("items") && !line.contains("shop") && !line.contains('⣿'), "{line}");
    }
    // Beside the box the screen is as before.
    for (with, without) in lines.iter().zip(&before) {
        assert_eq!(with.chars().take(left).collect::<String>().trim_end(), without.chars().take(left).collect::<String>().trim_end());
    }
    press(&mut view, &keys("s"));
    assert_eq!(view.position().sort, None, "keys of the table do nothing while the help is open");
    press(&mut view, &[KeyCode::Esc]);
    assert_eq!(screen(80, 24, &mut view, &model), before);
}

#[test]
fn q_and_ctrl_c_end_it() {
    let quit = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    let mut view = view();
    assert_eq!(view.key(quit), KeyAction::Quit);
    press(&mut view, &keys("/q"));
    assert_eq!(view.filter, "q");
    assert_eq!(view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), KeyAction::Quit);
    for state in [ViewState { help: true, ..super::view() }, ViewState { opened: true, ..super::view() }] {
        assert_eq!(state.clone().key(quit), KeyAction::Quit);
    }
}
