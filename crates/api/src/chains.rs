//! Chains that people know by name, and where they look things up there.

/// A chain by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownChain {
    id: u64,
    /// What people call it.
    pub name: &'static str,
    /// A page about its transactions and accounts: `/tx/{hash}` and `/address/{address}` follow.
    pub explorer: &'static str,
}

const fn known(id: u64, name: &'static str, explorer: &'static str) -> KnownChain {
    KnownChain { id, name, explorer }
}

/// In the order of their ids.
const KNOWN: [KnownChain; 17] = [
    known(1, "Ethereum", "https://etherscan.io"),
    known(10, "OP Mainnet", "https://optimistic.etherscan.io"),
    known(130, "Unichain", "https://uniscan.xyz"),
    known(137, "Polygon PoS", "https://polygonscan.com"),
    known(480, "World Chain", "https://worldscan.org"),
    known(8453, "Base", "https://basescan.org"),
    known(42_161, "Arbitrum One", "https://arbiscan.io"),
    known(42_220, "Celo", "https://celoscan.io"),
    known(43_113, "Avalanche Fuji", "https://testnet.snowscan.xyz"),
    known(43_114, "Avalanche C-Chain", "https://snowscan.xyz"),
    known(59_144, "Linea", "https://lineascan.build"),
    known(80_002, "Polygon Amoy", "https://amoy.polygonscan.com"),
    known(84_532, "Base Sepolia", "https://sepolia.basescan.org"),
    known(421_614, "Arbitrum Sepolia", "https://sepolia.arbiscan.io"),
    known(534_352, "Scroll", "https://scrollscan.com"),
    known(11_155_111, "Sepolia", "https://sepolia.etherscan.io"),
    known(11_155_420, "OP Sepolia", "https://sepolia-optimism.etherscan.io"),
];

/// The chain with this id, if it is one of these.
pub(crate) fn by_id(id: u64) -> Option<KnownChain> {
    KNOWN.into_iter().find(|chain| chain.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_in_order_and_their_explorers_end_without_a_slash() {
        assert!(KNOWN.is_sorted_by(|one, next| one.id < next.id));
        assert!(KNOWN.iter().all(|chain| chain.explorer.starts_with("https://") && !chain.explorer.ends_with('/')));
        assert_eq!(by_id(8453).map(|chain| chain.name), Some("Base"));
        assert_eq!(by_id(31_337), None);
    }
}
