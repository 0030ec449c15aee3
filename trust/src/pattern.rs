//! A policy's texts, compiled: exact, glob, or a regular expression anchored at both ends.

use portcullis_policy::model::TextMatch;

/// Largest compiled expression, in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// A compiled [`TextMatch`].
#[derive(Debug)]
pub struct TextPattern {
    kind: Kind,
    shown: String,
}

#[derive(Debug)]
enum Kind {
    Exact(String),
    Regex(regex::Regex),
}

impl TextPattern {
    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with the regular expression, in words of the `regex` crate.
    pub fn compile(text: &TextMatch) -> Result<Self, String> {
        let build = |expression: &str| {
            // `(?s)`: a line break in a certificate's name must not end what `.` covers.
            regex::RegexBuilder::new(expression)
                .dot_matches_new_line(true)
                .size_limit(REGEX_SIZE)
                .build()
                .map_err(|error| error.to_string())
        };
        let expression = |body: &str| build(&format!(r"\A(?:{body})\z"));
        let (kind, shown) = match text {
            TextMatch::Exact(text) => (Kind::Exact(text.clone()), text.clone()),
            TextMatch::Glob(text) => {
                let parts: Vec<String> = text.split('*').map(regex::escape).collect();
                (Kind::Regex(expression(&parts.join(".*"))?), text.clone())
            }
            TextMatch::Regex(text) => {
                // Alone, so that a body such as `a)|(?:b` cannot leave the group that anchors it.
                build(text)?;
                (Kind::Regex(expression(text)?), format!("/{text}/"))
            }
        };
        Ok(Self { kind, shown })
    }

    /// Whether it is `text`, as a whole.
    pub fn matches(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Exact(exact) => exact == text,
            Kind::Regex(regex) => regex.is_match(text),
        }
    }

    /// How a person wrote it.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_grows_when_compiled_is_refused_before_it_does() {
        let bomb = TextMatch::Regex(r"\w{500}\w{500}".to_owned());
        let error = TextPattern::compile(&bomb).expect_err("a bomb");
        assert!(error.contains(&REGEX_SIZE.to_string()), "{error}");
    }

    fn matches(pattern: &TextMatch, text: &str) -> bool {
        TextPattern::compile(pattern).unwrap().matches(text)
    }

    #[test]
    fn a_regular_expression_is_anchored_whatever_it_contains() {
        let regex = |text: &str| TextMatch::Regex(text.to_owned());
        assert!(matches(&regex("a|b"), "b"));
        assert!(!matches(&regex("a|b"), "xb"));
        assert!(!matches(&regex("a|b"), "ax"));
        assert!(!matches(&regex("^a$"), "a\nb"));
        assert!(!matches(&regex("(?m)^a$"), "x\na"));
        assert!(TextPattern::compile(&regex("a)|(?:b")).is_err());
        assert!(TextPattern::compile(&regex("a{1000}{1000}")).is_err());
    }

    #[test]
    fn a_dot_in_a_glob_is_a_dot() {
        let glob = |text: &str| TextMatch::Glob(text.to_owned());
        assert!(matches(
            &glob("https://a.example/*"),
            "https://a.example/x/y"
        ));
        assert!(!matches(
            &glob("https://a.example/*"),
            "https://axexample/x"
        ));
        assert!(!matches(&glob("*@a.example"), "x@a.example.evil"));
    }

    #[test]
    fn an_exact_text_has_no_wildcards() {
        assert!(!matches(&TextMatch::Exact("*".to_owned()), "x"));
    }
}
