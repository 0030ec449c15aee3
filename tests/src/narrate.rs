//! A readable transcript: numbered scenes, aligned labels, wrapped text, colour on a terminal alone.

use std::io::{IsTerminal as _, Write as _};

/// Where the text of a line begins.
const INDENT: usize = 17;
/// Where a line ends.
const WIDTH: usize = 110;

/// The transcript.
#[derive(Debug)]
pub struct Transcript {
    colour: bool,
    scenes: u32,
    failures: u32,
}

impl Transcript {
    /// One that goes to standard output.
    pub fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            colour,
            scenes: 0,
            failures: 0,
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn print(text: &str) {
        // A reader that went away is no reason to fail.
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// A paragraph on its own.
    pub fn paragraph(&self, text: &str) {
        for line in wrap(text, WIDTH) {
            Self::print(&line);
        }
    }

    /// Begins the next scene.
    pub fn scene(&mut self, title: &str) {
        self.scenes += 1;
        Self::print("");
        Self::print(&self.paint("1", &format!("{}. {title}", self.scenes)));
    }

    /// Who says or does what.
    pub fn says(&self, who: &str, text: &str) {
        self.labelled(who, text, "36");
    }

    fn labelled(&self, who: &str, text: &str, code: &str) {
        for (number, line) in wrap(text, WIDTH - INDENT).into_iter().enumerate() {
            let label = if number == 0 { who } else { "" };
            let padding = " ".repeat(INDENT.saturating_sub(3 + label.chars().count()));
            Self::print(&format!("   {}{padding}{line}", self.paint(code, label)));
        }
    }

    /// What must hold for the scene to count.
    pub fn check(&mut self, holds: bool, text: &str) {
        if holds {
            self.labelled("ok", text, "32");
        } else {
            self.failures += 1;
            self.labelled("FAILED", text, "31");
        }
    }

    /// Ends it; whether every check held.
    pub fn finish(&self) -> bool {
        Self::print("");
        let verdict = if self.failures == 0 {
            self.paint("32", "Every scene went as it must.")
        } else {
            self.paint("31", &format!("{} checks failed.", self.failures))
        };
        Self::print(&verdict);
        self.failures == 0
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}

/// Breaks at blanks; a word longer than a line stands on its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else {
            break;
        };
        let length = line.chars().count();
        if length == 0 {
            line.push_str(word);
        } else if length + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// A digest as a person reads it: the first twelve digits.
pub fn short(digest: &str) -> String {
    let end = "sha256:".len() + 12;
    digest
        .get(..end)
        .map_or_else(|| digest.to_owned(), |head| format!("{head}…"))
}

#[cfg(test)]
mod tests {
    use super::{short, wrap};

    #[test]
    fn text_breaks_at_blanks_and_never_within_a_word() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable x", 4), ["unbreakable", "x"]);
    }

    #[test]
    fn digests_are_shortened_and_other_text_is_not() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(short(&digest), "sha256:abababababab…");
        assert_eq!(short("none"), "none");
    }
}
