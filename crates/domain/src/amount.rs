//! USDC amounts: whole base units inside, a decimal point only where people write one.

use std::{fmt, iter::Sum, str::FromStr};

use alloy_primitives::U256;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// An amount of USDC in base units: 20 USDC is `20000000`. Serialises as a decimal string, so that no JSON reader rounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usdc(pub U256);

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Not digits with at most one point.
    #[error("not a number")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// USDC has six decimals.
    #[error("USDC has at most 6 decimals")]
    TooManyDecimals,
    /// Larger than can be stated.
    #[error("too large")]
    TooLarge,
    /// A decimal point where whole base units are wanted.
    #[error("must be a whole number of base units, without a point: 1 USDC is 1000000")]
    NotBaseUnits,
}

impl Usdc {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);
    /// Decimals of the token.
    pub const DECIMALS: u32 = 6;
    const FRACTION_DIGITS: usize = Self::DECIMALS as usize;

    /// `units` base units.
    pub const fn base_units(units: u64) -> Self {
        Self(U256::from_limbs([units, 0, 0, 0]))
    }

    /// `whole` USDC, which must stay below 18 million million.
    pub const fn whole(whole: u64) -> Self {
        Self::base_units(whole * 1_000_000)
    }

    /// Reads what a person writes: `100`, `0.5`, at most six decimals. Refuses all else, and says why.
    pub fn parse_decimal(text: &str) -> Result<Self, AmountError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotANumber);
        }
        // Zeros at the end are no decimals: 1.50 says no more than 1.5.
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > Self::FRACTION_DIGITS {
            return Err(AmountError::TooManyDecimals);
        }
        // What is left is a number, so only its size can be wrong with it.
        let decimal = Decimal::from_str_exact(&format!("{whole}.{fraction}0")).map_err(|_| AmountError::TooLarge)?;
        if digits.len() < text.len() && !decimal.is_zero() {
            return Err(AmountError::Negative);
        }
        let units = U256::from(decimal.mantissa().unsigned_abs()) * U256::from(1_000_000_u64);
        Ok(Self(units / U256::from(10_u64).pow(U256::from(decimal.scale()))))
    }

    /// `self + other`, or nothing if it does not fit 256 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// `self - other`, or nothing if `other` is larger.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// `self + other`, at most the largest 256-bit amount.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// `self - other`, at least zero.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self` x `count`, at most the largest 256-bit amount.
    pub fn saturating_mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(U256::from(count)))
    }
}

/// As people write it: `100`, `0.5`, without trailing zeros or unit.
impl fmt::Display for Usdc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.0.div_rem(U256::from(1_000_000_u64));
        if fraction.is_zero() {
            return whole.fmt(f);
        }
        let digits = format!("{fraction:0>6}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Base units, as they travel in JSON.
impl FromStr for Usdc {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('-') {
            return Err(AmountError::Negative);
        }
        if text.contains('.') {
            return Err(AmountError::NotBaseUnits);
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotANumber);
        }
        U256::from_str_radix(text, 10).map(Self).map_err(|_| AmountError::TooLarge)
    }
}

impl Sum for Usdc {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl Serialize for Usdc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Usdc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
