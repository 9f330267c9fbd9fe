//! A document as one HTML page: inline style and pictures, no script, nothing from another host; its Content-Security-Policy enforces that.
use super::chart;
use super::document::{Chart, ReportDocument, Table};
use crate::printable::printable;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--mark:#2563eb}\
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{margin-bottom:0}h2{margin-top:2.5rem}p{color:GrayText}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .75rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;overflow-wrap:anywhere}\
.n{text-align:right;white-space:nowrap}.charts{display:flex;flex-wrap:wrap;gap:1.5rem;margin-bottom:1rem}\
figure{margin:0;flex:1 1 18rem;max-width:24rem}figcaption{display:flex;justify-content:space-between}\
svg{width:100%;height:auto}path{fill:none;stroke:var(--mark);stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}\
.base{stroke:var(--line)}";

/// Renders it.
pub fn render(document: &ReportDocument) -> String {
    let title = escape(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escape(&document.period)
    );
    for section in &document.sections {
        out.push_str(&format!("<section>\n<h2>{}</h2>\n", escape(section.title)));
        charts(&section.charts, &mut out);
        table(&section.table, &mut out);
        out.push_str("</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn charts(charts: &[Chart], out: &mut String) {
    if charts.is_empty() {
        return;
    }
    out.push_str("<div class=\"charts\">\n");
    for drawn in charts {
        let (title, most) = (escape(drawn.title), escape(&drawn.most));
        let picture = chart::svg(&drawn.values, &title);
        out.push_str(&format!("<figure><figcaption><span>{title}</span><span>at most {most}</span></figcaption>{picture}</figure>\n"));
    }
    out.push_str("</div>\n");
}

fn table(table: &Table, out: &mut String) {
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for (name, number) in &table.columns {
        out.push_str(&format!("<th{}>{}</th>", class(*number), escape(name)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, (_, number)) in row.iter().zip(&table.columns) {
            out.push_str(&format!("<td{}>{}</td>", class(*number), escape(cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).text().chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
