//! Plain tables, aligned with spaces.

use std::fmt::Write;

use clawpay_domain::Usdc;

/// Which side of its column a text stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// An empty line, a title, headings and rows, each column as wide as its widest text. The last line is not ended.
pub(crate) fn table<const COLUMNS: usize>(title: &str, columns: [(&str, Side); COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let widths = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).chain([columns[column].0.chars().count()]).max().unwrap_or_default()
    });
    let mut text = format!("\n{title}");
    line(&mut text, &columns.map(|(heading, _)| heading.to_owned()), &columns, &widths);
    for row in rows {
        line(&mut text, row, &columns, &widths);
    }
    text
}

fn line<const COLUMNS: usize>(text: &mut String, cells: &[String; COLUMNS], columns: &[(&str, Side); COLUMNS], widths: &[usize; COLUMNS]) {
    let mut line = String::new();
    for ((cell, (_, side)), &width) in cells.iter().zip(columns).zip(widths) {
        // Writing to a String cannot fail.
        let _infallible = match side {
            Side::Left => write!(line, "  {cell:<width$}"),
            Side::Right => write!(line, "  {cell:>width$}"),
        };
    }
    text.push('\n');
    text.push_str(line.trim_end());
}

/// An amount with all six decimals, so that the points of a column stand below each other.
pub(crate) fn usdc(amount: Usdc) -> String {
    let digits = format!("{:0>7}", amount.0);
    let (whole, fraction) = digits.split_at(digits.len() - 6);
    format!("{whole}.{fraction}")
}
