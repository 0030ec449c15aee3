//! Globs with one wildcard: `*` stands for zero or more bytes, and nothing else is special.
//!
//! Every function here takes time linear in its input (or in the product of two patterns, for [`intersects`]): a
//! pattern is text from a policy author and must not be able to stall a node.

/// Whether `pattern` matches the whole of `text`.
///
/// The text between two stars is looked for at its first possible place, which is enough when `*` is the only
/// wildcard, so nothing is ever tried twice.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(prefix) else {
        return false;
    };
    let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(body) = text.strip_suffix(suffix) else {
        return false;
    };
    text = body;
    for literal in middle.split('*') {
        match text.split_once(literal) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    true
}

/// Whether everything that `inner` matches is certainly matched by `outer`.
///
/// Sound: a star of `inner` can only be swallowed by a star of `outer`. It may say no where the answer is yes.
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    matches(outer, inner)
}

/// Whether some text is matched by both patterns.
pub(crate) fn intersects(left: &str, right: &str) -> bool {
    // Row i, cell j: the first i bytes of `left` and the first j bytes of `right` match some text together.
    let mut row = vec![true];
    for r in right.bytes() {
        row.push(row.last() == Some(&true) && r == b'*');
    }
    for l in left.bytes() {
        let mut next = vec![row.first() == Some(&true) && l == b'*'];
        for (r, cells) in right.bytes().zip(row.windows(2)) {
            let (diagonal, above) = (cells.first() == Some(&true), cells.last() == Some(&true));
            let before = next.last() == Some(&true);
            next.push(if l == b'*' || r == b'*' {
                above || before
            } else {
                diagonal && l == r
            });
        }
        row = next;
    }
    row.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook definition, exponential: only for comparison.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => by_definition(rest, text),
            (Some((b'*', rest)), Some((_, behind))) => {
                by_definition(rest, text) || by_definition(pattern, behind)
            }
            (Some((p, rest)), Some((t, behind))) => p == t && by_definition(rest, behind),
            _ => false,
        }
    }

    #[test]
    fn prefix_and_suffix_may_not_overlap() {
        assert!(!matches("ab*ba", "aba"));
        assert!(matches("ab*ba", "abba"));
        assert!(matches("**", ""));
    }

    #[test]
    fn a_pattern_of_many_stars_does_not_stall() {
        let pattern = "*a".repeat(2000);
        assert!(!matches(&pattern, &"a".repeat(1999)));
        assert!(matches(&pattern, &"a".repeat(2000)));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn what_covers_matches_everything_the_other_does(outer in "[ab*]{0,5}", inner in "[ab*]{0,5}", text in "[ab]{0,6}") {
            prop_assert!(!covers(&outer, &inner) || !matches(&inner, &text) || matches(&outer, &text));
        }

        #[test]
        fn two_patterns_with_a_common_match_intersect(left in "[ab*]{0,6}", right in "[ab*]{0,6}", text in "[ab]{0,6}") {
            prop_assert!(!matches(&left, &text) || !matches(&right, &text) || intersects(&left, &right));
        }
    }

    #[test]
    fn patterns_that_cannot_meet_do_not_intersect() {
        assert!(!intersects("a*", "b*"));
        assert!(!intersects("*a", "*b"));
        assert!(!intersects("docker.io/library/*", "docker.io/org/*"));
        assert!(intersects("docker.io/*", "*/org/app"));
    }
}
