//! A document as one HTML page: fills the template of `templates/report.html`, which escapes all text. Control and bidirectional characters
//! of names are written out before. Names may break after their separators, so that no table needs more width than the page has.
use askama::Template;

use super::document::{ReportDocument, Section};
use crate::printable::printable;

/// A table with more columns folds on a narrow screen.
const NARROW_COLUMNS: usize = 4;
/// Longest piece of a name without a place to break.
const UNBROKEN: usize = 28;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    period: &'a str,
    verdict: &'static str,
    verdict_words: &'static str,
    reasons: Vec<String>,
    sentences: Vec<String>,
    tiles: &'a [super::document::Tile],
    changes: Vec<ChangeView>,
    sections: Vec<SectionView<'a>>,
}

struct ChangeView {
    worse: bool,
    pieces: Vec<String>,
}

struct SectionView<'a> {
    title: &'static str,
    note: &'a str,
    charts: &'a [super::document::Chart],
    columns: Vec<ColumnView>,
    rows: Vec<Vec<CellView>>,
    wide: bool,
}

struct ColumnView {
    name: &'static str,
    number: bool,
}

struct CellView {
    class: &'static str,
    label: &'static str,
    pieces: Vec<String>,
}

/// Renders it.
pub fn render(document: &ReportDocument) -> String {
    let shown = |texts: &[String]| texts.iter().map(|text| printable(text).to_string()).collect();
    let page = Page {
        title: printable(&document.title).to_string(),
        period: &document.period,
        verdict: document.verdict.name(),
        verdict_words: document.verdict.words(),
        reasons: shown(&document.reasons),
        sentences: shown(&document.sentences),
        tiles: &document.tiles,
        changes: document.changes.iter().map(|(worse, text)| ChangeView { worse: *worse, pieces: pieces(text) }).collect(),
        sections: document.sections.iter().map(section).collect(),
    };
    // Writing into memory does not fail.
    page.render().unwrap_or_default() + "\n"
}

fn section(section: &Section) -> SectionView<'_> {
    let columns = &section.table.columns;
    let cell = |(index, (text, (name, number))): (usize, (&String, &(&'static str, bool)))| CellView {
        class: match (index, number, *name) {
            (0, ..) => "head",
            (_, true, _) => "n",
            (_, false, "message") => "text",
            _ => "",
        },
        label: name,
        pieces: if *number { vec![printable(text).to_string()] } else { pieces(text) },
    };
    SectionView {
        title: section.title,
        note: &section.note,
        charts: &section.charts,
        columns: columns.iter().map(|(name, number)| ColumnView { name, number: *number }).collect(),
        rows: section.table.rows.iter().map(|row| row.iter().zip(columns).enumerate().map(cell).collect()).collect(),
        wide: columns.len() > NARROW_COLUMNS,
    }
}

/// A text in pieces between which a line may break: after separators, except before digits, and in names that have none.
fn pieces(text: &str) -> Vec<String> {
    let text = printable(text).text();
    let (mut pieces, mut piece, mut length) = (Vec::new(), String::new(), 0);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        piece.push(character);
        length = if character.is_whitespace() { 0 } else { length + 1 };
        let parts = matches!(character, '/' | '_' | '-' | ':' | '.' | '?' | '&' | '=' | '@');
        let before_digit = character != '/' && characters.peek().is_some_and(char::is_ascii_digit);
        let ends = characters.peek().is_none_or(|next| next.is_whitespace());
        if !ends && (parts && !before_digit || length >= UNBROKEN) {
            pieces.push(std::mem::take(&mut piece));
            length = 0;
        }
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_after_separators_and_words_do_not() {
        assert_eq!(pieces("POST /api/v1/users/{user_id}"), ["POST /", "api/", "v1/", "users/", "{user_", "id}"]);
        assert_eq!(pieces("1.5 s"), ["1.5 s"]);
        assert_eq!(pieces("2026-11-27 07:00:00"), ["2026-11-27 07:00:00"]);
        assert_eq!(pieces("unbelievable understatement"), ["unbelievable understatement"]);
        assert_eq!(pieces(&"x".repeat(60)).iter().map(String::len).collect::<Vec<_>>(), [28, 28, 4]);
    }
}
