//! The top-level fields of a serialisable row as JSON texts, so that two states of a row can be compared field by field without building a
//! tree of values. Takes structs and maps, flattened fields too; anything else has no fields and is an error.
use std::collections::BTreeSet;
use std::fmt;

use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeStruct, Serializer};

/// Names of the fields that a client wants; `None` = all.
pub(super) type WantedFields = Option<BTreeSet<String>>;

/// `"name":value` of each wanted field, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FieldTexts {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// Why a value has no fields.
#[derive(Debug)]
pub(super) struct NoFields(String);

impl fmt::Display for NoFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoFields {}

impl ser::Error for NoFields {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl FieldTexts {
    /// Of a row.
    pub fn of<T: Serialize + ?Sized>(row: &T, wanted: &WantedFields) -> Result<Self, NoFields> {
        row.serialize(FieldCollector { texts: Self::default(), wanted: wanted.as_ref(), named: false })
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each `"name":value`.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }

    /// Appends `{…}` with those fields that are not the same in `before`; nothing when all are.
    pub fn append_changed(&self, before: &Self, to: &mut Vec<u8>) {
        let changed = self.iter().zip(before.iter()).filter(|(now, then)| now != then).map(|(now, _)| now);
        append_object(changed, to);
    }

    /// Appends all fields as `{…}`.
    pub fn append(&self, to: &mut Vec<u8>) {
        append_object(self.iter(), to);
    }
}

fn append_object<'a>(fields: impl Iterator<Item = &'a [u8]>, to: &mut Vec<u8>) {
    to.push(b'{');
    for (index, field) in fields.enumerate() {
        if index > 0 {
            to.push(b',');
        }
        to.extend_from_slice(field);
    }
    to.push(b'}');
}

struct FieldCollector<'a> {
    texts: FieldTexts,
    wanted: Option<&'a BTreeSet<String>>,
    /// The name of a wanted field stands in the text, its value comes next.
    named: bool,
}

impl FieldCollector<'_> {
    /// Writes the name when the field is wanted.
    fn name(&mut self, name: &str) -> Result<(), NoFields> {
        self.named = self.wanted.is_none_or(|wanted| wanted.contains(name));
        if self.named {
            self.json(name)?;
            self.texts.text.push(b':');
        }
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoFields> {
        if std::mem::take(&mut self.named) {
            self.json(value)?;
            self.texts.ends.push(self.texts.text.len());
        }
        Ok(())
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoFields> {
        serde_json::to_writer(&mut self.texts.text, value).map_err(ser::Error::custom)
    }
}

impl SerializeStruct for FieldCollector<'_> {
    type Ok = FieldTexts;
    type Error = NoFields;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NoFields> {
        self.name(name)?;
        self.value(value)
    }

    fn end(self) -> Result<FieldTexts, NoFields> {
        Ok(self.texts)
    }
}

impl SerializeMap for FieldCollector<'_> {
    type Ok = FieldTexts;
    type Error = NoFields;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NoFields> {
        let name = serde_json::to_value(key).map_err(<NoFields as ser::Error>::custom)?;
        self.name(name.as_str().unwrap_or_default())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoFields> {
        self.value(value)
    }

    fn end(self) -> Result<FieldTexts, NoFields> {
        Ok(self.texts)
    }
}

/// Methods for what has no fields.
macro_rules! without_fields {
    ($($method:ident($($kind:ty),*)),* $(,)?) => {
        $(fn $method(self, $(_: $kind),*) -> Result<FieldTexts, NoFields> { Err(NoFields(concat!(stringify!($method), ": no fields").into())) })*
    };
}

impl<'a> Serializer for FieldCollector<'a> {
    type Ok = FieldTexts;
    type Error = NoFields;
    type SerializeSeq = Impossible<FieldTexts, NoFields>;
    type SerializeTuple = Impossible<FieldTexts, NoFields>;
    type SerializeTupleStruct = Impossible<FieldTexts, NoFields>;
    type SerializeTupleVariant = Impossible<FieldTexts, NoFields>;
    type SerializeMap = FieldCollector<'a>;
    type SerializeStruct = FieldCollector<'a>;
    type SerializeStructVariant = Impossible<FieldTexts, NoFields>;

    without_fields!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_none(),
        serialize_unit(),
        serialize_unit_struct(&'static str),
        serialize_unit_variant(&'static str, u32, &'static str),
    );

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<FieldTexts, NoFields> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<FieldTexts, NoFields> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<FieldTexts, NoFields> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NoFields> {
        Err(NoFields("a sequence has no fields".into()))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NoFields> {
        Err(NoFields("a tuple has no fields".into()))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, NoFields> {
        Err(NoFields("a tuple has no fields".into()))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self::SerializeTupleVariant, NoFields> {
        Err(NoFields("a tuple has no fields".into()))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, NoFields> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, NoFields> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NoFields> {
        Err(NoFields("a variant has no fields".into()))
    }
}
