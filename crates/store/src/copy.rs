//! Rows into a table by `COPY` in its binary format: nothing is faster, and nothing larger than one chunk is ever held.

use alloy_primitives::{Address, B256, U256};
use clawpay_domain::{RunState, Usdc};
use sqlx::PgConnection;

use crate::StoreError;

/// So few rows go in sooner by a statement of their own. The end of a copy is a small message after another, which TCP holds back until the
/// server's machine acknowledges the first: 40 ms on Linux, and nothing that the client could turn off.
pub(crate) const FEW: usize = 64;

/// Bytes sent at once.
const CHUNK: usize = 256 << 10;
/// The signature that every binary copy begins with, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In the place of a row's column count.
const END: i16 = -1;
/// In the place of a value's length.
const NULL: i32 = -1;

/// Adds one row per record to the columns that `statement` names, as `COPY t (a, b) FROM STDIN (FORMAT binary)` does. `write` writes a
/// record's values in the order of the columns.
pub(crate) async fn insert<R>(
    connection: &mut PgConnection,
    statement: &str,
    columns: i16,
    records: impl IntoIterator<Item = R>,
    mut write: impl FnMut(&mut Row<'_>, R) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 4);
    chunk.extend_from_slice(HEADER);
    for record in records {
        chunk.extend_from_slice(&columns.to_be_bytes());
        // A row that cannot be written drops the copy, and its caller drops the transaction.
        write(&mut Row(&mut chunk), record)?;
        if chunk.len() >= CHUNK {
            copy.send(chunk.as_slice()).await?;
            chunk.clear();
        }
    }
    chunk.extend_from_slice(&END.to_be_bytes());
    copy.send(chunk.as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

/// One row on its way.
pub(crate) struct Row<'a>(&'a mut Vec<u8>);

impl Row<'_> {
    /// The next column.
    pub(crate) fn put(&mut self, value: impl Field) -> Result<(), StoreError> {
        let length_at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        let start = self.0.len();
        let length = match value.write(self.0) {
            Written::Value => i32::try_from(self.0.len() - start).map_err(|_| StoreError::TooLarge(u64::MAX))?,
            Written::Null => NULL,
        };
        self.0[length_at..start].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// What a field has written.
pub(crate) enum Written {
    /// Its bytes.
    Value,
    /// Nothing, and means it.
    Null,
}

/// What a column can hold, in the form that the type's `recv` function reads.
pub(crate) trait Field {
    fn write(self, bytes: &mut Vec<u8>) -> Written;
}

impl<T: Field> Field for Option<T> {
    fn write(self, bytes: &mut Vec<u8>) -> Written {
        self.map_or(Written::Null, |value| value.write(bytes))
    }
}

/// Fields whose form is their bytes.
macro_rules! plain {
    ($(|$value:ident: $type:ty| $bytes:expr;)+) => {
        $(impl Field for $type {
            fn write(self, bytes: &mut Vec<u8>) -> Written {
                let $value = self;
                bytes.extend_from_slice($bytes);
                Written::Value
            }
        })+
    };
}

plain! {
    |value: i64| &value.to_be_bytes();
    |value: i16| &value.to_be_bytes();
    |value: bool| &[u8::from(value)];
    |value: &[u8]| value;
    |value: &str| value.as_bytes();
    |value: Address| value.as_slice();
    |value: B256| value.as_slice();
    |value: RunState| value.as_str().as_bytes();
}

/// Several byte strings, one after the other, as one.
pub(crate) struct Concat<'a>(pub(crate) &'a [B256]);

impl Field for Concat<'_> {
    fn write(self, bytes: &mut Vec<u8>) -> Written {
        for word in self.0 {
            bytes.extend_from_slice(word.as_slice());
        }
        Written::Value
    }
}

/// A whole `numeric`: digits to the base 10,000, the most significant first.
impl Field for Usdc {
    fn write(self, bytes: &mut Vec<u8>) -> Written {
        const BASE: u64 = 10_000;
        // 2^256 has 78 decimal digits.
        let mut digits = [0_u16; 20];
        let mut count = 0_u16;
        let mut rest = self.0;
        while !rest.is_zero() {
            let (quotient, digit) = rest.div_rem(U256::from(BASE));
            // Below the base.
            digits[usize::from(count)] = digit.to();
            count += 1;
            rest = quotient;
        }
        let (weight, sign, scale) = (count.saturating_sub(1), 0_u16, 0_u16);
        for word in [count, weight, sign, scale].into_iter().chain(digits[..usize::from(count)].iter().rev().copied()) {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        Written::Value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: impl Field) -> Vec<u8> {
        let mut bytes = Vec::new();
        Row(&mut bytes).put(value).unwrap();
        bytes
    }

    #[test]
    fn a_value_is_preceded_by_its_length_and_nothing_by_minus_one() {
        assert_eq!(written(7_i16), [0, 0, 0, 2, 0, 7]);
        assert_eq!(written(None::<i64>), [255, 255, 255, 255]);
        assert_eq!(written(Some("ab")), [0, 0, 0, 2, b'a', b'b']);
        assert_eq!(written(Concat(&[])), [0, 0, 0, 0]);
    }

    #[test]
    fn an_amount_is_its_digits_to_the_base_of_ten_thousand() {
        assert_eq!(written(Usdc::ZERO), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        // 1,0002,0000
        assert_eq!(written(Usdc::base_units(100_020_000))[4..], [0, 3, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(written(Usdc(U256::MAX)).len(), 4 + 8 + 2 * 20);
    }
}
