//! A line of segments: on a narrow terminal the least important ones are left out, whole.
use ratatui::text::{Line, Span};

/// Between two segments.
const GAP: &str = "  ";

/// A part of a line.
#[derive(Clone, Debug)]
pub(super) struct LineSegment {
    /// The highest number goes first; 0 stays.
    pub expendable: u8,
    pub spans: Vec<Span<'static>>,
}

impl LineSegment {
    pub fn new(expendable: u8, spans: impl IntoIterator<Item = Span<'static>>) -> Self {
        Self { expendable, spans: spans.into_iter().collect() }
    }

    fn width(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }
}

/// The segments that fit, in their order.
pub(super) fn line(mut segments: Vec<LineSegment>, width: u16) -> Line<'static> {
    let total = |segments: &[LineSegment]| segments.iter().map(|segment| segment.width() + GAP.len()).sum::<usize>();
    while total(&segments) > usize::from(width) + GAP.len() {
        let first = segments.iter().enumerate().filter(|(_, segment)| segment.expendable > 0).max_by_key(|(_, segment)| segment.expendable);
        match first {
            Some((at, _)) => segments.remove(at),
            None => break,
        };
    }
    let gap = || std::iter::once(Span::raw(GAP));
    Line::from_iter(segments.into_iter().enumerate().flat_map(|(at, segment)| gap().take(at.min(1)).chain(segment.spans)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_go_first_and_whole() {
        let segments =
            || [(0, "one"), (2, "two"), (1, "three")].map(|(expendable, text)| LineSegment::new(expendable, [text.into()])).to_vec();
        let shown = |width| line(segments(), width).to_string();
        assert_eq!([15, 14, 9, 2].map(shown), ["one  two  three", "one  three", "one", "one"]);
    }
}
