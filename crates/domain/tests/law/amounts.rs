//! USDC as people write it, as it travels, and as it is shown.

use alloy_primitives::U256;
use clawpay_domain::{AmountError, Usdc};
use proptest::prelude::*;

#[test]
fn people_write_usdc_with_at_most_six_decimals() {
    let units = |text| Usdc::parse_decimal(text).map(|amount| amount.0.to::<u128>());
    assert_eq!(units("0"), Ok(0));
    assert_eq!(units("100"), Ok(100_000_000));
    assert_eq!(units("0.5"), Ok(500_000));
    assert_eq!(units("0.000001"), Ok(1));
    assert_eq!(units("123.456789"), Ok(123_456_789));
    assert_eq!(units("00100.50"), Ok(100_500_000));
    assert_eq!(units("1.10000000"), Ok(1_100_000), "zeros at the end are no decimals");
    assert_eq!(units("5."), Ok(5_000_000));
    assert_eq!(units("-0"), Ok(0));
    // More than there will ever be: 2^72 USDC.
    assert_eq!(units("4722366482869645213696"), Ok(4_722_366_482_869_645_213_696_000_000));
}

#[test]
fn what_is_no_amount_says_why() {
    for (text, why) in [
        ("", AmountError::NotANumber),
        (".", AmountError::NotANumber),
        (".5", AmountError::NotANumber),
        ("-", AmountError::NotANumber),
        ("1.2.3", AmountError::NotANumber),
        ("1-", AmountError::NotANumber),
        ("1e6", AmountError::NotANumber),
        ("1_000", AmountError::NotANumber),
        ("1,5", AmountError::NotANumber),
        ("+1", AmountError::NotANumber),
        (" 1", AmountError::NotANumber),
        ("NaN", AmountError::NotANumber),
        ("\u{0661}", AmountError::NotANumber),
        ("-1", AmountError::Negative),
        ("-0.000001", AmountError::Negative),
        ("0.0000001", AmountError::TooManyDecimals),
        ("1.1234567", AmountError::TooManyDecimals),
        ("0.00000000000000000000000000000000000001", AmountError::TooManyDecimals),
        ("99999999999999999999999999999999999999999999", AmountError::TooLarge),
    ] {
        assert_eq!(Usdc::parse_decimal(text), Err(why), "{text:?}");
    }
}

#[test]
fn base_units_are_whole_and_fit_256_bits() {
    let largest = U256::MAX.to_string();
    assert_eq!("0".parse(), Ok(Usdc::ZERO));
    assert_eq!("20000000".parse(), Ok(Usdc::whole(20)));
    assert_eq!(largest.parse(), Ok(Usdc(U256::MAX)));
    for (text, why) in [
        ("", AmountError::NotANumber),
        ("-1", AmountError::Negative),
        ("1.0", AmountError::NotBaseUnits),
        ("0x10", AmountError::NotANumber),
        ("+1", AmountError::NotANumber),
        ("1 ", AmountError::NotANumber),
        ("1e6", AmountError::NotANumber),
        // 2^256
        ("115792089237316195423570985008687907853269984665640564039457584007913129639936", AmountError::TooLarge),
    ] {
        assert_eq!(text.parse::<Usdc>(), Err(why), "{text:?}");
    }
}

#[test]
fn amounts_survive_json_at_every_width() {
    for amount in [U256::ZERO, U256::ONE, U256::ONE << 64, (U256::ONE << 128) - U256::ONE, U256::MAX] {
        let json = serde_json::to_string(&Usdc(amount)).unwrap();
        assert_eq!(json, format!("\"{amount}\""));
        assert_eq!(serde_json::from_str::<Usdc>(&json).unwrap(), Usdc(amount));
    }
    assert!(serde_json::from_str::<Usdc>("1").is_err(), "a JSON number could have been rounded");
}

#[test]
fn amounts_are_shown_without_trailing_zeros() {
    let shown = |units| Usdc::base_units(units).to_string();
    assert_eq!([0, 1, 500_000, 1_000_000, 1_000_010].map(shown), ["0", "0.000001", "0.5", "1", "1.00001"]);
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(units in any::<u64>()) {
        let amount = Usdc::base_units(units);
        prop_assert_eq!(Usdc::parse_decimal(&amount.to_string()), Ok(amount));
    }

    #[test]
    fn base_units_read_back(bytes in any::<[u8; 32]>()) {
        let amount = Usdc(U256::from_be_bytes(bytes));
        prop_assert_eq!(amount.0.to_string().parse(), Ok(amount));
    }

    #[test]
    fn no_text_panics(text in "[0-9.eE+-]{0,80}|.{0,20}") {
        let _ = Usdc::parse_decimal(&text);
        let _ = text.parse::<Usdc>();
    }
}
