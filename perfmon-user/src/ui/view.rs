//! What the person has chosen: table, order, filter, window, place. Keys change it; nothing here draws or reads.
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::column::Column;
use super::tables::{DESTINATIONS, ENDPOINTS, FINDINGS, PROCESSES};
use crate::aggregate::snapshot::Window;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Endpoints,
    Destinations,
    Processes,
    Findings,
}

impl Tab {
    pub const ALL: [Self; 4] = [Self::Endpoints, Self::Destinations, Self::Processes, Self::Findings];

    pub fn title(self) -> &'static str {
        match self {
            Self::Endpoints => "Endpoints",
            Self::Destinations => "Destinations",
            Self::Processes => "Processes",
            Self::Findings => "Findings",
        }
    }

    fn columns(self) -> usize {
        match self {
            Self::Endpoints => ENDPOINTS.len(),
            Self::Destinations => DESTINATIONS.len(),
            Self::Processes => PROCESSES.len(),
            Self::Findings => FINDINGS.len(),
        }
    }
}

/// Order and place of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TablePosition {
    /// Column that rows are sorted by; `None` is the order they come in.
    pub sort: Option<usize>,
    pub reversed: bool,
    /// First row shown.
    pub offset: usize,
}

/// What the person has chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ViewState {
    pub tab: Tab,
    pub positions: [TablePosition; 4],
    pub window: Window,
    /// Rows without this text are not shown.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub help: bool,
    /// Whether the terminal is to be given colours.
    pub colours: bool,
    /// Rows of the table on the screen at last.
    pub page: usize,
    /// Rows that the filter lets through at last.
    pub rows: usize,
}

/// Effects of a key outside the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    Nothing,
    Quit,
}

impl ViewState {
    pub fn new(colours: bool) -> Self {
        Self {
            tab: Tab::Endpoints,
            positions: [TablePosition::default(); 4],
            window: Window::Minute,
            filter: String::new(),
            typing: false,
            help: false,
            colours,
            page: 1,
            rows: 0,
        }
    }

    pub fn position(&self) -> TablePosition {
        self.positions[self.tab as usize]
    }

    fn position_mut(&mut self) -> &mut TablePosition {
        &mut self.positions[self.tab as usize]
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> KeyAction {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if matches!(key.code, KeyCode::Char('c' | 'd')) { KeyAction::Quit } else { KeyAction::Nothing };
        }
        if self.typing {
            self.type_filter(key.code);
            return KeyAction::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('w') => self.window = next(&Window::ALL, self.window),
            KeyCode::Tab => self.tab = next(&Tab::ALL, self.tab),
            KeyCode::BackTab => self.tab = Tab::ALL[(self.tab as usize + Tab::ALL.len() - 1) % Tab::ALL.len()],
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('r') => self.position_mut().reversed ^= true,
            KeyCode::Char('0') => *self.position_mut() = TablePosition::default(),
            KeyCode::Char(digit @ '1'..='9') => self.sort_by(digit as usize - '1' as usize),
            code => self.scroll(code),
        }
        KeyAction::Nothing
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(character) if self.filter.chars().count() < 60 => self.filter.push(character),
            _ => {}
        }
        self.position_mut().offset = 0;
    }

    fn sort_by(&mut self, column: usize) {
        if column < self.tab.columns() {
            let position = self.position_mut();
            *position = TablePosition { sort: Some(column), reversed: position.sort == Some(column) && !position.reversed, offset: 0 };
        }
    }

    fn sort_by_next(&mut self) {
        let columns = self.tab.columns();
        let position = self.position_mut();
        let sort = position.sort.map_or(0, |column| column + 1);
        *position = TablePosition { sort: (sort < columns).then_some(sort), ..TablePosition::default() };
    }

    fn scroll(&mut self, code: KeyCode) {
        let (last, page) = (self.rows.saturating_sub(self.page), self.page.max(1));
        let offset = &mut self.position_mut().offset;
        let wanted = match code {
            KeyCode::Up | KeyCode::Char('k') => offset.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => *offset + 1,
            KeyCode::PageUp => offset.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => *offset + page,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => *offset,
        };
        *offset = wanted.min(last);
    }

    /// The rows that the filter lets through, in the chosen order.
    pub fn select<'a, R>(&self, rows: &'a [R], columns: &[Column<R>]) -> Vec<&'a R> {
        let filter = self.filter.to_lowercase();
        let matches =
            |row: &&R| filter.is_empty() || columns.iter().any(|column| column.left && (column.text)(row).to_lowercase().contains(&filter));
        let mut selected: Vec<&R> = rows.iter().filter(matches).collect();
        let position = self.position();
        if let Some(column) = position.sort.and_then(|index| columns.get(index)) {
            selected.sort_by(|a, b| (column.order)(a, b));
        }
        if position.reversed {
            selected.reverse();
        }
        selected
    }
}

fn next<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let index = all.iter().position(|one| *one == now).map_or(0, |index| index + 1);
    all[index % all.len()]
}
