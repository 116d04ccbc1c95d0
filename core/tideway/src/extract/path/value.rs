//! One path parameter as a serde deserializer, and the error that names it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::de::value::StrDeserializer;
use serde::de::{self, Deserializer, EnumAccess, SeqAccess, VariantAccess, Visitor};

use super::{BadValue, PathRejection};
use crate::routing::cut;

/// One parameter: its name and its raw value.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) name: &'a str,
    pub(super) raw: &'a str,
}

impl<'a> Value<'a> {
    fn text(self) -> Result<Cow<'a, str>, Error> {
        percent_decode_str(self.raw)
            .decode_utf8()
            .map_err(|_| Error(PathRejection::Utf8(self.name.into()), false))
    }

    fn parse<T: std::str::FromStr>(self, expected: &str) -> Result<T, Error> {
        let text = self.text()?;
        // `+5` and `+0` are not how anyone writes an id; `FromStr` takes them.
        let parsed = if text.starts_with('+') {
            None
        } else {
            text.parse().ok()
        };
        parsed.ok_or_else(|| Error::expected(expected).of(self))
    }
}

/// The error of this deserializer. The flag says that the parameter is still to be named.
#[derive(Debug)]
pub(super) struct Error(PathRejection, bool);

impl Error {
    pub(super) fn mismatch(text: impl Into<Box<str>>) -> Self {
        Self(PathRejection::Mismatch(text.into()), false)
    }

    fn expected(expected: impl std::fmt::Display) -> Self {
        let bad = BadValue {
            name: String::new(),
            value: String::new(),
            expected: expected.to_string(),
        };
        Self(PathRejection::Value(Box::new(bad)), true)
    }

    /// The same error, as one of this parameter.
    pub(super) fn of(mut self, value: Value<'_>) -> Self {
        if let PathRejection::Value(bad) = &mut self.0
            && self.1
        {
            let text = percent_decode_str(value.raw).decode_utf8_lossy();
            bad.name = value.name.to_owned();
            bad.value = cut(&text).to_owned();
            self.1 = false;
        }
        self
    }
}

impl From<Error> for PathRejection {
    fn from(error: Error) -> Self {
        match error {
            // Nothing was read when it arose, so that no value can be at fault.
            Error(PathRejection::Value(bad), true) => Self::Mismatch(bad.expected.into()),
            Error(rejection, _) => rejection,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::expected(format_args!("another value: {message}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::expected(expected)
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::mismatch(format!("the handler takes {expected}"))
    }

    fn invalid_length(len: usize, expected: &dyn de::Expected) -> Self {
        Self::mismatch(format!(
            "the pattern has {len} parameters, the handler takes {expected}"
        ))
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::expected(format_args!("one of {}", variants.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::mismatch(format!("the handler does not take the parameter `{field}`"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::mismatch(format!("the pattern has no parameter `{field}`"))
    }
}

macro_rules! parse {
    ($($method:ident $visit:ident $name:literal,)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.parse($name)?)
        }
    )*};
}

macro_rules! float {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            let number: $type = self.parse(stringify!($type))?;
            if !number.is_finite() {
                return Err(Error::expected("a finite number").of(self));
            }
            visitor.$visit(number)
        }
    )*};
}

macro_rules! text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.text()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            }
        }
    )*};
}

macro_rules! nested {
    ($($method:ident($($arg:ty),*))*) => {$(
        fn $method<V: Visitor<'a>>(self, $(_: $arg,)* _: V) -> Result<V::Value, Error> {
            Err(Error::mismatch(format!("one parameter, `{}`, is a single value", self.name)))
        }
    )*};
}

impl<'a> Deserializer<'a> for Value<'a> {
    type Error = Error;

    parse! {
        deserialize_bool visit_bool "true or false",
        deserialize_i8 visit_i8 "i8",
        deserialize_i16 visit_i16 "i16",
        deserialize_i32 visit_i32 "i32",
        deserialize_i64 visit_i64 "i64",
        deserialize_i128 visit_i128 "i128",
        deserialize_u8 visit_u8 "u8",
        deserialize_u16 visit_u16 "u16",
        deserialize_u32 visit_u32 "u32",
        deserialize_u64 visit_u64 "u64",
        deserialize_u128 visit_u128 "u128",
        deserialize_char visit_char "a single character",
    }

    float! {
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    text! { deserialize_any deserialize_str deserialize_string deserialize_identifier }

    nested! {
        deserialize_seq()
        deserialize_map()
        deserialize_struct(&'static str, &'static [&'static str])
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        let bytes: Cow<'a, [u8]> = percent_decode_str(self.raw).into();
        match bytes {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// A pair is the name and the value: `Path<Vec<(String, String)>>`.
    fn deserialize_tuple<V: Visitor<'a>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        if len != 2 {
            let name = self.name;
            return Err(Error::mismatch(format!(
                "{len} values were asked of the parameter `{name}`"
            )));
        }
        visitor.visit_seq(Pair {
            value: self,
            next: 0,
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Pair<'a> {
    value: Value<'a>,
    next: u8,
}

impl<'a> SeqAccess<'a> for Pair<'a> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.next += 1;
        match self.next {
            1 => seed
                .deserialize(StrDeserializer::new(self.value.name))
                .map(Some),
            2 => seed.deserialize(self.value).map(Some),
            _ => Ok(None),
        }
    }
}

impl<'a> EnumAccess<'a> for Value<'a> {
    type Error = Error;
    type Variant = Unit;

    fn variant_seed<T: de::DeserializeSeed<'a>>(self, seed: T) -> Result<(T::Value, Unit), Error> {
        seed.deserialize(self).map(|variant| (variant, Unit))
    }
}

/// Only unit variants can be written in a path.
pub(super) struct Unit;

impl Unit {
    fn refuse<T>() -> Result<T, Error> {
        Err(Error::mismatch(
            "only enum variants without fields can be path parameters",
        ))
    }
}

impl<'a> VariantAccess<'a> for Unit {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'a>>(self, _: T) -> Result<T::Value, Error> {
        Self::refuse()
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Self::refuse()
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Self::refuse()
    }
}
