//! Recognises Memcached by a command and the answer to it in the other stream; a command that stores has a form of its own and decides alone.
//! The binary protocol is recognised by the header of a request.
use super::verb::Verb;
use crate::proto::detect::{BUDGET, Opening, Verdict};
use crate::stream::Direction;

/// Three-way detection of the text protocol.
pub fn detect(opening: &Opening<'_>) -> Verdict {
    commands(Direction::BOTH.map(|direction| opening.stream(direction))).0
}

/// Whether one of both streams carries commands, and which; `streams` by [`Direction::index`].
pub(super) fn commands(streams: [&[u8]; 2]) -> (Verdict, Direction) {
    let mut result = (Verdict::No, Direction::In);
    for direction in Direction::BOTH {
        let streams = [direction, direction.opposite()].map(|direction| streams[direction.index()]);
        match judge(streams.map(|bytes| &bytes[..bytes.len().min(BUDGET)])) {
            Verdict::Yes => return (Verdict::Yes, direction),
            Verdict::NeedMore => result.0 = Verdict::NeedMore,
            Verdict::No => {}
        }
    }
    result
}

fn judge([bytes, answer]: [&[u8]; 2]) -> Verdict {
    if bytes.is_empty() {
        return Verdict::No;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let is_text = line.iter().all(|byte| *byte >= b' ' || *byte == b'\r');
    let mut words = line.trim_ascii_end().split(|byte| *byte == b' ');
    let word = words.next().unwrap_or_default();
    if end.is_none() && line == word {
        return if Verb::may_begin(word) { Verdict::NeedMore } else { Verdict::No };
    }
    let Some((name, verb)) = Verb::named(word).filter(|_| is_text) else { return Verdict::No };
    let words = LineShape::of(words);
    if end.is_some() && !is_formed(name, verb, &words) {
        return Verdict::No;
    }
    if end.is_some() && verb == Verb::Store {
        return Verdict::Yes;
    }
    // The first answer may be that to a later command.
    let is_any = end.is_none() || verb.is_meta() || line.trim_ascii_end().ends_with(b" noreply");
    answers(verb, is_any, answer)
}

/// The words behind a command: how many, and which of the first ones are numbers.
struct LineShape {
    count: usize,
    numbers: [bool; 5],
}

impl LineShape {
    fn of<'a>(words: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all = Self { count: 0, numbers: [false; 5] };
        for word in words.filter(|word| !word.is_empty()) {
            if let Some(is_number) = all.numbers.get_mut(all.count) {
                let digits = word.strip_prefix(b"-").unwrap_or(word);
                *is_number = (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            }
            all.count += 1;
        }
        all
    }
}

fn is_formed(name: &str, verb: Verb, words: &LineShape) -> bool {
    match verb {
        Verb::Store if name == "cas" => (5..=6).contains(&words.count) && words.numbers[1..5] == [true; 4],
        Verb::Store => (4..=5).contains(&words.count) && words.numbers[1..4] == [true; 3],
        Verb::Get if name.starts_with("gat") => words.count >= 2 && words.numbers[0],
        Verb::MetaSet => words.count >= 2 && words.numbers[1],
        Verb::Arithmetic | Verb::Touch => words.count >= 2 && words.numbers[1],
        // So does a client of beanstalkd, which answers in the same words.
        Verb::Delete if words.count == 1 => !words.numbers[0],
        Verb::Get | Verb::Delete | Verb::MetaGet | Verb::MetaDelete | Verb::MetaArithmetic | Verb::MetaDebug => words.count >= 1,
        Verb::Version | Verb::MetaNoop => words.count == 0,
        _ => true,
    }
}

/// First words of answers.
const ANSWERS: [&str; 26] = [
    "VALUE ",
    "END\r\n",
    "STORED\r\n",
    "NOT_STORED\r\n",
    "EXISTS\r\n",
    "NOT_FOUND\r\n",
    "DELETED\r\n",
    "TOUCHED\r\n",
    "VERSION ",
    "VA ",
    "HD\r\n",
    "HD ",
    "EN\r\n",
    "EN ",
    "NF\r\n",
    "NF ",
    "NS\r\n",
    "NS ",
    "EX\r\n",
    "EX ",
    "MN\r\n",
    "ME ",
    "OK\r\n",
    "ERROR\r\n",
    "CLIENT_ERROR ",
    "SERVER_ERROR ",
];

/// Whether a stream begins with an answer to such a command, or to any.
fn answers(verb: Verb, is_any: bool, answer: &[u8]) -> Verdict {
    const ERRORS: [&str; 3] = ["ERROR\r\n", "CLIENT_ERROR ", "SERVER_ERROR "];
    let words: &[&str] = match verb {
        Verb::Watch | Verb::Quit | Verb::BadStore | Verb::Unknown => return Verdict::No,
        _ if is_any => &ANSWERS,
        Verb::Get => &["VALUE ", "END\r\n"],
        Verb::Delete => &["DELETED\r\n", "NOT_FOUND\r\n"],
        Verb::Arithmetic => &["NOT_FOUND\r\n"],
        Verb::Touch => &["TOUCHED\r\n", "NOT_FOUND\r\n"],
        Verb::Version => &["VERSION "],
        Verb::Admin => &["STAT ", "RESET\r\n", "OK\r\n", "END\r\n"],
        _ => &ANSWERS,
    };
    if answer.is_empty() {
        return Verdict::NeedMore;
    }
    let digits = answer.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if verb == Verb::Arithmetic && digits > 0 {
        return match &answer[digits..] {
            [b'\r', b'\n', ..] => Verdict::Yes,
            [] | [b'\r'] if digits <= 20 => Verdict::NeedMore,
            _ => Verdict::No,
        };
    }
    let all = || words.iter().chain(&ERRORS).map(|word| word.as_bytes());
    match () {
        () if all().any(|word| answer.starts_with(word)) => Verdict::Yes,
        () if all().any(|word| word.starts_with(answer)) => Verdict::NeedMore,
        () => Verdict::No,
    }
}

/// Whether a segment may begin with a command.
pub(super) fn is_command(bytes: &[u8]) -> bool {
    let end = bytes.iter().take(16).position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    end.is_some_and(|end| Verb::named(&bytes[..end]).is_some())
}

/// Three-way detection of the binary protocol, by the 24 bytes of a request's header.
pub fn detect_binary(opening: &Opening<'_>) -> Verdict {
    opening.any(is_binary)
}

fn is_binary(bytes: &[u8]) -> Verdict {
    const HEADER: usize = 24;
    if bytes.first() != Some(&0x80) || bytes.get(1).is_some_and(|opcode| *opcode > 0x22) {
        return Verdict::No;
    }
    let Some(header) = bytes.get(..HEADER) else { return Verdict::NeedMore };
    let key = u32::from(u16::from_be_bytes([header[2], header[3]]));
    let body = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let extras = header[4];
    let is_formed = match header[1] {
        // SASL.
        0x20..=0x22 => extras == 0,
        0x08 | 0x18 | 0x1b => key == 0 && (extras == 0 || extras == 4),
        // STAT has a key or none.
        0x10 => extras == 0,
        0x07 | 0x0a | 0x0b | 0x17 => key == 0 && extras == 0,
        0x01..=0x03 | 0x11..=0x13 => key > 0 && extras == 8,
        0x05 | 0x06 | 0x15 | 0x16 => key > 0 && extras == 20,
        0x1c..=0x1e => key > 0 && extras == 4,
        0x1f => false,
        _ => key > 0 && extras == 0,
    };
    let is_sized = key <= 250 && body >= key + u32::from(extras) && body < 1 << 30;
    if header[5..8] == [0; 3] && is_formed && is_sized { Verdict::Yes } else { Verdict::No }
}
