//! Attributes and values of OTLP. Names are those of the semantic conventions, written once here when more than one file needs them.
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// Attributes under construction; unknown values are left out.
#[derive(Debug, Default)]
pub struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Adds a value.
    pub fn add(&mut self, key: &str, value: impl Into<AttributeValue>) -> &mut Self {
        self.0.push(KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value.into().0) }), ..KeyValue::default() });
        self
    }

    /// Adds a value where there is one.
    pub fn maybe(&mut self, key: &str, value: Option<impl Into<AttributeValue>>) -> &mut Self {
        if let Some(value) = value {
            self.add(key, value);
        }
        self
    }

    /// The attributes, leaving none.
    pub fn take(&mut self) -> Vec<KeyValue> {
        std::mem::take(&mut self.0)
    }
}

/// A value of an attribute.
#[derive(Debug)]
pub struct AttributeValue(Value);

impl AttributeValue {
    /// The value alone, for the body of a log record.
    pub fn any(self) -> AnyValue {
        AnyValue { value: Some(self.0) }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self(Value::StringValue(text.into()))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self(Value::StringValue(text))
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self(Value::BoolValue(value))
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self(Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<f64> for AttributeValue {
    fn from(number: f64) -> Self {
        Self(Value::DoubleValue(number))
    }
}

impl From<&[&str]> for AttributeValue {
    fn from(texts: &[&str]) -> Self {
        let values = texts.iter().map(|text| Self::from(*text).any()).collect();
        Self(Value::ArrayValue(ArrayValue { values }))
    }
}

/// A name and a port out of `host`, `host:port`, `ip:port`, `[ip]:port`.
pub fn address(text: &str) -> (&str, Option<u64>) {
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address without brackets has no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (text, None),
    };
    if port.is_none() && !text.ends_with(']') {
        return (text, None);
    }
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, parts) in [
            ("shop.example", ("shop.example", None)),
            ("shop.example:8443", ("shop.example", Some(8443))),
            ("10.0.0.1:80", ("10.0.0.1", Some(80))),
            ("[::1]:80", ("::1", Some(80))),
            ("[::1]", ("::1", None)),
            ("fe80::1", ("fe80::1", None)),
            ("unix:/run/x.sock", ("unix:/run/x.sock", None)),
        ] {
            assert_eq!(address(text), parts, "{text}");
        }
    }
}
