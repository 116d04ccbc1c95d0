//! The parameters of a match as a serde deserializer: by position or by name.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::value::{Error, Value};
use crate::routing::Params;

/// All parameters of a match, in the order of the pattern.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) params: &'a Params,
    pub(super) path: &'a str,
}

impl<'a> Parameters<'a> {
    fn values(self) -> impl Iterator<Item = Value<'a>> {
        self.params
            .iter(self.path)
            .map(|(name, raw)| Value { name, raw })
    }

    /// The value, if there is exactly one.
    fn single(self) -> Result<Value<'a>, Error> {
        match self.params.len() {
            1 => self.values().next().ok_or_else(|| self.wrong_count(1)),
            _ => Err(self.wrong_count(1)),
        }
    }

    /// The error as one of the value, if there is exactly one to blame.
    pub(super) fn blamed(self, error: Error) -> Error {
        match self.single() {
            Ok(value) => error.of(value),
            Err(_) => error,
        }
    }

    fn wrong_count(self, wanted: usize) -> Error {
        let have = self.params.len();
        Error::mismatch(format!(
            "the pattern has {have} parameters, the handler takes {wanted}"
        ))
    }

    fn seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Elements(self.values()))
    }
}

macro_rules! single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = self.single()?;
            value.$method(visitor).map_err(|error| error.of(value))
        }
    )*};
}

impl<'a> Deserializer<'a> for Parameters<'a> {
    type Error = Error;

    single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.params.len() {
            1 => self.deserialize_str(visitor),
            _ => self.deserialize_map(visitor),
        }
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

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.seq(visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        if self.params.len() != len {
            return Err(self.wrong_count(len));
        }
        self.seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entries {
            rest: self.values(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.single()?;
        value
            .deserialize_enum(name, variants, visitor)
            .map_err(|error| error.of(value))
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// The values by position.
struct Elements<I>(I);

impl<'a, I: Iterator<Item = Value<'a>>> SeqAccess<'a> for Elements<I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.0.next() else {
            return Ok(None);
        };
        seed.deserialize(value)
            .map(Some)
            .map_err(|error| error.of(value))
    }
}

/// The values by name.
struct Entries<'a, I> {
    rest: I,
    value: Option<Value<'a>>,
}

impl<'a, I: Iterator<Item = Value<'a>>> MapAccess<'a> for Entries<'a, I> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.value = self.rest.next();
        let Some(value) = self.value else {
            return Ok(None);
        };
        let name: BorrowedStrDeserializer<'a, Error> = BorrowedStrDeserializer::new(value.name);
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let value = self
            .value
            .take()
            .ok_or_else(|| Error::mismatch("a value was asked before its name"))?;
        seed.deserialize(value).map_err(|error| error.of(value))
    }
}
