//! Terminal output: the live screen, plain tables without a terminal, and the summary at the end. In: snapshots, or the API of another
//! perfmon; out: characters. Reads keys; changes nothing except to request the end.
mod column;
mod draw;
mod messages;
mod model;
mod plain;
mod remote;
mod screen;
mod tables;
#[cfg(test)]
mod tests;
mod view;

pub use messages::Messages;
pub use plain::{UNCUT, lines, summary};
pub use remote::{RemoteError, RemoteSource};
pub use screen::{LocalSource, ScreenSource, Shown, colours, screen};
