//! The screen as a pure function of view, model and samples: head, graphs, tabs, table, newest message, keys; above them the detail of an
//! opened row and the help. Works at any size: what has no room is left out, lines are truncated.
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::column::{Column, cut, fill};
use super::head::{draw_graphs, head_lines};
use super::look::Tone;
use super::model::ScreenModel;
use super::pane::{draw_pane, pane_height};
use super::samples::GraphHistory;
use super::segments::{LineSegment, line};
use super::tables::{
    AGENTS, ALERTS, DESTINATION_TABLE, ENDPOINT_TABLE, FINDINGS, MODELS, NAMES, POOLS, PROCESSES, QUERY_TABLE, RowTable, severity_tone,
};
use super::view::{Tab, ViewState};

/// From this width on an opened row stands beside the table instead of in its place.
const WIDE: u16 = 140;
/// From this height on there are graphs.
const GRAPHS_FROM: u16 = 18;

const HELP: &str = "Tab, left and right   next or previous table
up, down, PgUp, PgDn  select a row
Enter                 open the row, Esc closes it
/                     filter, Enter keeps it, Esc clears it
s, 1 to 9             sort by the next column, by that column
r, 0                  reverse, back to perfmon's order
w                     window of 1 minute, 5 minutes or 1 hour
?                     open or close this help
q, Ctrl-C             quit

Times are milliseconds unless they end with s.
A dash means that the value is not known.
QUEUE   time before the application read the request, p95
SHARE%  part of the time of all requests
NOW     requests in flight
TTFB95  time to the first byte of the response, p95
CONN95  time that connect() took, p95
TTFT95  time to the first token of a model's answer, p95
TIME    time of all commands together
USE95   time that a connection is in use at once, p95
SILENT  longest time without traffic of a connection in use
MISSES  names of a search list that do not exist";

/// The newest line of the log, or that the other perfmon does not answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScreenMessage<'a> {
    Log(&'a str),
    Trouble(&'a str),
}

/// Draws everything; notes in the view how many rows and which columns there are.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    view: &mut ViewState,
    model: &ScreenModel,
    samples: &GraphHistory,
    message: Option<ScreenMessage<'_>>,
) {
    let area = frame.area();
    let [head, graphs, tabs, table, news, keys] = Layout::vertical(heights(area, view.opened)).areas(area);
    frame.render_widget(Paragraph::new(head_lines(view.look, model, head)), head);
    if graphs.height > 1 {
        draw_graphs(frame, Rect { height: graphs.height - 1, ..graphs }, view.look, view.window, samples, model);
    }
    frame.render_widget(tab_line(view, model, tabs.width), tabs);
    match view.tab {
        Tab::Endpoints => draw_rows(frame, table, view, model, &model.endpoints, &ENDPOINT_TABLE),
        Tab::Destinations => draw_rows(frame, table, view, model, &model.destinations, &DESTINATION_TABLE),
        Tab::Databases => draw_rows(frame, table, view, model, &model.queries, &QUERY_TABLE),
        Tab::Pools => draw_rows(frame, table, view, model, &model.pools, &POOLS),
        Tab::Names => draw_rows(frame, table, view, model, &model.names, &NAMES),
        Tab::Models => draw_rows(frame, table, view, model, &model.models, &MODELS),
        Tab::Agents => draw_rows(frame, table, view, model, &model.agents, &AGENTS),
        Tab::Processes => draw_rows(frame, table, view, model, &model.processes, &PROCESSES),
        Tab::Findings => draw_rows(frame, table, view, model, &model.findings, &FINDINGS),
        Tab::Alerts => draw_rows(frame, table, view, model, &model.alerts, &ALERTS),
    }
    frame.render_widget(news_line(view, model, message, news.width), news);
    frame.render_widget(key_line(view, keys.width), keys);
    if view.help {
        draw_help(frame, view);
    }
}

/// Heights of head, graphs, tabs, table, news and keys. An opened row on a narrow terminal takes the place of the graphs.
fn heights(area: Rect, opened: bool) -> [Constraint; 6] {
    let height = area.height;
    let head = if height >= 14 {
        3
    } else if height >= 8 {
        2
    } else {
        u16::from(height >= 2)
    };
    let hidden = height < GRAPHS_FROM || (opened && area.width < WIDE);
    let graphs = if hidden { 0 } else { (height / 6).clamp(3, 9) + 1 };
    let lines = |wanted: bool| Constraint::Length(u16::from(wanted));
    [Constraint::Length(head), Constraint::Length(graphs), lines(height >= 4), Constraint::Min(0), lines(height >= 10), lines(height >= 5)]
}

/// The titles; short ones where the long ones do not fit. Where the short ones do not either, those before the chosen one are left out until
/// that one fits.
fn tab_line(view: &ViewState, model: &ScreenModel, width: u16) -> Line<'static> {
    let number = |tab: Tab| match tab {
        Tab::Findings if !model.findings.is_empty() => format!(" ({})", model.findings.len()),
        Tab::Alerts if !model.firing.is_empty() => format!(" ({})", model.firing.len()),
        _ => String::new(),
    };
    let style = |tab: Tab| if tab == view.tab { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let long = Tab::ALL.map(|tab| Span::styled(format!(" {}{} ", tab.title(), number(tab)), style(tab)));
    let wide = |titles: &[Span<'_>]| titles.iter().map(Span::width).sum::<usize>() > usize::from(width);
    if !wide(&long) {
        return Line::from_iter(long);
    }
    let short = Tab::ALL.map(|tab| [Span::raw(" "), Span::styled(format!("{}{}", tab.short_title(), number(tab)), style(tab))]);
    let first = (0..view.tab as usize).find(|first| !wide(short[*first..=view.tab as usize].as_flattened()));
    Line::from_iter(short.into_iter().skip(first.unwrap_or(view.tab as usize)).flatten())
}

fn draw_rows<R>(frame: &mut Frame<'_>, area: Rect, view: &mut ViewState, model: &ScreenModel, rows: &[R], table: &RowTable<R>) {
    let selected = view.select(rows, table.columns);
    let names: Vec<String> = selected.iter().map(|row| (table.name)(row)).collect();
    let beside = view.opened && area.width >= WIDE;
    let [grid, side] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(if beside { 2 } else { 0 })]).areas(area);
    view.page = usize::from(grid.height.saturating_sub(1)).max(1);
    view.rows = selected.len();
    let page = view.page;
    view.position_mut().settle(&names, page);
    if beside || !view.opened {
        draw_grid(frame, grid, view, &selected, table, model.has_read(view.tab));
        draw_preview(frame, grid, view, &selected, &names, table, model);
    }
    if view.opened {
        let position = view.position();
        let at = position.cursor;
        let row = selected.get(at).filter(|_| position.pinned.is_none() || position.pinned == names.get(at).cloned());
        let detail = row.map(|row| (table.detail)(row, model));
        let name = position.pinned.as_deref().or(names.get(at).map(String::as_str)).unwrap_or("");
        view.detail_offset = draw_pane(frame, if beside { side } else { area }, view.look, name, detail.as_ref(), view.detail_offset);
    }
}

/// The detail of the selected row below the last row, where a tall terminal has room for it.
fn draw_preview<R>(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &ViewState,
    rows: &[&R],
    names: &[String],
    table: &RowTable<R>,
    model: &ScreenModel,
) {
    let at = view.position().cursor;
    let (Some(row), Some(name), false) = (rows.get(at), names.get(at), view.opened) else { return };
    let detail = (table.detail)(row, model);
    let height = pane_height(view.look, &detail, area.width);
    let used = u16::try_from(rows.len() + 2).unwrap_or(u16::MAX);
    if used.saturating_add(height) <= area.height {
        let below = Rect { y: area.y + area.height - height, height, ..area };
        draw_pane(frame, below, view.look, name, Some(&detail), 0);
    }
}

fn draw_grid<R>(frame: &mut Frame<'_>, area: Rect, view: &mut ViewState, rows: &[&R], table: &RowTable<R>, read: bool) {
    let columns = table.columns;
    let filled = fill(columns, rows, area.width);
    view.shown = filled.iter().map(|(index, _)| *index).collect();
    let position = view.position();
    let mut lines = vec![title_line(columns, &filled, position.sort, position.reversed)];
    for (at, row) in rows.iter().enumerate().skip(position.offset).take(view.page) {
        let cell = |(index, width): &(usize, u16)| {
            view.look.span((columns[*index].tone)(row), padded(&columns[*index], &(columns[*index].text)(row), *width))
        };
        let line = Line::from_iter(filled.iter().map(cell).flat_map(|cell| [cell, Span::raw(" ")]));
        lines.push(if at == position.cursor { line.style(Style::new().add_modifier(Modifier::REVERSED)) } else { line });
    }
    if rows.is_empty() {
        let filtered = !view.filter.is_empty();
        lines.push(Line::raw(match read {
            true if filtered => "Nothing matches the filter; Esc clears it.",
            true => table.empty,
            false => "Loading ...",
        }));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The titles; after the one that is sorted by, the direction of its values.
fn title_line<R>(columns: &[Column<R>], filled: &[(usize, u16)], sort: Option<usize>, reversed: bool) -> Line<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let cell = |(index, width): &(usize, u16)| {
        let text = padded(&columns[*index], columns[*index].title, *width);
        let style = if sort == Some(*index) { bold.add_modifier(Modifier::UNDERLINED) } else { bold };
        let rising = columns[*index].left != reversed;
        let mark = if sort != Some(*index) {
            " "
        } else if rising {
            "^"
        } else {
            "v"
        };
        [Span::styled(text, style), Span::raw(mark)]
    };
    Line::from_iter(filled.iter().flat_map(cell))
}

/// A value in the width of its column.
pub(super) fn padded<R>(column: &Column<R>, text: &str, width: u16) -> String {
    let width = usize::from(width);
    let text = cut(text, width);
    if column.left { format!("{text:<width$}") } else { format!("{text:>width$}") }
}

/// Trouble, else the worst alert that fires, else the log's newest message, else the first finding.
fn news_line(view: &ViewState, model: &ScreenModel, message: Option<ScreenMessage<'_>>, width: u16) -> Span<'static> {
    let width = usize::from(width);
    let worst = model.firing.iter().max_by_key(|alert| alert.severity);
    match (message, worst, model.findings.first()) {
        (Some(ScreenMessage::Trouble(why)), ..) => view.look.span(Tone::Bad, cut(why, width)),
        (_, Some(alert), _) => view.look.span(severity_tone(alert.severity), cut(&format!("{}: {}", alert.rule, alert.message), width)),
        (Some(ScreenMessage::Log(line)), ..) => Span::raw(cut(line, width)),
        (None, None, Some(finding)) => view.look.span(Tone::Warn, cut(&format!("{}: {}", finding.scope, finding.message), width)),
        (None, None, None) => Span::raw(""),
    }
}

fn key_line(view: &ViewState, width: u16) -> Line<'static> {
    if view.typing {
        return Line::raw(format!("filter: {}_", view.filter));
    }
    let keys: &[(u8, &str)] = match view.opened {
        true => &[(0, "q quit"), (1, "Esc close"), (3, "up/down next row"), (4, "PgDn scroll"), (5, "w window"), (2, "? help")],
        false => &[
            (0, "q quit"),
            (3, "Tab table"),
            (2, "Enter open"),
            (5, "s sort"),
            (6, "r reverse"),
            (4, "/ filter"),
            (7, "w window"),
            (1, "? help"),
        ],
    };
    let filter = (!view.filter.is_empty()).then(|| LineSegment::new(0, [Span::raw(format!("filter: {}", view.filter))]));
    let keys = keys.iter().map(|(expendable, key)| LineSegment::new(*expendable, [Span::raw(*key)]));
    line(filter.into_iter().chain(keys).collect(), width).style(Style::new().add_modifier(Modifier::DIM))
}

/// A box in the middle, which hides what is below it.
fn draw_help(frame: &mut Frame<'_>, view: &ViewState) {
    let area = frame.area();
    let lines = HELP.lines().count() as u16;
    let longest = HELP.lines().map(|line| line.chars().count()).max().unwrap_or(0) as u16;
    let (width, height) = ((longest + 4).min(area.width), (lines + 2).min(area.height));
    let placed = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let frame_box = Block::bordered().border_set(view.look.border()).title(" Keys (Esc closes) ").style(view.look.colour(Color::Cyan));
    let inner = frame_box.inner(placed);
    frame.render_widget(Clear, placed);
    frame.render_widget(frame_box, placed);
    let inner = Rect { x: inner.x + u16::from(inner.width > 2), width: inner.width.saturating_sub(2), ..inner };
    frame.render_widget(Paragraph::new(HELP).style(view.look.colour(Color::Cyan)), inner);
}
