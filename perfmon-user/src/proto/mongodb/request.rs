//! What a message of a client says: the command, its collection and database, and its shape. No value is kept but these names.
use super::bson::{BsonName, BsonValue, BsonVisitor};
use super::message::MessageText;
use super::shape::CommandShape;

/// Commands whose first value names a collection.
const OF_COLLECTION: [&str; 31] = [
    "aggregate",
    "analyze",
    "cloneCollectionAsCapped",
    "collMod",
    "collStats",
    "compact",
    "convertToCapped",
    "count",
    "create",
    "createIndexes",
    "createSearchIndexes",
    "delete",
    "deleteIndexes",
    "distinct",
    "drop",
    "dropIndexes",
    "dropSearchIndex",
    "find",
    "findAndModify",
    "findandmodify",
    "geoNear",
    "geoSearch",
    "getIndexes",
    "group",
    "insert",
    "killCursors",
    "listIndexes",
    "mapReduce",
    "mapreduce",
    "update",
    "validate",
];
/// Fields of which the shape says nothing: they are of the session and the driver, or hold documents.
const UNTOLD: [&str; 33] = [
    "$clusterTime",
    "$configServerState",
    "$db",
    "$readPreference",
    "allowDiskUse",
    "apiDeprecationErrors",
    "apiStrict",
    "apiVersion",
    "autocommit",
    "batchSize",
    "bypassDocumentValidation",
    "client",
    "collection",
    "comment",
    "compression",
    "cursor",
    "cursors",
    "databaseVersion",
    "documents",
    "encryptionInformation",
    "helloOk",
    "let",
    "lsid",
    "maxTimeMS",
    "noCursorTimeout",
    "ordered",
    "readConcern",
    "shardVersion",
    "singleBatch",
    "startTransaction",
    "stmtIds",
    "txnNumber",
    "writeConcern",
];
/// Commands of which only the name is told: their fields hold secrets, or say nothing.
const NAME_ONLY: [&str; 22] = [
    "abortTransaction",
    "authenticate",
    "buildInfo",
    "buildinfo",
    "commitTransaction",
    "copydb",
    "copydbsaslstart",
    "createUser",
    "endSessions",
    "getMore",
    "getnonce",
    "hello",
    "isMaster",
    "ismaster",
    "killCursors",
    "killSessions",
    "logout",
    "ping",
    "refreshSessions",
    "saslContinue",
    "saslStart",
    "updateUser",
];
/// Longest name of a collection or database that is told.
const NAME_BYTES: usize = 120;

/// What a request says.
#[derive(Debug, Default)]
pub(super) struct MongoRequest {
    /// The command's name; empty when it is not known.
    pub(super) operation: String,
    /// Its collection.
    pub(super) target: String,
    pub(super) database: String,
    /// It waits for something to happen, by design.
    pub(super) waits: bool,
    /// The rest was not read.
    is_unread: bool,
    shape: CommandShape,
    /// Documents that were entered.
    depth: u32,
    /// The document of the command has begun.
    has_command: bool,
    /// What is looked at now is no part of the shape.
    is_untold: bool,
}

impl MongoRequest {
    /// The text of the command: its name, its collection, and its shape; nothing when its name is not known.
    pub(super) fn write(&self, into: &mut String) {
        into.clear();
        if self.operation.is_empty() {
            return;
        }
        self.shape.finish(&self.operation, &self.target, into);
        match self.operation.as_str() {
            "getMore" if self.waits => into.push_str(" {maxTimeMS: ?}"),
            _ if self.waits => into.push_str(" {maxAwaitTimeMS: ?}"),
            _ => {}
        }
        if self.is_unread && !into.ends_with("...") {
            into.push_str(" ...");
        }
    }

    fn is_top(&self) -> bool {
        self.depth == 0
    }

    /// The command's name is that of its first field.
    fn names(&mut self, name: BsonName<'_>) {
        self.has_command = true;
        if !name.is_cut
            && name.bytes.first().is_some_and(u8::is_ascii_alphabetic)
            && name.bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            self.operation.push_str(std::str::from_utf8(name.bytes).unwrap_or_default());
        }
    }

    fn is_told(&self, name: BsonName<'_>) -> bool {
        !NAME_ONLY.contains(&self.operation.as_str()) && !UNTOLD.iter().any(|untold| name.is(untold))
    }
}

/// A name of a collection or database, which is plain text.
fn set(name: &mut String, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= NAME_BYTES && !text.chars().any(char::is_control));
    name.clear();
    name.push_str(text.unwrap_or_default());
}

impl BsonVisitor for MongoRequest {
    fn enters(&mut self, name: BsonName<'_>, is_list: bool) -> bool {
        if self.is_top() {
            if !self.has_command {
                self.names(name);
            }
            if !self.is_told(name) {
                return false;
            }
        }
        self.shape.begin(name);
        let enters = self.shape.enter(is_list);
        self.depth += u32::from(enters);
        enters
    }

    fn leaves(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.shape.leave();
    }

    fn wants(&self, name: BsonName<'_>) -> bool {
        self.is_top() && (!self.has_command || name.is("$db") || name.is("collection"))
    }

    fn value(&mut self, name: BsonName<'_>, value: BsonValue<'_>) {
        if !self.is_top() {
            self.shape.begin(name);
            return self.shape.value();
        }
        if !self.has_command {
            self.names(name);
            if let BsonValue::Text(text) = value
                && OF_COLLECTION.contains(&self.operation.as_str())
            {
                set(&mut self.target, text);
            }
            return;
        }
        match value {
            BsonValue::Text(text) if name.is("$db") => set(&mut self.database, text),
            BsonValue::Text(text) if name.is("collection") && self.operation == "getMore" => set(&mut self.target, text),
            _ => {}
        }
        self.waits |= match self.operation.as_str() {
            "hello" | "isMaster" | "ismaster" => name.is("maxAwaitTimeMS"),
            "getMore" => name.is("maxTimeMS"),
            _ => false,
        };
        if self.is_told(name) {
            self.shape.begin(name);
            self.shape.value();
        }
    }
}

impl MessageText for MongoRequest {
    const IS_REQUEST: bool = true;

    fn begin(&mut self) {
        self.operation.clear();
        self.target.clear();
        self.database.clear();
        self.shape.clear();
        (self.waits, self.is_unread, self.depth, self.has_command) = (false, false, 0, false);
    }

    fn sequence(&mut self, name: &[u8]) -> bool {
        let name = BsonName { bytes: name, is_cut: false };
        // The command may be named behind it, but then by a server.
        if name.is("documents") || !self.is_told(name) {
            return false;
        }
        self.shape.begin(name);
        let enters = self.shape.enter(true);
        self.depth += u32::from(enters);
        self.is_untold = !enters;
        enters
    }

    fn document(&mut self) {
        self.shape.begin(BsonName { bytes: b"", is_cut: false });
        let enters = self.shape.enter(false);
        self.depth += u32::from(enters);
        self.is_untold = !enters;
    }

    fn document_ended(&mut self) {
        if !self.is_untold {
            self.leaves();
        }
    }

    fn sequence_ended(&mut self) {
        if self.depth > 0 {
            self.leaves();
        }
    }

    fn collection(&mut self, name: &[u8]) {
        let at = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
        set(&mut self.database, &name[..at]);
        set(&mut self.target, name.get(at + 1..).unwrap_or_default());
        if self.target == "$cmd" {
            self.target.clear();
        } else {
            // What follows is a filter.
            (self.operation, self.has_command) = ("find".into(), true);
        }
    }

    fn unread(&mut self) {
        self.is_unread = true;
    }

    fn heap_bytes(&self) -> usize {
        self.operation.capacity() + self.target.capacity() + self.database.capacity() + self.shape.heap_bytes()
    }
}
