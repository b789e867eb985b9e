//! The `.env` file, and what in it would quietly mean something else than its writer had in mind. Errors name the setting and never its value.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};

/// What the `.env` file in the current directory, or the nearest one above, assigns; nothing without one.
pub(crate) fn read(is_setting: impl Fn(&str) -> bool) -> Result<BTreeMap<String, String>> {
    let Some(path) = find() else { return Ok(BTreeMap::new()) };
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, is_setting, |name| env::var_os(name).is_some())
}

fn find() -> Option<PathBuf> {
    env::current_dir().ok()?.ancestors().map(|directory: &Path| directory.join(".env")).find(|path| path.is_file())
}

fn parse(text: &str, is_setting: impl Fn(&str) -> bool, is_set: impl Fn(&str) -> bool) -> Result<BTreeMap<String, String>> {
    let mut assigned = BTreeMap::new();
    for (name, value) in text.lines().filter_map(assignment).filter(|(name, _)| is_setting(name)) {
        let is_known = |variable: &str| is_set(variable) || text.lines().filter_map(assignment).any(|(other, _)| other == variable);
        if !references(value).iter().all(|variable| is_known(variable)) {
            bail!(
                ".env: {name} has a $ before no name of a variable that is set, and it would be taken out. Put the value in single quotes, as \
                 {name}='…'; in a URL, $ may be written %24"
            );
        }
    }
    for variable in dotenvy::from_read_iter(text.as_bytes()) {
        let (name, value) = variable.map_err(|error| explained(text, &error))?;
        assigned.insert(name, value);
    }
    Ok(assigned)
}

/// The error would quote the line, which may hold a secret.
fn explained(text: &str, error: &dotenvy::Error) -> anyhow::Error {
    let unreadable = match error {
        dotenvy::Error::LineParse(unreadable, _) => unreadable.as_str(),
        _ => "",
    };
    match text.lines().filter_map(assignment).find(|(_, value)| *value == unreadable) {
        Some((name, _)) => anyhow!(".env: the value of {name} cannot be read; put it in single quotes, as {name}='…'"),
        None => match text.lines().position(|line| line.trim() == unreadable.trim()) {
            Some(before) => anyhow!(".env: line {} is not NAME=value", before + 1),
            None => anyhow!(".env has a line that is not NAME=value"),
        },
    }
}

/// The name and the value of a line, as it is written.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    is_name.then_some((name, value.trim()))
}

/// The variables that stand in a value to be replaced: not in single quotes, not behind a backslash, and not in the comment behind it.
fn references(value: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut quote, mut previous) = (None, ' ');
    let mut characters = value.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') if previous.is_whitespace() => break,
            (_, '\\') => {
                characters.next();
            }
            (_, '$') => found.push(name_at(&value[at + 1..])),
            _ => {}
        }
        previous = character;
    }
    found
}

/// The name that a `$` stands before; empty if it is none.
fn name_at(rest: &str) -> &str {
    if let Some(braced) = rest.strip_prefix('{') {
        return braced.split_once('}').map_or("", |(name, _)| name);
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>> {
        parse(text, |name| name.ends_with("_URL"), |name| name == "HOME")
    }

    #[test]
    fn a_dollar_that_would_vanish_is_refused_and_the_value_not_shown() {
        for value in ["a$ecret", "\"a$ecret\"", "ab$", "a$$b", "a${ecret}", "a$1b"] {
            let refusal = read(&format!("DATABASE_URL=postgres://u:{value}@h/d")).unwrap_err().to_string();
            assert!(refusal.contains("DATABASE_URL='…'") && refusal.contains("%24") && !refusal.contains("ecret"), "{value}: {refusal}");
        }
    }

    #[test]
    fn a_dollar_that_is_meant_as_it_stands_or_names_a_variable_is_taken() {
        let value = |text: &str| read(text).unwrap()["DATABASE_URL"].clone();
        assert_eq!(value("DATABASE_URL='postgres://u:a$b#c@h/d'"), "postgres://u:a$b#c@h/d");
        assert_eq!(value(r"DATABASE_URL=postgres://u:a\$b@h/d # $ometimes"), "postgres://u:a$b@h/d");
        assert_eq!(value("WORD=x\nexport DATABASE_URL=\"postgres://u:${WORD}y@h/d\""), "postgres://u:xy@h/d");
        assert!(read("RPC_URL=http://$HOME/").is_ok());
        assert!(read("OTHER=a$b").is_ok(), "what other programs read is theirs");
    }

    #[test]
    fn a_line_that_cannot_be_read_names_its_setting() {
        let refusal = read("DATABASE_URL=postgres://u:ecret word@h/d").unwrap_err().to_string();
        assert!(refusal.contains("DATABASE_URL='…'") && !refusal.contains("ecret"), "{refusal}");
        assert_eq!(read("ecret").unwrap_err().to_string(), ".env: line 1 is not NAME=value");
    }
}
