//! The address of a database, checked for what people get wrong in it before a library guesses what they meant. It may hold a password, and is
//! never quoted.

use anyhow::{Result, bail};
use url::Url;

/// `text`, which `name` is set to, as it is; refused unless it is the address of a Postgres.
pub(crate) fn checked(name: &str, text: String) -> Result<String> {
    const FORM: &str = "postgres://user:password@host:port/database";
    match text.split_once("://") {
        Some(("postgres" | "postgresql", _)) => {}
        Some((scheme, _)) if !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            bail!("{name} begins with {scheme}://, and this needs a Postgres: set it as {FORM}")
        }
        _ => bail!("{name} is not the address of a Postgres: set it as {FORM}"),
    }
    // A character that means something in URLs ends the password early, and what follows is taken for something else.
    let is_misread =
        |url: Url| url.fragment().is_some() || url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'));
    if Url::parse(&text).map_or(true, is_misread) {
        bail!(
            "{name} cannot be read as {FORM}. In a user's name and a password these are written in per cent: \
             # as %23, / as %2F, ? as %3F, @ as %40, : as %3A, % as %25, and a space as %20"
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        checked("DATABASE_URL", text.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn addresses_of_postgres_are_taken_as_they_are() {
        for text in [
            "postgres://clawpay:password@127.0.0.1:5432/clawpay",
            "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgres:///clawpay?host=/run/postgresql",
            "postgres://u:a%23b%24%40@h/d",
            "postgres://u:a$b!*(@[::1]:5432/d",
        ] {
            assert_eq!(checked("DATABASE_URL", text.to_owned()).unwrap(), text);
        }
    }

    #[test]
    fn another_database_is_named() {
        assert!(refusal("mysql://u:ecret@h/d").starts_with("DATABASE_URL begins with mysql://, and this needs a Postgres"));
        for text in ["ecret", "h:5432/ecret", "://ecret", "ecret and more://h"] {
            assert!(refusal(text).contains("postgres://user:password@host:port/database") && !refusal(text).contains("ecret"), "{text}");
        }
    }

    #[test]
    fn a_password_that_ends_early_is_told_how_to_be_written() {
        for password in ["ecret#1", "1#ecret", "1/ecret", "ecret/1", "1?ecret", "ecret?1"] {
            let refusal = refusal(&format!("postgres://u:{password}@h/d"));
            assert!(refusal.contains("# as %23") && !refusal.contains("ecret"), "{password}: {refusal}");
        }
    }
}
