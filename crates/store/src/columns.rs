//! One type per column type: how domain words travel to and from Postgres.

use std::str::FromStr;

use alloy_primitives::{Address, B256, U256};
use bigdecimal::{
    BigDecimal,
    num_bigint::{BigInt, Sign},
};
use clawpay_domain::{RunState, Timestamp, Usdc};
use sqlx::{
    Decode, Encode, Postgres, Row, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueRef},
};

use crate::StoreError;

/// A column of 20 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(pub Address);

/// A column of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub B256);

/// A `numeric(78,0)` column of base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub Usdc);

/// A `run_state` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(pub RunState);

/// Lets a newtype travel as `bytea`.
macro_rules! fixed_bytes {
    ($name:ident, $inner:ident) => {
        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <[u8] as Type<Postgres>>::type_info()
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                <&[u8] as PgHasArrayType>::array_type_info()
            }
        }

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                <&[u8] as Encode<'_, Postgres>>::encode_by_ref(&self.0.as_slice(), buffer)
            }
        }

        impl<'r> Decode<'r, Postgres> for $name {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                Ok(Self($inner::try_from(<&[u8] as Decode<'r, Postgres>>::decode(value)?)?))
            }
        }
    };
}

fixed_bytes!(Account, Address);
fixed_bytes!(Hash, B256);

impl Type<Postgres> for Amount {
    fn type_info() -> PgTypeInfo {
        BigDecimal::type_info()
    }
}

impl PgHasArrayType for Amount {
    fn array_type_info() -> PgTypeInfo {
        BigDecimal::array_type_info()
    }
}

impl Encode<'_, Postgres> for Amount {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let units = BigInt::from_bytes_be(Sign::Plus, &self.0.0.to_be_bytes::<32>());
        BigDecimal::from(units).encode_by_ref(buffer)
    }
}

impl Decode<'_, Postgres> for Amount {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let (units, scale) = BigDecimal::decode(value)?.with_scale(0).into_bigint_and_exponent();
        let (sign, bytes) = units.to_bytes_be();
        if scale != 0 || sign == Sign::Minus || bytes.len() > 32 {
            return Err("an amount is a whole number of at most 256 bits".into());
        }
        Ok(Self(Usdc(U256::from_be_slice(&bytes))))
    }
}

impl Type<Postgres> for State {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("run_state")
    }
}

impl PgHasArrayType for State {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_run_state")
    }
}

impl Encode<'_, Postgres> for State {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'_, Postgres>>::encode_by_ref(&self.0.as_str(), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for State {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(RunState::from_str(<&str as Decode<'r, Postgres>>::decode(value)?)?))
    }
}

/// The cells of a row, from the first to the last: a row of several tables has more than one column of a name.
#[derive(Debug)]
pub(crate) struct Cells<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Cells<'r> {
    /// Of all columns.
    pub(crate) const fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    /// What the next cell holds.
    pub(crate) fn take<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Result<T, sqlx::Error> {
        let cell = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(cell)
    }

    /// Passes over so many cells.
    pub(crate) const fn pass(&mut self, count: usize) {
        self.next += count;
    }
}

/// A number for a `bigint` column.
pub(crate) fn bigint(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::TooLarge(number))
}

/// The end of a range of numbers in a `bigint` column, none of which is larger.
pub(crate) fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time for a `bigint` column.
pub(crate) fn seconds(at: Timestamp) -> Result<i64, StoreError> {
    bigint(at.0)
}

/// A count or number from a `bigint` column of `table`.
pub(crate) fn unsigned(table: &'static str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt { table, value: number.to_string() })
}

/// A small count from a `smallint` column of `table`.
pub(crate) fn small(table: &'static str, number: i16) -> Result<u8, StoreError> {
    u8::try_from(number).map_err(|_| StoreError::Corrupt { table, value: number.to_string() })
}

/// A time from a `bigint` column of `table`.
pub(crate) fn timestamp(table: &'static str, at: i64) -> Result<Timestamp, StoreError> {
    unsigned(table, at).map(Timestamp)
}
