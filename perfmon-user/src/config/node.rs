//! A setting before it is checked: a tree of values with their line numbers. Files, environment variables and flags all become nodes, so
//! that one function checks a key whatever its origin. Checks return all faults, not the first.
use std::time::Duration;

use super::duration;

/// A value and its line.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigNode {
    /// Line in the file, from 1; `None` outside files.
    pub line: Option<usize>,
    /// The unchecked value.
    pub value: RawValue,
}

/// An unchecked value.
#[derive(Clone, Debug, PartialEq)]
pub enum RawValue {
    /// Text of an environment variable or a flag; the key determines its type.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML float.
    Float(f64),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML array, or a flag given several times.
    List(Vec<ConfigNode>),
    /// A TOML table, keys in the order of their names.
    Table(Vec<(String, ConfigNode)>),
    /// A TOML date, which no key takes.
    Date(String),
}

/// A fault of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line in the file.
    pub line: Option<usize>,
    /// Key below the checked one, empty for the key itself.
    pub key: String,
    /// The problem and its solution.
    pub message: String,
}

/// A checked value or all its faults.
pub type Checked<T> = Result<T, Vec<Fault>>;

impl ConfigNode {
    /// A node of a flag or an environment variable.
    pub fn word(text: impl Into<String>) -> Self {
        Self { line: None, value: RawValue::Word(text.into()) }
    }

    /// A flag that was given several times.
    pub fn words<I: IntoIterator<Item = S>, S: Into<String>>(texts: I) -> Self {
        Self { line: None, value: RawValue::List(texts.into_iter().map(Self::word).collect()) }
    }

    /// The fault "this is not what the key takes".
    pub fn fault<T>(&self, message: impl Into<String>) -> Checked<T> {
        Err(vec![Fault { line: self.line, key: String::new(), message: message.into() }])
    }

    fn wrong<T>(&self, wanted: &str) -> Checked<T> {
        self.fault(format!("{} is not {wanted}", self.shown()))
    }

    fn shown(&self) -> String {
        match &self.value {
            RawValue::Word(text) | RawValue::Text(text) => format!("{text:?}"),
            RawValue::Integer(number) => number.to_string(),
            RawValue::Float(number) => number.to_string(),
            RawValue::Bool(value) => value.to_string(),
            RawValue::List(_) => "a list".into(),
            RawValue::Table(_) => "a table".into(),
            RawValue::Date(text) => format!("the date {text}"),
        }
    }

    /// Text that is not empty.
    pub fn text(&self) -> Checked<&str> {
        match &self.value {
            RawValue::Word(text) | RawValue::Text(text) if text.is_empty() => self.fault("must not be empty; leave the key out instead"),
            RawValue::Word(text) | RawValue::Text(text) => Ok(text),
            _ => self.wrong("text; put it in quotation marks"),
        }
    }

    /// `true` or `false`; as a word also `1`, `0`, `yes`, `no`.
    pub fn bool(&self) -> Checked<bool> {
        match &self.value {
            RawValue::Bool(value) => Ok(*value),
            RawValue::Word(text) => match text.as_str() {
                "true" | "1" | "yes" => Ok(true),
                "false" | "0" | "no" => Ok(false),
                _ => self.wrong("true or false"),
            },
            _ => self.wrong("true or false"),
        }
    }

    /// An integer from `least` to `most`.
    pub fn integer(&self, least: i64, most: i64) -> Checked<i64> {
        let number = match &self.value {
            RawValue::Integer(number) => Some(*number),
            RawValue::Word(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            Some(number) => self.fault(format!("{number} is out of range; give an integer from {least} to {most}")),
            None => self.wrong(&format!("an integer from {least} to {most}")),
        }
    }

    /// A number from `least` to `most`.
    pub fn number(&self, least: f64, most: f64) -> Checked<f64> {
        let number = match &self.value {
            RawValue::Integer(number) => Some(*number as f64),
            RawValue::Float(number) => Some(*number),
            RawValue::Word(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            Some(number) => self.fault(format!("{number} is out of range; give a number from {least} to {most}")),
            None => self.wrong(&format!("a number from {least} to {most}")),
        }
    }

    /// One of a few words; integers among them may also be given as numbers.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Checked<T> {
        let given = match &self.value {
            RawValue::Word(text) | RawValue::Text(text) => text.clone(),
            RawValue::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        match choices.iter().find(|(name, _)| *name == given) {
            Some((_, value)) => Ok(*value),
            None => self.wrong(&format!("one of {}", choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))),
        }
    }

    /// A duration like `"90s"`, `"5m"`, `"1h30m"`, within bounds.
    pub fn duration(&self, least: Duration, most: Duration) -> Checked<Duration> {
        let text = match &self.value {
            RawValue::Integer(number) => {
                return self.fault(format!("{number} has no unit; write a duration like \"{number}s\" or \"{number}m\""));
            }
            _ => self.text()?,
        };
        match duration::parse(text) {
            Ok(value) if value < least || value > most => {
                self.fault(format!("{text:?} is out of range; give {} to {}", duration::show(least), duration::show(most)))
            }
            Ok(value) => Ok(value),
            Err(why) => self.fault(format!("{text:?} is not a duration: {why}")),
        }
    }

    /// A list of values; as a word, separated by commas or written as in TOML.
    pub fn list<T>(&self, check: impl Fn(&ConfigNode) -> Checked<T>) -> Checked<Vec<T>> {
        let parts: Vec<ConfigNode> = match &self.value {
            RawValue::List(nodes) => nodes.clone(),
            RawValue::Word(text) if text.trim_start().starts_with('[') => match self.toml_list(text)? {
                ConfigNode { value: RawValue::List(nodes), .. } => nodes,
                other => return other.wrong("a list"),
            },
            RawValue::Word(text) => text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(ConfigNode::word).collect(),
            _ => return self.wrong("a list; put it in square brackets"),
        };
        gather(parts.iter().map(check))
    }

    fn toml_list(&self, text: &str) -> Checked<ConfigNode> {
        match super::file::parse_value(text) {
            Ok(node) => Ok(node),
            Err(why) => self.fault(format!("{text:?} is not a TOML list: {why}")),
        }
    }
}

/// All values, or all faults.
pub fn gather<T>(results: impl Iterator<Item = Checked<T>>) -> Checked<Vec<T>> {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(faults) }
}
