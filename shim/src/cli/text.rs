//! Text for people: aligned, and coloured on a terminal only (<https://no-color.org>).

use std::fmt::Write as _;
use std::io::IsTerminal;

/// Whether and how text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    colour: bool,
}

impl Style {
    /// The style for a stream.
    pub(super) fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: stream.is_terminal() && !refused,
        }
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(super) fn warn(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(super) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A rule's pattern. That of a policy.json for all other images is `""`, and shown as it is written there.
pub(super) fn pattern(text: &str) -> String {
    if text.is_empty() {
        "\"\"".to_owned()
    } else {
        plain(text)
    }
}

/// Text from outside, fit for a terminal: control characters are escaped.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let kept = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

/// Lines of `name  value`, the values aligned.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    rows: Vec<(String, String)>,
}

impl Pairs {
    /// Adds a line. Further lines of a value are indented to its column.
    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.rows.push((name.to_owned(), value.into()));
        self
    }

    /// The text, each line indented by `indent` spaces.
    pub(super) fn render(&self, indent: usize) -> String {
        let width = self
            .rows
            .iter()
            .map(|(name, _)| width_of(name))
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for (name, value) in &self.rows {
            let mut name = name.as_str();
            for line in value.lines() {
                let padding = width.saturating_sub(width_of(name)) + 2;
                writeln!(out, "{:indent$}{name}{:padding$}{line}", "", "").ok();
                name = "";
            }
        }
        out
    }
}

/// Columns a text takes: colours take none.
fn width_of(text: &str) -> usize {
    let mut columns = 0;
    let mut painting = false;
    for c in text.chars() {
        match c {
            '\u{1b}' => painting = true,
            'm' if painting => painting = false,
            _ if painting => {}
            _ => columns += 1,
        }
    }
    columns
}

/// `1 rule`, `2 rules`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_aligned() {
        let mut pairs = Pairs::default();
        pairs.add("a", "1").add("long", "2\n3");
        assert_eq!(pairs.render(2), "  a     1\n  long  2\n        3\n");
        let mut pairs = Pairs::default();
        let style = Style { colour: true };
        pairs.add(&style.bad("a"), "1").add(&style.warn("bc"), "2");
        let text = pairs.render(0);
        assert_eq!(
            text,
            "\u{1b}[1;31ma\u{1b}[0m   1\n\u{1b}[33mbc\u{1b}[0m  2\n"
        );
    }

    #[test]
    fn text_from_outside_cannot_drive_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Kb\nc é"), "a\\u{1b}[2Kb\\nc é");
    }
}
