//! Which connections the targets accepted, as events tell it: by their opening, or by the first use that shows who serves. In: openings and
//! connections after a segment. Out: entries of [`OpenConnections`](crate::track::OpenConnections). Unix sockets are not among them: no
//! socket table tells of those, so that the tracker alone counts them.
use crate::decode::{Address, Open};
use crate::stream::Role;
use crate::track::Connection;

use super::build::BuildContext;
use super::session::Session;

impl BuildContext<'_> {
    /// A connection was opened.
    pub(super) fn opened(&mut self, open: &Open) {
        let is_tcp = matches!(open.local, Address::Ip(_));
        if is_tcp && open.role == Role::Server && self.processes.is_watched(open.pid) {
            self.open.opened(open.key.inode, open.time_ns);
        }
    }

    /// A connection was used; whether it is an accepted one, which needs to be told once.
    pub(super) fn used(&mut self, connection: &Connection<Session>, time_ns: u64) -> bool {
        let serves = match connection.role {
            Role::Server => true,
            Role::Unknown => connection.state.serves(),
            Role::Client => false,
        };
        let counts = serves && !connection.unix && self.processes.is_watched(connection.pid);
        if counts {
            self.open.opened(connection.key.inode, time_ns);
        }
        counts
    }
}
