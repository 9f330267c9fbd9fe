//! What the person has chosen: table, row, order, filter, window. Keys change it; nothing here draws or reads. What a key means depends on
//! what is open: the help, the filter's line, a row's detail, else the table.
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::column::Column;
use super::look::Look;
use crate::aggregate::snapshot::Window;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Endpoints,
    Destinations,
    Databases,
    Pools,
    Names,
    Models,
    Agents,
    Processes,
    Findings,
    Alerts,
}

impl Tab {
    pub const ALL: [Self; 10] = [
        Self::Endpoints,
        Self::Destinations,
        Self::Databases,
        Self::Pools,
        Self::Names,
        Self::Models,
        Self::Agents,
        Self::Processes,
        Self::Findings,
        Self::Alerts,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Self::Endpoints => "Endpoints",
            Self::Destinations => "Destinations",
            Self::Databases => "Databases",
            Self::Pools => "Pools",
            Self::Names => "Names",
            Self::Models => "Models",
            Self::Agents => "Agents",
            Self::Processes => "Processes",
            Self::Findings => "Findings",
            Self::Alerts => "Alerts",
        }
    }

    /// Its title where not all titles fit.
    pub fn short_title(self) -> &'static str {
        match self {
            Self::Destinations => "Dest",
            Self::Databases => "DB",
            Self::Processes => "Procs",
            other => other.title(),
        }
    }
}

/// Order and place of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TablePosition {
    /// Column that rows are sorted by; `None` is the order they come in.
    pub sort: Option<usize>,
    pub reversed: bool,
    /// First row shown.
    pub offset: usize,
    /// The selected row.
    pub cursor: usize,
    /// Name of the selected row, which the cursor follows once it has been moved or opened.
    pub pinned: Option<String>,
    /// A key has moved the cursor since the last frame.
    pub moved: bool,
}

impl TablePosition {
    /// Finds the selected row among the rows of a new frame, by their names, and brings it into view.
    pub fn settle(&mut self, names: &[String], page: usize) {
        let last = names.len().saturating_sub(1);
        let followed = self.pinned.as_ref().filter(|_| !self.moved).and_then(|pinned| names.iter().position(|name| name == pinned));
        self.cursor = followed.unwrap_or(self.cursor).min(last);
        if std::mem::take(&mut self.moved) {
            self.pinned = names.get(self.cursor).cloned();
        }
        self.offset = self.offset.min(self.cursor).max((self.cursor + 1).saturating_sub(page)).min(names.len().saturating_sub(page));
    }
}

/// What the person has chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ViewState {
    pub tab: Tab,
    pub positions: [TablePosition; Tab::ALL.len()],
    pub window: Window,
    /// Rows without this text are not shown.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub help: bool,
    /// The selected row's detail is shown.
    pub opened: bool,
    /// First line of the detail that is shown.
    pub detail_offset: usize,
    pub look: Look,
    /// Rows of the table on the screen at last.
    pub page: usize,
    /// Rows that the filter lets through at last.
    pub rows: usize,
    /// Indexes of the columns on the screen at last.
    pub shown: Vec<usize>,
}

/// Effects of a key outside the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    Nothing,
    Quit,
}

impl ViewState {
    pub fn new(look: Look) -> Self {
        Self {
            tab: Tab::Endpoints,
            positions: Default::default(),
            window: Window::Minute,
            filter: String::new(),
            typing: false,
            help: false,
            opened: false,
            detail_offset: 0,
            look,
            page: 1,
            rows: 0,
            shown: Vec::new(),
        }
    }

    pub fn position(&self) -> &TablePosition {
        &self.positions[self.tab as usize]
    }

    pub fn position_mut(&mut self) -> &mut TablePosition {
        &mut self.positions[self.tab as usize]
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> KeyAction {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if matches!(key.code, KeyCode::Char('c' | 'd')) { KeyAction::Quit } else { KeyAction::Nothing };
        }
        match key.code {
            code if self.typing => self.type_filter(code),
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            code if self.help => self.help = !matches!(code, KeyCode::Esc | KeyCode::Enter),
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(Tab::ALL.len() - 1),
            KeyCode::Char('w') => self.window = next(&Window::ALL, self.window),
            code if self.opened => self.key_in_detail(code),
            code => self.key_in_table(code),
        }
        KeyAction::Nothing
    }

    fn key_in_table(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.open(true),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('s') => self.sort_by_next(),
            KeyCode::Char('r') => self.position_mut().reversed ^= true,
            KeyCode::Char('0') => *self.position_mut() = TablePosition::default(),
            KeyCode::Char(digit @ '1'..='9') => self.sort_by(digit as usize - '1' as usize),
            code => self.select_row(code),
        }
    }

    fn key_in_detail(&mut self, code: KeyCode) {
        match code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace => self.open(false),
            // The last line is known when the detail is drawn, which limits the offset.
            KeyCode::PageDown | KeyCode::Char(' ') => self.detail_offset += 5,
            KeyCode::PageUp => self.detail_offset = self.detail_offset.saturating_sub(5),
            code => {
                self.select_row(code);
                self.detail_offset = 0;
            }
        }
    }

    fn open(&mut self, opened: bool) {
        self.opened = opened && self.rows > 0;
        self.detail_offset = 0;
        self.position_mut().moved |= self.opened;
    }

    fn turn(&mut self, tabs: usize) {
        self.tab = Tab::ALL[(self.tab as usize + tabs) % Tab::ALL.len()];
        self.open(false);
        self.shown.clear();
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
        let position = self.position_mut();
        *position = TablePosition { sort: position.sort, reversed: position.reversed, ..TablePosition::default() };
    }

    /// Sorts by a column, counted among those on the screen.
    fn sort_by(&mut self, at: usize) {
        if let Some(column) = self.shown.get(at).copied() {
            let position = self.position_mut();
            let reversed = position.sort == Some(column) && !position.reversed;
            *position = TablePosition { sort: Some(column), reversed, ..TablePosition::default() };
        }
    }

    /// Sorts by the next column on the screen, after the last one by none.
    fn sort_by_next(&mut self) {
        let now = self.position().sort;
        let at = now.map_or(Some(0), |now| self.shown.iter().position(|shown| *shown == now).map(|at| at + 1));
        let sort = self.shown.get(at.unwrap_or(0)).copied();
        *self.position_mut() = TablePosition { sort, ..TablePosition::default() };
    }

    fn select_row(&mut self, code: KeyCode) {
        let (last, page, opened) = (self.rows.saturating_sub(1), self.page.max(1), self.opened);
        let position = self.position_mut();
        let wanted = match code {
            KeyCode::Up | KeyCode::Char('k') => position.cursor.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => position.cursor + 1,
            KeyCode::PageUp => position.cursor.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => position.cursor + page,
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => return,
        };
        position.cursor = wanted.min(last);
        position.moved = true;
        if position.cursor == 0 && !opened {
            // The top of the list stays selected, whichever row comes there.
            (position.moved, position.pinned) = (false, None);
        }
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
