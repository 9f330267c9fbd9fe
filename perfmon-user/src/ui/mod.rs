//! Terminal output: the live screen, plain tables without a terminal, and the summary at the end. In: snapshots, or the API of another
//! perfmon; out: characters. Reads keys; changes nothing except to request the end.
mod column;
mod detail;
mod draw;
mod graph;
mod head;
mod look;
mod messages;
mod model;
mod pane;
mod plain;
mod remote;
mod samples;
mod screen;
mod segments;
mod tables;
#[cfg(test)]
mod tests;
mod view;

pub use look::Look;
pub use messages::Messages;
pub use plain::{lines, summary};
pub use remote::{RemoteError, RemoteSource};
pub use screen::{AlertReader, LocalSource, ScreenSource, Shown, ShownTable, screen};
