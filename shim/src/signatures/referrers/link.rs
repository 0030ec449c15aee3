//! `Link: <…>; rel="next"` (RFC 8288), as registries send it with a page.

use http::{HeaderMap, header};

/// The target of the first link to a next page.
pub(super) fn next(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(next_in)
}

fn next_in(mut text: &str) -> Option<&str> {
    loop {
        let (_, rest) = text.split_once('<')?;
        let (target, rest) = rest.split_once('>')?;
        // Parameters end where the next link begins.
        let end = rest.find('<').unwrap_or(rest.len());
        let (parameters, rest) = rest.split_at_checked(end)?;
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|relation| relation.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(target);
        }
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        for (text, wanted) in [
            ("</v2/a?n=1>; rel=\"next\"", Some("/v2/a?n=1")),
            ("</v2/a>; rel=next", Some("/v2/a")),
            (
                "</p>; rel=prev, </n,1>; title=\"x\"; REL=\"Next\"",
                Some("/n,1"),
            ),
            ("</a>; rel=\"last next\"", Some("/a")),
            ("</a>; rel=nextish", None),
            ("</a>", None),
            ("<", None),
            ("/a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next_in(text), wanted, "{text}");
        }
    }
}
