//! A quick look at the beginning of a pattern. A set may have thousands of rules, and nearly all of them name another
//! repository: those are dismissed without taking the pattern apart.

/// Whether `pattern` may match something that begins as `spelling` does: up to their first difference they agree, and
/// there the pattern ends, or has a star, or one of `stops`, behind which it is about something else.
pub(super) fn may_match(pattern: &str, spelling: &str, stops: &[u8]) -> bool {
    let (pattern, spelling) = (pattern.as_bytes(), spelling.as_bytes());
    pattern
        .get(common_prefix(pattern, spelling))
        .is_none_or(|differing| *differing == b'*' || stops.contains(differing))
}

/// How many bytes are the same, eight at a time.
fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    let words = left_words
        .iter()
        .zip(right_words)
        .take_while(|(l, r)| l == r)
        .count();
    let from = words.saturating_mul(8);
    let rest = |bytes: &'_ [u8]| bytes.len().min(from);
    let (left, right) = (left.split_at(rest(left)).1, right.split_at(rest(right)).1);
    let bytes = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    from.saturating_add(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_dismisses_and_a_star_or_an_end_does_not() {
        for (pattern, expected) in [
            ("registry.example.com/team1/*", true),
            ("registry.example.com/team2/*", false),
            ("registry.example.com/team1/app", true),
            ("registry.example.com/team1/app:2", true),
            ("registry.example.com/team1/application", false),
            ("registry.example.com", true),
            ("*", true),
            ("reg*", true),
            ("", true),
            ("q", false),
        ] {
            assert_eq!(
                may_match(pattern, "registry.example.com/team1/app", b":@"),
                expected,
                "{pattern}"
            );
        }
    }
}
