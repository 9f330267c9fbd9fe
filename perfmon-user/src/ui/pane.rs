//! The pane of an opened row: a box with blocks of labelled figures, side by side where the box is wide, and prose wrapped. Longer than the
//! box, it is scrolled.
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::column::{cut, printed_width};
use super::detail::{DetailBlock, LabelledValue, RowDetail};
use super::look::Look;

/// Least width of a label and its value.
const PAIR: usize = 30;
/// Of these the label.
const LABEL: usize = 22;

/// Height of the box that holds all of a detail.
pub(super) fn pane_height(look: Look, detail: &RowDetail, width: u16) -> u16 {
    let inside = usize::from(width.saturating_sub(4));
    detail.blocks.iter().map(|block| block_lines(look, block, inside).len() as u16).sum::<u16>() + 2
}

/// Draws the detail into its box and returns the offset that was shown: `offset`, or less where the detail ends earlier.
pub(super) fn draw_pane(frame: &mut Frame<'_>, area: Rect, look: Look, name: &str, detail: Option<&RowDetail>, offset: usize) -> usize {
    let width = usize::from(area.width.saturating_sub(4));
    let lines = match detail {
        Some(detail) => detail.blocks.iter().flat_map(|block| block_lines(look, block, width)).collect(),
        None => vec![Line::raw("This row is no longer in the window, or the filter hides it.")],
    };
    let height = usize::from(area.height.saturating_sub(2));
    let offset = offset.min(lines.len().saturating_sub(height));
    let more = lines.len() > offset + height;
    let title = format!(" {} ", cut(name, width.saturating_sub(2)));
    let mut frame_box = Block::bordered().border_set(look.border()).title(Span::styled(title, Style::new().add_modifier(Modifier::BOLD)));
    if more {
        frame_box = frame_box.title_bottom(" PgDn for more ");
    }
    frame.render_widget(Clear, area);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(offset).take(height).collect();
    let inner = frame_box.inner(area);
    frame.render_widget(frame_box, area);
    let inner = Rect { x: inner.x + u16::from(inner.width > 2), width: inner.width.saturating_sub(2), ..inner };
    frame.render_widget(Paragraph::new(shown), inner);
    offset
}

fn block_lines(look: Look, block: &DetailBlock, width: usize) -> Vec<Line<'static>> {
    let side_by_side = (width / PAIR).clamp(1, 4);
    let each = width / side_by_side;
    let mut lines = vec![Line::styled(cut(&block.heading, width), Style::new().add_modifier(Modifier::UNDERLINED))];
    let mut beside = side_by_side;
    for pair in &block.values {
        // A long value has a line of its own.
        let long = LABEL + 1 + printed_width(&pair.value) > each;
        if long || beside == side_by_side {
            lines.push(Line::default());
            beside = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.extend(pair_spans(look, pair, if long { width } else { each }));
        }
        beside = if long { side_by_side } else { beside + 1 };
    }
    lines.extend(block.lines.iter().flat_map(|text| wrapped(text, width)).map(Line::raw));
    lines
}

fn pair_spans(look: Look, pair: &LabelledValue, width: usize) -> [Span<'static>; 2] {
    let label = LABEL.min(width);
    let value = width.saturating_sub(label + 1);
    [Span::raw(format!("{:<label$} ", cut(pair.label, label))), look.span(pair.tone, format!("{:<value$}", cut(&pair.value, value)))]
}

/// Text in lines of at most `width` characters, broken between words where possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    let mut used = 0;
    for word in cut(text, usize::MAX).split(' ') {
        let wanted = word.chars().count();
        if used > 0 && used + 1 + wanted > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else if used > 0 {
            line.push(' ');
            used += 1;
        }
        for character in word.chars() {
            if used == width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(character);
            used += 1;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a\u{1b}b", 8), ["a\\u{1b}b"]);
        for width in 1..20 {
            let lines = wrapped("Requests wait 80 ms of 100 ms for GET /a/very/long/path/without/a/space.", width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), "Requestswait80msof100msforGET/a/very/long/path/without/a/space.");
        }
    }
}
