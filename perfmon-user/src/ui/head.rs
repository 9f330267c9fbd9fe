//! The head of the screen: perfmon and host, traffic, and alerts with models, agents and their cost; below them the graphs.
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::column::{count, figure, millis, money, percent, span};
use super::graph::{columns_per_character, graph};
use super::look::{Look, Tone};
use super::model::ScreenModel;
use super::samples::{GraphHistory, Graphed};
use super::segments::{LineSegment, line};
use super::tables::{error_tone, latency_tone, severity_tone};
use crate::aggregate::snapshot::Window;

/// The lines of the head, the most important first where there is room for fewer than three.
pub(super) fn head_lines(look: Look, model: &ScreenModel, area: Rect) -> Vec<Line<'static>> {
    let lines = match area.height {
        1 => vec![traffic(look, model)],
        2 => vec![traffic(look, model), state(look, model)],
        _ => vec![host(look, model), traffic(look, model), state(look, model)],
    };
    lines.into_iter().map(|segments| line(segments, area.width)).collect()
}

fn plain(expendable: u8, text: String) -> LineSegment {
    LineSegment::new(expendable, [Span::raw(text)])
}

/// perfmon and the host.
fn host(look: Look, model: &ScreenModel) -> Vec<LineSegment> {
    let totals = &model.totals;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut segments = vec![LineSegment::new(0, [Span::styled("perfmon", bold), Span::raw(format!(" up {}", span(totals.uptime_s)))])];
    if model.events_lost > 0 {
        segments.push(LineSegment::new(0, [look.span(Tone::Bad, format!("{} events lost", count(model.events_lost)))]));
    }
    if let Some(completeness) = totals.completeness.filter(|completeness| *completeness < 1.0) {
        segments.push(LineSegment::new(1, [look.span(Tone::Warn, format!("{}% fully seen", percent(Some(completeness))))]));
    }
    if let Some(host) = &model.host {
        let cpu = host.cpu_percent.map_or("-".to_string(), |value| format!("{value:.0}%"));
        segments.push(plain(2, format!("host CPU {cpu} memory {:.0}%", host.memory_percent)));
        segments.push(plain(5, format!("load {:.2}", host.load_1m)));
    }
    segments.push(plain(3, format!("in flight {}", count(totals.in_flight))));
    segments.push(plain(4, format!("connections {}", totals.active_connections.map_or("-".to_string(), count))));
    segments
}

/// Requests of the window.
fn traffic(look: Look, model: &ScreenModel) -> Vec<LineSegment> {
    let totals = &model.totals;
    let requests =
        format!("last {}: {} requests {}/s", window_name(totals.window_s), count(totals.requests), figure(totals.rate_now_per_second));
    vec![
        plain(0, requests),
        LineSegment::new(1, [look.span(error_tone(totals.error_rate), format!("errors {}%", percent(totals.error_rate)))]),
        LineSegment::new(2, [look.span(latency_tone(totals.p95_ms), format!("p95 {} ms", millis(totals.p95_ms)))]),
        plain(4, format!("p50 {}", millis(totals.p50_ms))),
        plain(3, format!("p99 {}", millis(totals.p99_ms))),
        plain(5, format!("peak {}/s", figure(totals.rate_peak_per_second))),
    ]
}

/// Alerts that fire, and what models cost.
fn state(look: Look, model: &ScreenModel) -> Vec<LineSegment> {
    let totals = &model.totals;
    let tokens = totals.input_tokens.map(|input| input + totals.output_tokens.unwrap_or(0));
    let mut segments = vec![
        LineSegment::new(0, [firing(look, model)]),
        plain(1, format!("cost {} in {}", money(totals.cost_usd), window_name(totals.window_s))),
        plain(2, format!("model calls {}", count(totals.llm_calls))),
        plain(4, format!("tokens {}", super::column::known(tokens))),
        plain(3, format!("agent runs {}", count(totals.agent_runs))),
    ];
    if !model.findings.is_empty() {
        segments.push(LineSegment::new(5, [look.span(Tone::Warn, format!("findings {}", model.findings.len()))]));
    }
    segments
}

fn firing(look: Look, model: &ScreenModel) -> Span<'static> {
    match model.firing.iter().map(|alert| alert.severity).max() {
        None => Span::raw("no alerts firing"),
        Some(worst) => {
            let number = model.firing.len();
            let text = format!(" {number} {} FIRING ", if number == 1 { "ALERT" } else { "ALERTS" });
            Span::styled(text, look.style(severity_tone(worst)).add_modifier(Modifier::REVERSED))
        }
    }
}

fn window_name(seconds: u64) -> String {
    match seconds {
        0 => "-".into(),
        3_600 => "1h".into(),
        seconds => format!("{}m", seconds / 60),
    }
}

/// Draws the three graphs side by side: a title above each.
pub(super) fn draw_graphs(frame: &mut Frame<'_>, area: Rect, look: Look, window: Window, samples: &GraphHistory, model: &ScreenModel) {
    let most = if window == Window::Hour { 3_600 } else { 300 };
    let panels = Layout::horizontal([Constraint::Fill(1); 3]).spacing(2).areas::<3>(area);
    let totals = &model.totals;
    let cpu = model.host.as_ref().and_then(|host| host.cpu_percent).map_or("-".to_string(), |value| format!("{value:.0}%"));
    let newest_p95 = model.newest.and_then(|newest| newest.p95_ms);
    let titles = [
        (Graphed::Rate, Color::Cyan, format!("requests/s {}", figure(totals.rate_now_per_second))),
        (Graphed::P95, Color::Magenta, format!("p95 {} ms", millis(newest_p95))),
        (Graphed::Cpu, Color::Green, format!("host CPU {cpu}")),
    ];
    for (panel, (graphed, colour, title)) in panels.into_iter().zip(titles) {
        let columns = usize::from(panel.width) * columns_per_character(look.braille);
        let step_s = samples.step_s(most, columns);
        let values = samples.columns(graphed, step_s, columns);
        let largest = values.iter().flatten().copied().reduce(f64::max);
        let scale = largest.map_or("-".to_string(), figure);
        let top = if graphed == Graphed::Cpu { 100.0 } else { largest.unwrap_or(0.0) };
        let title = vec![plain(0, title), plain(1, format!("max {scale}")), plain(2, span((step_s * columns as u64) as f64))];
        let lines = graph(&values, top, usize::from(panel.height.saturating_sub(1)), look.braille);
        let lines = lines.into_iter().map(|line| Line::styled(line, look.colour(colour)));
        let title = line(title, panel.width).style(Style::new().add_modifier(Modifier::DIM));
        frame.render_widget(Paragraph::new(std::iter::once(title).chain(lines).collect::<Vec<_>>()), panel);
    }
}
