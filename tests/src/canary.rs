//! Canaries: random texts, each planted in one place, and the search for them in what a program gives out. A text counts as found when ten
//! characters in a row of its random part are there, in any case of letters, so that a part that was left over shows too.
use std::collections::HashMap;

use perfmon_user::clock::boot_now_ns;
use perfmon_user::redact::is_token;

/// Characters of a canary that identify it.
const WINDOW: usize = 10;

/// What a canary looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A key of a known service.
    Key,
    /// Letters and digits.
    Token,
    /// Hexadecimal digits.
    Hex,
    /// A JSON web token.
    Jwt,
    /// A password that no rule can tell from a word.
    Password,
    /// A mail address.
    Mail,
    /// A sentence.
    Sentence,
    /// A word that may be shown: it proves that the search finds what is there.
    Shown,
}

/// A planted text.
#[derive(Clone, Debug)]
struct Canary {
    place: String,
    text: String,
    form: Form,
}

/// All canaries of a test.
#[derive(Debug)]
pub struct Canaries {
    state: u64,
    planted: Vec<Canary>,
    windows: HashMap<[u8; WINDOW], usize>,
    /// Whether a window begins so: most of an output is passed over by this.
    beginnings: Vec<bool>,
}

impl Default for Canaries {
    fn default() -> Self {
        Self {
            state: boot_now_ns() ^ u64::from(std::process::id()) << 40 | 1,
            planted: Vec::new(),
            windows: HashMap::new(),
            beginnings: vec![false; 1 << 16],
        }
    }
}

impl Canaries {
    /// A new text for a place.
    pub fn plant(&mut self, place: &str, form: Form) -> String {
        const WIDE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
        let (before, alphabet, length, after) = match form {
            Form::Key => ("sk-proj-", WIDE, 32, ""),
            Form::Token => ("", WIDE, 32, ""),
            Form::Hex => ("", "0123456789abcdef", 40, ""),
            Form::Jwt => ("eyJhbGciOiJIUzI1NiJ9.eyJ", WIDE, 43, ""),
            Form::Password => ("pw", SMALL, 13, "1!"),
            Form::Mail => ("", SMALL, 12, "@canary.example"),
            Form::Sentence => ("please tell nobody about ", SMALL, 14, " or we are lost"),
            Form::Shown => ("ca", "aeiou", 11, "na"),
        };
        let mut random = self.random(alphabet, length);
        // The rule misses one of a hundred, which its own tests measure; here the question is where it is applied.
        while matches!(form, Form::Key | Form::Token | Form::Hex | Form::Jwt) && !is_token(&random) {
            random = self.random(alphabet, length);
        }
        let text = format!("{before}{random}{after}");
        let number = self.planted.len();
        let random = random.to_ascii_lowercase().into_bytes();
        for window in random.windows(WINDOW).filter_map(|window| window.try_into().ok()) {
            self.windows.insert(window, number);
            self.beginnings[beginning(&window)] = true;
        }
        self.planted.push(Canary { place: place.into(), text: text.clone(), form });
        text
    }

    fn random(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..length).map(|_| char::from(letters[self.next() as usize % letters.len()])).collect()
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 24
    }

    /// The places of which something is in an output.
    fn found(&self, output: &[u8]) -> Vec<&Canary> {
        let lower = output.to_ascii_lowercase();
        let may_be = |window: &&[u8]| self.beginnings[beginning(window)];
        let numbers = lower.windows(WINDOW).filter(may_be).filter_map(|window| self.windows.get(window).copied());
        let mut numbers: Vec<usize> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| self.planted.get(number)).collect()
    }

    /// The secrets that an output shows, each with its place and the name of the output.
    pub fn leaks(&self, name: &str, output: &[u8]) -> Vec<String> {
        let secrets = self.found(output).into_iter().filter(|canary| canary.form != Form::Shown);
        secrets.map(|canary| format!("{name} shows {:?} of {} ({})", canary.form, canary.place, canary.text)).collect()
    }

    /// The places of texts that may be shown and are in an output.
    pub fn shown(&self, output: &[u8]) -> Vec<&str> {
        self.found(output).into_iter().filter(|canary| canary.form == Form::Shown).map(|canary| canary.place.as_str()).collect()
    }
}

/// A number of two bytes for the first three of a window.
fn beginning(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 ^ usize::from(window[1]) << 4 ^ usize::from(window[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_canary_is_found_whatever_its_case() {
        let mut canaries = Canaries::default();
        let token = canaries.plant("a header", Form::Token);
        let word = canaries.plant("a path", Form::Shown);
        assert_eq!(canaries.leaks("log", b"nothing at all in here"), [""; 0]);
        let output = format!("x{}y {word}", &token[5..17].to_uppercase());
        assert_eq!(canaries.leaks("log", output.as_bytes()).len(), 1);
        assert_eq!(canaries.shown(output.as_bytes()), ["a path"]);
    }
}
