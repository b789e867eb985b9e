//! Where the world sees this server.

use thiserror::Error;
use url::Url;

/// The address that clients know this server by. The default is the address that they happen to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// Without a slash at its end; empty where clients see the server as it is.
    base: String,
}

/// Why an address is none that clients could know a server by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be an http or https URL without credentials, query and fragment, such as https://market.example/market/")]
pub struct NotPublic;

impl PublicUrl {
    /// From a text such as `https://market.example/market/`.
    ///
    /// # Errors
    /// If it is no such URL.
    pub fn parse(text: &str) -> Result<Self, NotPublic> {
        let url = Url::parse(text).map_err(|_| NotPublic)?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare {
            Ok(Self { base: url.as_str().trim_end_matches('/').to_owned() })
        } else {
            Err(NotPublic)
        }
    }

    /// How clients reach `path`, which begins with a slash.
    pub fn of(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address, where there is one of its own.
    pub fn base(&self) -> Option<&str> {
        (!self.base.is_empty()).then_some(self.base.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_behind_the_address_whether_it_ends_in_a_slash_or_not() {
        for text in ["https://market.example/market/", "https://market.example/market"] {
            assert_eq!(PublicUrl::parse(text).unwrap().of("/api/runs"), "https://market.example/market/api/runs");
        }
        assert_eq!(PublicUrl::parse("http://market.example").unwrap().of("/docs/"), "http://market.example/docs/");
        assert_eq!(PublicUrl::default().of("/api/runs"), "/api/runs");
    }

    #[test]
    fn an_address_that_clients_cannot_use_is_refused() {
        for text in ["", "market", "/market/", "ftp://a/", "https://a/?b=c", "https://a/#b", "https://user@a/", "https://user:pass@a/"] {
            assert_eq!(PublicUrl::parse(text), Err(NotPublic), "{text}");
        }
    }
}
