//! The commands of Memcached and which answers each can have. An answer that a command cannot have is another one's, which shows that
//! commands or answers were missed.
use super::reply::CacheAnswer;

/// Commands by what their answers look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verb {
    /// `get` `gets` `gat` `gats`: values.
    Get,
    /// `set`, `add`, …: a block of data follows.
    Store,
    /// A block that does not end where its length says.
    BadStore,
    Delete,
    Arithmetic,
    Touch,
    Version,
    /// `stats`, and what administrators send.
    Admin,
    MetaGet,
    MetaSet,
    MetaDelete,
    MetaArithmetic,
    MetaDebug,
    MetaNoop,
    /// `quit`, `shutdown`: no answer.
    Quit,
    /// `watch`: what follows the answer is a log.
    Watch,
    /// No command.
    #[default]
    Unknown,
}

/// Names as they are sent; names are case-sensitive.
const VERBS: [(&str, Verb); 35] = [
    ("get", Verb::Get),
    ("gets", Verb::Get),
    ("gat", Verb::Get),
    ("gats", Verb::Get),
    ("bget", Verb::Get),
    ("set", Verb::Store),
    ("add", Verb::Store),
    ("replace", Verb::Store),
    ("append", Verb::Store),
    ("prepend", Verb::Store),
    ("cas", Verb::Store),
    ("delete", Verb::Delete),
    ("incr", Verb::Arithmetic),
    ("decr", Verb::Arithmetic),
    ("touch", Verb::Touch),
    ("version", Verb::Version),
    ("mg", Verb::MetaGet),
    ("ms", Verb::MetaSet),
    ("md", Verb::MetaDelete),
    ("ma", Verb::MetaArithmetic),
    ("me", Verb::MetaDebug),
    ("mn", Verb::MetaNoop),
    ("quit", Verb::Quit),
    ("shutdown", Verb::Quit),
    ("watch", Verb::Watch),
    ("stats", Verb::Admin),
    ("flush_all", Verb::Admin),
    ("verbosity", Verb::Admin),
    ("cache_memlimit", Verb::Admin),
    ("slabs", Verb::Admin),
    ("lru", Verb::Admin),
    ("lru_crawler", Verb::Admin),
    ("extstore", Verb::Admin),
    ("refresh_certs", Verb::Admin),
    ("misbehave", Verb::Admin),
];

impl Verb {
    /// The command that a word names, with its name.
    pub(super) fn named(word: &[u8]) -> Option<(&'static str, Self)> {
        VERBS.iter().find(|(name, _)| name.as_bytes() == word).copied()
    }

    /// Whether a name may begin so.
    pub(super) fn may_begin(word: &[u8]) -> bool {
        VERBS.iter().any(|(name, _)| name.as_bytes().starts_with(word))
    }

    /// Whether it is a meta command, which may be quiet.
    pub(super) fn is_meta(self) -> bool {
        matches!(self, Self::MetaGet | Self::MetaSet | Self::MetaDelete | Self::MetaArithmetic | Self::MetaDebug | Self::MetaNoop)
    }

    /// Whether a command that asked for an answer can have this one.
    pub(super) fn gives(self, answer: CacheAnswer) -> bool {
        use CacheAnswer as Is;
        match (self, answer) {
            (Self::Quit | Self::MetaNoop, _) => answer == Is::Noop && self == Self::MetaNoop,
            (_, Is::Error(class)) => !matches!(self, Self::Unknown) || class != "SERVER_ERROR",
            (Self::Get, _) => answer == Is::Values,
            (Self::Store, _) => matches!(answer, Is::Stored | Is::NotStored | Is::Exists | Is::NotFound),
            (Self::Delete, _) => matches!(answer, Is::Deleted | Is::NotFound),
            (Self::Arithmetic, _) => matches!(answer, Is::Number | Is::NotFound),
            (Self::Touch, _) => matches!(answer, Is::Touched | Is::NotFound),
            (Self::Version, _) => answer == Is::Version,
            (Self::Admin | Self::Watch, _) => matches!(answer, Is::Admin | Is::Values),
            (Self::MetaGet, _) => matches!(answer, Is::Head | Is::MetaValue | Is::Miss),
            (Self::MetaSet, _) => matches!(answer, Is::Head | Is::MetaNotStored | Is::MetaExists | Is::MetaNotFound),
            (Self::MetaDelete, _) => matches!(answer, Is::Head | Is::MetaExists | Is::MetaNotFound),
            (Self::MetaArithmetic, _) => {
                matches!(answer, Is::Head | Is::MetaValue | Is::MetaNotStored | Is::MetaExists | Is::MetaNotFound)
            }
            (Self::MetaDebug, _) => matches!(answer, Is::MetaDebug | Is::Miss),
            (Self::BadStore | Self::Unknown, _) => false,
        }
    }

    /// Whether a meta command with the flag `q` can have an answer; versions of the server differ in the answer to a missing item.
    pub(super) fn gives_quietly(self, answer: CacheAnswer) -> bool {
        use CacheAnswer as Is;
        match answer {
            Is::Miss => false,
            // A number that the command made is told.
            Is::Head => matches!(self, Self::MetaGet | Self::MetaArithmetic),
            _ => self.gives(answer),
        }
    }

    /// Items of a quiet command without an answer.
    pub(super) fn rows_of_silence(self) -> Option<u64> {
        match self {
            Self::MetaGet => Some(0),
            Self::MetaSet => Some(1),
            // Versions of the server differ in what they say of a missing item.
            _ => None,
        }
    }

    /// Items that an answer found, stored or changed.
    pub(super) fn rows(self, answer: CacheAnswer, values: u64) -> Option<u64> {
        use CacheAnswer as Is;
        match (self, answer) {
            (Self::Get, Is::Values) => Some(values),
            (Self::Admin | Self::Version | Self::Watch | Self::MetaNoop | Self::MetaDebug, _) | (_, Is::Error(_)) => None,
            (_, Is::Stored | Is::Deleted | Is::Touched | Is::Number | Is::Head | Is::MetaValue) => Some(1),
            _ => Some(0),
        }
    }
}
