//! What a run's content says, where its URI holds it: `data:` JSON. A stranger's words to each reader.

use std::collections::BTreeSet;

use data_url::{DataUrl, mime::Mime};
use serde::{Deserialize, Deserializer, de};
use sqlx::PgConnection;

use crate::StoreError;

/// How inline content begins, in either case.
const SCHEME: &[u8] = b"data:";

/// The contracts take no longer content URI.
const LONGEST: usize = 2048;

/// More tags than that are no tags.
const MOST_TAGS: usize = 32;

/// Words and tags with more characters are not found by.
const LONGEST_WORD: usize = 64;

/// Contents read at once.
const CHUNK: i64 = 1_000;

/// The content of a run whose URI holds it. Its poster wrote it, and may mean to mislead.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Content {
    /// What is to be done, in a line.
    pub title: String,
    /// What is to be done.
    #[serde(default)]
    pub description: Option<String>,
    /// What makes a delivery acceptable.
    #[serde(default)]
    pub acceptance: Option<String>,
    /// What it is filed under.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Vec<String>,
}

impl Content {
    /// Decodes what `uri` holds; nothing if that is no JSON of this form.
    pub fn inline(uri: &[u8]) -> Option<Self> {
        if !is_inline(uri) || uri.len() > LONGEST {
            return None;
        }
        let url = DataUrl::process(std::str::from_utf8(uri).ok()?).ok()?;
        let (bytes, _) = is_json(url.mime_type()).then(|| url.decode_to_vec().ok())??;
        // serde would take the members of an array in their order as well.
        bytes.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(&bytes).ok())?
    }

    /// What it is found by: each of its words, and each of its tags as one.
    pub(crate) fn index(&self) -> BTreeSet<String> {
        let texts = [Some(&self.title), self.description.as_ref(), self.acceptance.as_ref()];
        let words = texts.into_iter().flatten().chain(&self.tags).flat_map(|text| words(text));
        words.chain(self.tags.iter().filter_map(|text| tag(text))).collect()
    }
}

/// Whether a URI claims to hold its content.
pub(crate) fn is_inline(uri: &[u8]) -> bool {
    uri.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
}

fn is_json(Mime { type_, subtype, .. }: &Mime) -> bool {
    (type_ == "application" || type_ == "text") && subtype == "json" || subtype.ends_with("+json")
}

fn tags<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    let tags = Option::<Vec<String>>::deserialize(source)?.unwrap_or_default();
    if tags.len() > MOST_TAGS { Err(de::Error::custom("too many tags")) } else { Ok(tags) }
}

/// The words of a text, in lower case: letters and digits that stand together.
pub(crate) fn words(text: &str) -> BTreeSet<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    parts.map(str::to_lowercase).filter(|word| word.chars().count() <= LONGEST_WORD).collect()
}

/// A tag as it is looked for: in lower case, with single spaces, behind a sign that no word has. Nothing where that leaves nothing.
pub(crate) fn tag(text: &str) -> Option<String> {
    let parts: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty()).collect();
    let tag = parts.join(" ").to_lowercase();
    (1..=LONGEST_WORD).contains(&tag.chars().count()).then(|| format!("#{tag}"))
}

/// Reads the contents that are noted and not read yet, so that their runs are found by them.
pub(crate) async fn read_noted(connection: &mut PgConnection) -> Result<(), StoreError> {
    loop {
        let noted = sqlx::query!(
            "SELECT w.id, r.content_uri FROM run_words w JOIN runs r ON r.id = w.id WHERE w.words IS NULL ORDER BY w.id LIMIT $1",
            CHUNK
        )
        .fetch_all(&mut *connection)
        .await?;
        if noted.is_empty() {
            return Ok(());
        }
        // None of the words has a line break in it.
        let lines = |uri: &[u8]| Content::inline(uri).map_or_else(String::new, |content| Vec::from_iter(content.index()).join("\n"));
        let words: Vec<_> = noted.iter().map(|run| lines(&run.content_uri)).collect();
        let ids: Vec<_> = noted.iter().map(|run| run.id).collect();
        sqlx::query!(
            r"UPDATE run_words SET words = string_to_array(read.lines, E'\n')
              FROM unnest($1::bigint[], $2::text[]) AS read (id, lines) WHERE run_words.id = read.id",
            &ids,
            &words
        )
        .execute(&mut *connection)
        .await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(uri: &str) -> Option<String> {
        Content::inline(uri.as_bytes()).map(|content| content.title)
    }

    #[test]
    fn json_is_decoded_however_the_uri_holds_it() {
        for uri in [
            r#"data:application/json,{"title":"ä b"}"#,
            "data:application/json,%7B%22title%22%3A%22%C3%A4%20b%22%7D",
            "DATA:application/json;charset=utf-8,%7B%22title%22%3A%22%C3%A4%20b%22%7D",
            "data:application/json;base64,eyJ0aXRsZSI6IsOkIGIifQ==",
            "data:application/json;base64,eyJ0aXRsZSI6IsOkIGIifQ",
            "data:application/json;charset=UTF-8;base64,eyJ0aXRsZSI6IsOkIGIifQ%3D%3D",
            "data:text/json,%7B%22title%22%3A%22%C3%A4%20b%22%7D",
            "data:application/ld+json,%7B%22title%22%3A%22%5Cu00e4%20b%22%7D",
        ] {
            assert_eq!(title(uri).as_deref(), Some("ä b"), "{uri}");
        }
        let all = r#"data:application/json,{"title":"t","description":"d","acceptance":null,"tags":["x","Y z"],"attachments":[{}]}"#;
        let expected = Content { title: "t".into(), description: Some("d".into()), acceptance: None, tags: vec!["x".into(), "Y z".into()] };
        assert_eq!(Content::inline(all.as_bytes()), Some(expected));
    }

    #[test]
    fn what_is_malformed_is_no_content() {
        let deep = format!(r#"data:application/json,{{"title":"t","x":{}}}"#, "[".repeat(1_900));
        let crowded = format!(r#"data:application/json,{{"title":"t","tags":[{}]}}"#, [r#""a""#; 33].join(","));
        let long = format!(r#"data:application/json,{{"title":"{}"}}"#, "x".repeat(2_048));
        for uri in [
            "",
            "data:",
            "data:,",
            "data",
            "ipfs://x",
            "https://example.org/data:",
            r#"data:,{"title":"t"}"#,
            r#"data:text/plain,{"title":"t"}"#,
            "data:application/json,",
            "data:application/json,7",
            r#"data:application/json,["title"]"#,
            r#"data:application/json,{}"#,
            r#"data:application/json,{"title":7}"#,
            r#"data:application/json,{"title":"t","title":"u"}"#,
            r#"data:application/json,{"title":"t","tags":"x"}"#,
            r#"data:application/json,{"title":"t","tags":[7]}"#,
            r#"data:application/json,{"title":"\ud800"}"#,
            r#"data:application/json,{"title":"%FF"}"#,
            "data:application/json;base64,*",
            &deep,
            &crowded,
            &long,
        ] {
            assert_eq!(Content::inline(uri.as_bytes()), None, "{uri}");
        }
        assert_eq!(Content::inline(b"data:application/json,{\"title\":\"\xff\"}"), None);
    }

    #[test]
    fn what_is_found_by_fits_every_column() {
        // NUL, which is no text to Postgres; a capital that grows when it is made small; a word longer than an index takes.
        let title = format!(r"\u0000Sync\u0000the K\u00d6LN-calendar, {} {}", "İ".repeat(64), "x".repeat(65));
        let uri = format!(r##"data:application/json,{{"title":"{title}","tags":["  Front\n End ","\u0007","%23","a\u0000b"]}}"##);
        let content = Content::inline(uri.as_bytes()).unwrap();
        let index = content.index();
        for word in ["sync", "the", "köln", "calendar", "front", "end", "#front end", "##", "#a b", "a", "b"] {
            assert!(index.contains(word), "{word} in {index:?}");
        }
        assert!(index.iter().all(|word| word.len() < 300 && !word.contains('\0')), "{index:?}");
        assert!(!index.iter().any(|word| word.starts_with('x')), "{index:?}");
        assert_eq!(words("  --  "), BTreeSet::new());
        assert_eq!(tag(" Front  END").as_deref(), Some("#front end"));
        assert_eq!(tag(" \u{7} "), None);
    }
}
