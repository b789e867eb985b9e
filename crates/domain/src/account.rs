//! Accounts as people write them.

use alloy_primitives::Address;
use thiserror::Error;

/// Why a text is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Of another form.
    #[error("must be an address: 0x and 40 hex digits")]
    NotAnAddress,
    /// In mixed case, and not the case that EIP-55 gives it.
    #[error("the checksum of the address is wrong (EIP-55): a character may be mistyped")]
    Checksum,
}

/// The account that `text` names: 40 hex digits after `0x`, in one case or with the right EIP-55 checksum.
///
/// # Errors
/// Says whether the form is wrong or the checksum.
pub fn parse_account(text: &str) -> Result<Address, AccountError> {
    let digits = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => digits,
        _ => return Err(AccountError::NotAnAddress),
    };
    let address: Address = digits.parse().map_err(|_| AccountError::NotAnAddress)?;
    let one_case = !digits.bytes().any(|digit| digit.is_ascii_uppercase()) || !digits.bytes().any(|digit| digit.is_ascii_lowercase());
    if one_case || address.to_checksum(None).ends_with(digits) { Ok(address) } else { Err(AccountError::Checksum) }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    #[test]
    fn an_address_is_taken_in_one_case_or_with_the_right_checksum() {
        let account = address!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
            "0X5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
        ] {
            assert_eq!(parse_account(text), Ok(account), "{text}");
        }
        assert_eq!(parse_account("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"), Err(AccountError::Checksum));
    }

    #[test]
    fn another_form_is_no_address() {
        for text in ["", "0x", "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae", "vitalik.eth"] {
            assert_eq!(parse_account(text), Err(AccountError::NotAnAddress), "{text}");
        }
        assert_eq!(parse_account(&format!("0x{}", "g".repeat(40))), Err(AccountError::NotAnAddress));
    }
}
