//! Values on their way to the server and back: 128-bit names as `uuid`, the rest by the driver. Also the
//! statements' schema: they are written with `{s}` in its place.

use std::error::Error;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// A parameter and its type: known here, so that no statement needs a round trip to learn it.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// An id or owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(pub(crate) u128);

impl ToSql for Bits {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u128(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Bits {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u128::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
}

/// The name of the schema with the store's tables.
#[derive(Clone, Debug)]
pub(crate) struct Schema(Arc<str>);

impl Schema {
    /// The longest name, in bytes: the channel of the hints has it in its own.
    const MAX: usize = 40;

    /// `None` unless it needs no quotes.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let first = |c: char| c.is_ascii_lowercase() || c == '_';
        let right = name.starts_with(first)
            && name.chars().all(|c| first(c) || c.is_ascii_digit())
            && name.len() <= Self::MAX
            && !name.starts_with("pg_");
        right.then(|| Self(name.into()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// `text` for this schema.
    pub(crate) fn sql(&self, text: &str) -> String {
        text.replace("{s}", &format!("\"{}\"", self.0))
    }

    /// Where hints are sent.
    pub(crate) fn channel(&self) -> String {
        format!("tideway_{}", self.0)
    }

    /// A number for locks, of this schema and `parts`.
    pub(crate) fn lock(&self, parts: &[&str]) -> i64 {
        use std::hash::Hasher;
        let mut hasher = tideway_engine::FoldHasher::fixed();
        for part in std::iter::once(self.name()).chain(parts.iter().copied()) {
            hasher.write(part.as_bytes());
        }
        hasher.finish() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_needs_no_quotes() {
        for name in ["tideway", "_x", "jobs_2"] {
            assert!(Schema::new(name).is_some(), "{name}");
        }
        for name in [
            "",
            "2x",
            "Jobs",
            "a-b",
            "a\"b",
            "a b",
            "pg_jobs",
            &"x".repeat(41),
        ] {
            assert!(Schema::new(name).is_none(), "{name}");
        }
    }
}
