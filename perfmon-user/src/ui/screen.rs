//! The live screen: owns the terminal from the first frame to the last, and restores it on every exit: a key, the end of the run, an error,
//! a panic in any thread. Runs on its own thread, so that a slow terminal delays nothing else.
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, panic};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};
use ratatui::{DefaultTerminal, Terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::watch;

use super::draw::{ScreenMessage, draw};
use super::look::Look;
use super::messages::Messages;
use super::model::ScreenModel;
use super::plain::{FINAL_ROWS, tables};
use super::samples::GraphHistory;
use super::view::{KeyAction, Tab, ViewState};
use crate::aggregate::snapshot::{Snapshot, Window};
use crate::record::Alert;

/// Time-out of reading a key; then source and shutdown are polled.
const TICK: Duration = Duration::from_millis(100);

/// Where the figures come from.
pub trait ScreenSource {
    /// Returns a model to draw when there is a new one; `window` is the displayed window.
    fn poll(&mut self, window: Window) -> Option<Shown>;

    /// Says which table is on the screen: a source that reads over the network needs no other.
    fn look_at(&mut self, _: ShownTable) {}
}

/// The table on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownTable(pub(super) Tab);

/// What a source has to show.
pub struct Shown(pub(super) Result<ScreenModel, String>);

impl Shown {
    /// The same as plain text, or the error: for an output that is not a terminal.
    pub fn plain(&self, width: u16) -> Result<String, &str> {
        self.0.as_ref().map(|model| tables(model, width, FINAL_ROWS)).map_err(String::as_str)
    }
}

/// This perfmon's snapshots and alerts.
pub struct LocalSource {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    alerts: AlertReader,
    shown: Option<Window>,
}

/// Gives open alerts, then the last that are over.
pub type AlertReader = Box<dyn Fn() -> Vec<Alert> + Send>;

impl LocalSource {
    /// A source of snapshots and alerts.
    pub fn new(snapshots: watch::Receiver<Arc<Snapshot>>, alerts: AlertReader) -> Self {
        Self { snapshots, alerts, shown: None }
    }
}

impl ScreenSource for LocalSource {
    fn poll(&mut self, window: Window) -> Option<Shown> {
        let fresh = self.snapshots.has_changed().unwrap_or(false) || self.shown != Some(window);
        self.shown = Some(window);
        let snapshot = fresh.then(|| self.snapshots.borrow_and_update().clone())?;
        Some(Shown(Ok(ScreenModel::of(&snapshot, window).with_alerts((self.alerts)()))))
    }
}

/// Runs the screen until a key requests the end, which sets `shutdown`, or `shutdown` is set. Blocks its thread.
pub fn screen(mut source: impl ScreenSource, shutdown: &watch::Sender<bool>, messages: &Messages, look: Look) -> io::Result<()> {
    let mut terminal = TerminalSession::begin()?;
    let input = input()?;
    let mut view = ViewState::new(look);
    let (mut model, mut samples, mut trouble) = (ScreenModel::default(), GraphHistory::default(), None);
    let mut stale = true;
    while OURS.load(Ordering::SeqCst) {
        if *shutdown.borrow() {
            return Ok(());
        }
        source.look_at(ShownTable(view.tab));
        if let Some(Shown(shown)) = source.poll(view.window) {
            stale = true;
            match shown {
                Ok(newer) => {
                    samples.precede(&newer.earlier);
                    newer.newest.into_iter().for_each(|newest| samples.push(newest));
                    (model, trouble) = (newer, None);
                }
                Err(why) => trouble = Some(why),
            }
        }
        if stale {
            let newest = messages.newest();
            let message = trouble.as_deref().map(ScreenMessage::Trouble).or(newest.as_deref().map(ScreenMessage::Log));
            terminal.0.draw(|frame| draw(frame, &mut view, &model, &samples, message))?;
        }
        stale = false;
        await_input(&input, TICK)?;
        while event::poll(Duration::ZERO)? {
            stale = true;
            if take(&event::read()?, &mut view) == KeyAction::Quit {
                shutdown.send_replace(true);
            }
        }
    }
    Err(io::Error::other("a thread panicked and the terminal was given back"))
}

/// Where keys come from, as crossterm chooses it.
fn input() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if stdin.is_terminal() { stdin.as_fd().try_clone_to_owned() } else { File::open("/dev/tty").map(OwnedFd::from) }
}

/// Waits for input. A terminal that is gone is an error here, since crossterm would read from it for ever: its loop takes a read of no bytes
/// for one to be repeated.
fn await_input(input: &OwnedFd, longest: Duration) -> io::Result<()> {
    let mut fds = [PollFd::new(input, PollFlags::IN)];
    let timeout = Timespec::try_from(longest).map_err(io::Error::other)?;
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) { Err(Errno::IO.into()) } else { Ok(()) }
}

fn take(event: &Event, view: &mut ViewState) -> KeyAction {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => view.key(*key),
        _ => KeyAction::Nothing,
    }
}

/// Whether the terminal is ours: in raw mode, on its alternate screen.
static OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, for as long as this lives or until a thread panics.
struct TerminalSession(DefaultTerminal);

impl TerminalSession {
    fn begin() -> io::Result<Self> {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            previous(panic);
        }));
        OURS.store(true, Ordering::SeqCst);
        enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())))
            .map(Self)
            .inspect_err(|_| give_back())
    }
}

impl Drop for TerminalSession {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if OURS.swap(false, Ordering::SeqCst) {
        ratatui::restore();
    }
}
