//! How a text in evidence is compared with one in a policy.

/// What a policy says about a text. All of them compare the whole text; upper and lower case differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// Equal.
    Exact(String),
    /// `*` stands for zero or more characters of any kind.
    Glob(String),
    /// A regular expression of the `regex` crate, anchored at both ends by whoever compiles it.
    Regex(String),
}
