//! What can sign for an account.

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::SolValue,
};
use clawpay_bindings::Revert;
use serde_json::json;

use super::{CallError, Failure, Node, NodeError, call::call_error};

/// `isValidSignature(bytes32,bytes)`, by which ERC-1271 asks an account whether it signed.
const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// A function that no account has.
const NO_FUNCTION: [u8; 4] = [0xff, 0xff, 0xff, 0xff];

/// What the code of an account starts with that has delegated to a contract (EIP-7702); the contract's address follows.
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];

/// How an account signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signing {
    /// By its key: it has no code, or has only delegated to some (EIP-7702).
    pub by_key: bool,
    /// So that contracts take it which ask accounts with code whether they signed (ERC-1271), as USDC does.
    pub for_contracts: bool,
}

/// What an account answered, as far as two answers can be told apart.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// A word, or nothing.
    Returned { a_word: bool },
    /// An error.
    Reverted(Revert),
}

impl Node {
    /// How `account` can sign. Fails when the node does not answer.
    pub(crate) async fn signing(&self, account: Address) -> Result<Signing, NodeError> {
        let code = self.code(account).await?;
        self.signing_by(account, &code).await
    }

    /// The code of an account.
    pub(crate) async fn code(&self, account: Address) -> Result<Bytes, NodeError> {
        self.ask("eth_getCode", (account, "latest")).await
    }

    /// How an account with this code can sign. Asks at the same time for all that it may take to know.
    pub(crate) async fn signing_by(&self, account: Address, code: &Bytes) -> Result<Signing, NodeError> {
        let by_key = signs_by_key(code);
        if code.is_empty() || names(code, IS_VALID_SIGNATURE) {
            return Ok(Signing { by_key, for_contracts: true });
        }
        // A delegate may be gone or be none, and then the account answers everything with nothing. A proxy has no such word in its code: what
        // it does for this function and not for any other, it does on purpose.
        let delegates = async {
            match delegate_of(code) {
                Some(delegate) => self.code(delegate).await,
                None => Ok(Bytes::new()),
            }
        };
        let (delegates, asked, other) =
            tokio::try_join!(delegates, self.answer(account, IS_VALID_SIGNATURE), self.answer(account, NO_FUNCTION))?;
        Ok(Signing { by_key, for_contracts: names(&delegates, IS_VALID_SIGNATURE) || asked != other })
    }

    /// What `account` answers to a function that takes a hash and a signature.
    async fn answer(&self, account: Address, selector: [u8; 4]) -> Result<Answer, NodeError> {
        let method = "eth_call";
        let arguments = (B256::repeat_byte(1), Bytes::from(vec![0; 65])).abi_encode_params();
        let data = Bytes::from([selector.as_slice(), &arguments].concat());
        let failure = match self.try_ask::<_, Bytes>(method, (json!({ "to": account, "data": data }), "latest")).await {
            Ok(returned) => return Ok(Answer::Returned { a_word: returned.len() >= B256::len_bytes() }),
            Err(Failure::Node(error)) => return Err(error),
            Err(failure) => failure,
        };
        match call_error(method, failure) {
            // An error may repeat what was asked: which error it is tells enough.
            CallError::Reverted(Revert::Unknown(data)) => Ok(Answer::Reverted(Revert::Unknown(data.slice(..data.len().min(4))))),
            CallError::Reverted(revert) => Ok(Answer::Reverted(revert)),
            CallError::Unsupported => Err(NodeError::Nonsense(method)),
            CallError::Node(error) => Err(error),
        }
    }
}

/// Whether an account with this code signs by its key: it has none, or has only delegated to some.
pub(crate) fn signs_by_key(code: &[u8]) -> bool {
    code.is_empty() || delegate_of(code).is_some()
}

/// The contract that an account has delegated to, if this is such an account's code.
fn delegate_of(code: &[u8]) -> Option<Address> {
    code.strip_prefix(&DELEGATION).and_then(|address| Address::try_from(address).ok())
}

/// Whether code compares something with `selector`, as a contract does that has the function.
fn names(code: &[u8], selector: [u8; 4]) -> bool {
    const PUSH4: u8 = 0x63;
    let [a, b, c, d] = selector;
    code.windows(5).any(|window| window == [PUSH4, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use alloy::primitives::hex;

    use super::*;

    #[test]
    fn a_delegation_is_told_from_other_code() {
        let delegate = Address::repeat_byte(7);
        assert_eq!(delegate_of(&[DELEGATION.as_slice(), delegate.as_slice()].concat()), Some(delegate));
        assert_eq!(delegate_of(&[DELEGATION.as_slice(), delegate.as_slice(), &[0]].concat()), None);
        assert_eq!(delegate_of(&hex!("6080604052")), None);
        assert_eq!(delegate_of(&[]), None);
    }

    #[test]
    fn a_function_is_found_in_code_that_has_it() {
        assert!(names(&hex!("8063 1626ba7e 14"), IS_VALID_SIGNATURE));
        assert!(!names(&hex!("8062 1626ba7e 14"), IS_VALID_SIGNATURE));
        assert!(!names(&[], IS_VALID_SIGNATURE));
    }
}
