//! Tables as flat columns of equal length: forge's JSON readers take whole arrays, and refuse `[*]`.

use std::{collections::BTreeMap, fmt::Display};

/// One file: named tables, each a set of columns.
#[derive(Default)]
pub(crate) struct Tables(Vec<(&'static str, Columns)>);

/// One table, its columns in the order of their first value.
#[derive(Default)]
pub(crate) struct Columns(Vec<(&'static str, Vec<String>)>);

impl Tables {
    pub(crate) fn with(mut self, name: &'static str, columns: Columns) -> Self {
        self.0.push((name, columns));
        self
    }

    /// One line for each column.
    pub(crate) fn to_json(&self) -> String {
        let tables = self.0.iter().map(|(name, columns)| format!("  \"{name}\": {{\n{}\n  }}", columns.to_json()));
        format!("{{\n{}\n}}\n", tables.collect::<Vec<_>>().join(",\n"))
    }
}

impl Columns {
    /// Appends a number.
    pub(crate) fn number(&mut self, column: &'static str, value: impl Into<u64>) {
        self.push(column, value.into().to_string());
    }

    /// Appends a text without characters that JSON escapes; also an amount, which a JSON number would round.
    pub(crate) fn text(&mut self, column: &'static str, value: impl Display) {
        self.push(column, format!("\"{value}\""));
    }

    /// How many rows the table has.
    ///
    /// # Panics
    /// Where the columns differ in length: a row was written in part.
    pub(crate) fn rows(&self) -> usize {
        let rows = self.0.first().map_or(0, |(_, values)| values.len());
        for (column, values) in &self.0 {
            assert_eq!(values.len(), rows, "column {column}");
        }
        rows
    }

    fn push(&mut self, column: &'static str, value: String) {
        match self.0.iter_mut().find(|(name, _)| *name == column) {
            Some((_, values)) => values.push(value),
            None => self.0.push((column, vec![value])),
        }
    }

    fn to_json(&self) -> String {
        self.rows();
        let columns = self.0.iter().map(|(name, values)| format!("    \"{name}\": [{}]", values.join(",")));
        columns.collect::<Vec<_>>().join(",\n")
    }
}

/// Gives each word a number in the order of its first appearance, so that a long column of few words stays short.
#[derive(Default)]
pub(crate) struct Legend {
    numbers: BTreeMap<String, u64>,
    words: Columns,
}

impl Legend {
    pub(crate) fn number(&mut self, word: &str) -> u64 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.rows() as u64;
        self.numbers.insert(word.to_owned(), number);
        self.words.text("word", word);
        number
    }

    pub(crate) fn into_columns(self) -> Columns {
        self.words
    }
}
