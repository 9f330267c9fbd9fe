//! A document as Markdown (CommonMark with tables). Everything that came from traffic is escaped, so that no name is a link, a tag or a
//! column of its own.
use super::document::{ReportDocument, Table};
use crate::printable::printable;

/// Renders it.
pub fn render(document: &ReportDocument) -> String {
    let mut out = format!("# {}\n\n{}\n", escape(&document.title), escape(&document.period));
    let reasons = if document.reasons.is_empty() { String::new() } else { format!(": {}", document.reasons.join("; ")) };
    out.push_str(&format!("\n**{}**{}\n", document.verdict.words(), escape(&reasons)));
    for sentence in &document.sentences {
        out.push_str(&format!("\n{}\n", escape(sentence)));
    }
    if !document.changes.is_empty() {
        out.push_str("\n## What changed\n\n");
    }
    for (worse, text) in &document.changes {
        out.push_str(&format!("- {}: {}\n", if *worse { "Worse" } else { "Better" }, escape(text)));
    }
    for section in &document.sections {
        out.push_str(&format!("\n## {}\n\n", section.title));
        if !section.note.is_empty() {
            out.push_str(&format!("{}\n\n", escape(&section.note)));
        }
        table(&section.table, &mut out);
    }
    out
}

fn table(table: &Table, out: &mut String) {
    let names: Vec<_> = table.columns.iter().map(|(name, _)| escape(name)).collect();
    let rule: Vec<_> = table.columns.iter().map(|(_, number)| if *number { "--:" } else { "---" }.to_string()).collect();
    for row in [names, rule] {
        line(&row, out);
    }
    for row in &table.rows {
        line(&row.iter().map(|cell| escape(cell)).collect::<Vec<_>>(), out);
    }
}

fn line(cells: &[String], out: &mut String) {
    out.push_str(&format!("| {} |\n", cells.join(" | ")));
}

/// Characters that mean something are written as themselves.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).text().chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '~' | '#' | '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
