//! Tables.

use std::fmt::Write as _;

use crate::html::escaped;

/// What there is not.
pub(super) const NOTHING: &str = "—";

/// A cell: its text, and a class where it has a meaning beside that.
#[derive(Clone, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) class: &'static str,
}

impl Cell {
    pub(super) fn new(class: &'static str, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            class,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::new("", text)
    }
}

/// A table. Columns whose heads begin with `<` are texts, aligned to the left; the others are figures.
pub(super) struct Table {
    caption: String,
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(caption: impl Into<String>, head: &[impl AsRef<str>]) -> Table {
        Table {
            caption: caption.into(),
            head: head.iter().map(|it| it.as_ref().to_string()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Leaves out columns of figures in which there is nothing but zeros.
    pub(super) fn without_empty_columns(mut self) -> Table {
        let says = |column: usize| {
            let cell =
                |row: &Vec<Cell>| row.get(column).map_or(NOTHING.into(), |it| it.text.clone());
            self.rows
                .iter()
                .any(|row| !["0", "", NOTHING].contains(&cell(row).as_str()))
        };
        let kept: Vec<bool> = (0..self.head.len()).map(says).collect();
        let mut kept_of = kept.iter();
        self.head.retain(|_| *kept_of.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut kept_of = kept.iter();
            row.retain(|_| *kept_of.next().unwrap_or(&true));
        }
        self
    }

    /// HTML; nothing of a table without rows.
    pub(super) fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut html = String::new();
        if !self.caption.is_empty() {
            let _ = writeln!(html, "<p class=\"caption\">{}</p>", escaped(&self.caption));
        }
        html.push_str("<div class=\"scroll\"><table>\n");
        let is_text = |column: usize| self.head[column].starts_with('<');
        html.push_str("<thead><tr>");
        for (column, head) in self.head.iter().enumerate() {
            let class = if is_text(column) {
                " class=\"text\""
            } else {
                ""
            };
            let name = breakable(&escaped(head.trim_start_matches('<')));
            let _ = write!(html, "<th{class} scope=\"col\">{name}</th>");
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                let text = if column < self.head.len() && is_text(column) {
                    "text"
                } else {
                    ""
                };
                let class = format!("{text} {}", cell.class);
                let class = match class.trim() {
                    "" => String::new(),
                    class => format!(" class=\"{class}\""),
                };
                let _ = write!(html, "<td{class}>{}</td>", escaped(&cell.text));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        html
    }
}

/// A list of terms with what is said of each; `said` is HTML.
pub(super) fn terms(items: &[(&str, String)]) -> String {
    let mut html = String::from("<dl>\n");
    for (term, said) in items {
        let _ = writeln!(html, "<div><dt>{}</dt><dd>{said}</dd></div>", escaped(term));
    }
    html.push_str("</dl>\n");
    html
}

/// Names of metrics may break where their parts meet: `latency.end_to_end.p99.9` behind `latency.`, not behind `p99.`.
fn breakable(name: &str) -> String {
    let mut broken = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        broken.push(c);
        if ['.', '_'].contains(&c) && rest.peek().is_some_and(|next| next.is_alphabetic()) {
            broken.push_str("<wbr>");
        }
    }
    broken
}
