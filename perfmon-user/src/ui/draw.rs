//! The screen as a pure function of view and model: head, tabs, table, newest finding or message, keys. Works at any size; columns that do
//! not fit are dropped, lines are truncated.
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::column::{Column, Tone, count, cut, figure, fit, millis, percent, span};
use super::model::ScreenModel;
use super::tables::{DESTINATIONS, ENDPOINTS, FINDINGS, PROCESSES, error_tone, latency_tone};
use super::view::{Tab, ViewState};

const HELP: &str = "q, Ctrl-C   quit
Tab         next table
1 to 9      sort by that column, again: reverse
s           sort by the next column
r           reverse the order
0           order of perfmon's choice
/           filter, Enter keeps it, Esc ends it
w           window of 1, 5 or 60 minutes
arrows, PgUp, PgDn, Home, End   scroll
?           this help

Times in ms. QUEUE: wait for the application,
95th percentile. SHARE%: of the time of all
requests. NOW: requests under way.";

/// Draws everything; notes in the view how many rows there are and fit. `message` is the newest one of the log.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut ViewState, model: &ScreenModel, message: Option<&str>) {
    let rows = [Constraint::Length(2), Constraint::Length(1), Constraint::Min(0), Constraint::Length(1), Constraint::Length(1)];
    let [head, tabs, table, news, keys] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines(view, model)), head);
    frame.render_widget(tab_line(view, model), tabs);
    match view.tab {
        Tab::Endpoints => draw_table(frame, table, view, &model.endpoints, &ENDPOINTS),
        Tab::Destinations => draw_table(frame, table, view, &model.destinations, &DESTINATIONS),
        Tab::Processes => draw_table(frame, table, view, &model.processes, &PROCESSES),
        Tab::Findings => draw_table(frame, table, view, &model.findings, &FINDINGS),
    }
    frame.render_widget(news_line(view, model, message, news.width), news);
    frame.render_widget(key_line(view), keys);
    if view.help {
        draw_help(frame, view);
    }
}

fn head_lines(view: &ViewState, model: &ScreenModel) -> Vec<Line<'static>> {
    let totals = &model.totals;
    let plain = |text: String| Span::raw(text);
    let mut first =
        vec![Span::styled("perfmon", Style::new().add_modifier(Modifier::BOLD)), plain(format!(" up {}", span(totals.uptime_s)))];
    if let Some(host) = &model.host {
        let cpu = host.cpu_percent.map_or("-".to_string(), |value| format!("{value:.0}%"));
        first.push(plain(format!(" | host cpu {cpu} mem {:.0}% load {:.2}", host.memory_percent, host.load_1m)));
    }
    if let Some(completeness) = totals.completeness.filter(|completeness| *completeness < 1.0) {
        first.push(tinted(view, Tone::Warn, format!(" | seen {}%", percent(Some(completeness)))));
    }
    if model.events_lost > 0 {
        first.push(tinted(view, Tone::Bad, format!(" | lost {} events", count(model.events_lost))));
    }
    let connections = totals.active_connections.map_or("-".to_string(), count);
    first.push(plain(format!(" | conns {connections} under way {}", count(totals.in_flight))));
    let second = vec![
        plain(format!("{}: {} req {}/s ", span(totals.window_s as f64), count(totals.requests), figure(totals.rate_now_per_second))),
        tinted(view, error_tone(totals.error_rate), format!("err {}% ", percent(totals.error_rate))),
        plain(format!("p50 {} ", millis(totals.p50_ms))),
        tinted(view, latency_tone(totals.p95_ms), format!("p95 {} ", millis(totals.p95_ms))),
        plain(format!("p99 {} ms, peak {}/s", millis(totals.p99_ms), figure(totals.rate_peak_per_second))),
    ];
    vec![Line::from(first), Line::from(second)]
}

fn tab_line(view: &ViewState, model: &ScreenModel) -> Line<'static> {
    let title = |tab: Tab| match tab {
        Tab::Findings if !model.findings.is_empty() => format!(" {} ({}) ", tab.title(), model.findings.len()),
        _ => format!(" {} ", tab.title()),
    };
    let style = |tab: Tab| if tab == view.tab { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    Line::from_iter(Tab::ALL.map(|tab| Span::styled(title(tab), style(tab))))
}

fn draw_table<R>(frame: &mut Frame<'_>, area: Rect, view: &mut ViewState, rows: &[R], columns: &[Column<R>]) {
    let selected = view.select(rows, columns);
    view.page = usize::from(area.height.saturating_sub(1)).max(1);
    view.rows = selected.len();
    let position = &mut view.positions[view.tab as usize];
    position.offset = position.offset.min(view.rows.saturating_sub(view.page));
    let position = *position;
    let fitting = fit(columns, area.width);
    let mut lines = vec![title_line(columns, &fitting, position.sort, position.reversed)];
    for row in selected.into_iter().skip(position.offset).take(view.page) {
        let cell = |(index, width): &(usize, u16)| {
            tinted(view, (columns[*index].tone)(row), padded(&columns[*index], &(columns[*index].text)(row), *width))
        };
        lines.push(Line::from_iter(fitting.iter().map(cell).flat_map(|cell| [cell, Span::raw(" ")])));
    }
    if lines.len() == 1 {
        lines.push(Line::raw(if view.filter.is_empty() { "nothing yet" } else { "nothing matches the filter" }));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn title_line<R>(columns: &[Column<R>], fitting: &[(usize, u16)], sort: Option<usize>, reversed: bool) -> Line<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let cell = |(index, width): &(usize, u16)| {
        let text = padded(&columns[*index], columns[*index].title, *width);
        let style = if sort == Some(*index) { bold.add_modifier(Modifier::UNDERLINED) } else { bold };
        [Span::styled(text, style), Span::raw(if sort == Some(*index) && reversed { "^" } else { " " })]
    };
    Line::from_iter(fitting.iter().flat_map(cell))
}

/// A value in the width of its column.
pub(super) fn padded<R>(column: &Column<R>, text: &str, width: u16) -> String {
    let width = usize::from(width);
    let text = cut(text, width);
    if column.left { format!("{text:<width$}") } else { format!("{text:>width$}") }
}

fn news_line(view: &ViewState, model: &ScreenModel, message: Option<&str>, width: u16) -> Span<'static> {
    let width = usize::from(width);
    match (message, model.findings.first()) {
        (Some(message), _) => Span::raw(cut(message, width)),
        (None, Some(finding)) => tinted(view, Tone::Warn, cut(&format!("{}: {}", finding.scope, finding.message), width)),
        (None, None) => Span::raw(""),
    }
}

fn key_line(view: &ViewState) -> Line<'static> {
    if view.typing {
        return Line::raw(format!("filter: {}_", view.filter));
    }
    let filter = if view.filter.is_empty() { String::new() } else { format!("[{}] ", view.filter) };
    Line::styled(
        format!("{filter}q quit  Tab table  1-9 sort  r reverse  / filter  w window  ? help"),
        Style::new().add_modifier(Modifier::DIM),
    )
}

fn draw_help(frame: &mut Frame<'_>, view: &ViewState) {
    let area = frame.area();
    let lines: Vec<&str> = HELP.lines().collect();
    let width = lines.iter().map(|line| line.len()).max().unwrap_or(0) as u16 + 2;
    let box_area = Rect { x: area.x, y: area.y, width: width.min(area.width), height: (lines.len() as u16).min(area.height) };
    frame.render_widget(Clear, box_area);
    let style = if view.colours { Style::new().fg(Color::Cyan) } else { Style::new() };
    frame.render_widget(Paragraph::new(HELP).style(style), box_area);
}

fn tinted(view: &ViewState, tone: Tone, text: String) -> Span<'static> {
    let style = match (tone, view.colours) {
        (Tone::Plain, _) => Style::new(),
        (Tone::Warn, true) => Style::new().fg(Color::Yellow),
        (Tone::Bad, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        (_, false) => Style::new().add_modifier(Modifier::BOLD),
    };
    Span::styled(text, style)
}
