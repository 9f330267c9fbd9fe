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
