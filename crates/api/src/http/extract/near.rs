//! The name that a client may have meant.

/// Names that clients know from elsewhere, in lower case, and what is called so here.
const ELSEWHERE: [(&[&str], &str); 3] = [
    (&["txhash", "hash", "txid", "tx", "transaction"], "transactionHash"),
    (&["signedtx", "signedtxs", "rawtransaction", "rawtransactions", "rawtx"], "signedTransactions"),
    (&["amountusdc", "value", "price"], "amount"),
];

/// A name with at most so many letters wrong is taken for another.
const MISTAKES: usize = 2;

/// A name is longer than so many letters for each that is wrong.
const LETTERS_FOR_A_MISTAKE: usize = 3;

/// Which of the `known` names `given` is nearly.
pub(super) fn near<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names are no slips.
    const LONGEST: usize = 40;
    if given.len() > LONGEST {
        return None;
    }
    let given = given.to_lowercase().replace(['_', '-'], "");
    let alias = ELSEWHERE.iter().find(|(others, _)| others.contains(&given.as_str())).map(|(_, name)| *name);
    let cost = |name: &str| {
        let lower = name.to_lowercase();
        let begins = given.len() >= LETTERS_FOR_A_MISTAKE * MISTAKES && lower.starts_with(&given);
        if alias == Some(name) || begins { 1 } else { distance(&given, &lower) }
    };
    let most = MISTAKES.min(given.len() / LETTERS_FOR_A_MISTAKE);
    let nearest = known.map(|name| (cost(name), name)).min_by_key(|(cost, _)| *cost);
    nearest.filter(|(cost, name)| *cost <= most || alias == Some(name)).map(|(_, name)| name)
}

/// How many letters have to be put in, taken out or changed to make the one of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut next = vec![above + 1];
        for ((other, pair), left) in to.iter().zip(row.windows(2)).zip(0..) {
            let &[diagonal, over] = pair else { continue };
            let changed = diagonal + usize::from(letter != *other);
            let beside: usize = next.get::<usize>(left).copied().unwrap_or_default();
            next.push(changed.min(over + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_taken_for_the_name_it_is_nearly() {
        let known = ["posterAddress", "reward", "deadline", "ipfsHash", "signedTransactions", "transactionHash", "nonce", "amount"];
        let near = |given| near(given, known.iter().copied());
        for (given, meant) in [
            ("signedTransaction", Some("signedTransactions")),
            ("transactionhash", Some("transactionHash")),
            ("transaction_hash", Some("transactionHash")),
            ("txHash", Some("transactionHash")),
            ("hash", Some("transactionHash")),
            ("rewrad", Some("reward")),
            ("ipfshash", Some("ipfsHash")),
            ("poster", Some("posterAddress")),
            ("nonces", Some("nonce")),
            ("fee", None),
            ("x", None),
            ("", None),
            ("force", None),
        ] {
            assert_eq!(near(given), meant, "{given}");
        }
    }

    #[test]
    fn letters_are_put_in_taken_out_and_changed() {
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("abc", "abc")), (3, 3, 0));
        assert_eq!((distance("kitten", "sitting"), distance("ab", "ba")), (3, 2));
    }
}
