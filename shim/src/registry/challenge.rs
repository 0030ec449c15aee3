//! `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3): what a registry wants to see.

use http::{HeaderMap, header};

/// One challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Token authentication.
    Bearer {
        /// URL of the token server.
        realm: String,
        /// Name the token is asked for.
        service: Option<String>,
        /// Scopes, separated by spaces in the header.
        scopes: Vec<String>,
    },
    /// User name and password.
    Basic,
}

/// Longest header value that is read.
const MAX_HEADER: usize = 8 * 1024;
/// Most scopes asked for in one token request.
const MAX_SCOPES: usize = 8;

/// The challenge to answer: Bearer before Basic, as containerd prefers. `None`: nothing that can be answered.
pub(crate) fn best(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for value in headers.get_all(header::WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        if text.len() > MAX_HEADER {
            continue;
        }
        for (scheme, params) in challenges(text) {
            if scheme.eq_ignore_ascii_case("bearer") {
                if let Some(bearer) = bearer(&params) {
                    return Some(bearer);
                }
            } else if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

fn bearer(params: &[(String, String)]) -> Option<Challenge> {
    let get = |wanted: &str| {
        params
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.clone())
    };
    Some(Challenge::Bearer {
        realm: get("realm").filter(|realm| !realm.is_empty())?,
        service: get("service").filter(|service| !service.is_empty()),
        scopes: get("scope")
            .unwrap_or_default()
            .split_ascii_whitespace()
            .take(MAX_SCOPES)
            .map(str::to_owned)
            .collect(),
    })
}

/// Every challenge of one header value with its parameters. Stops at the first thing that is not grammar.
fn challenges(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut out: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return out;
        }
        // `name = value` belongs to the challenge before it; a word without `=` begins a new one.
        let Some(value) = after.trim_start().strip_prefix('=') else {
            out.push((word.to_owned(), Vec::new()));
            rest = after;
            continue;
        };
        let Some((value, after)) = token_or_quoted(value.trim_start()) else {
            return out;
        };
        let Some((_, params)) = out.last_mut() else {
            return out;
        };
        params.push((word.to_owned(), value));
        rest = after;
    }
}

fn token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn token_or_quoted(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return Some((value.to_owned(), rest));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, quoted.get(at.checked_add(1)?..)?)),
            '\\' => out.push(chars.next()?.1),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.parse().unwrap());
        }
        best(&headers)
    }

    fn realm(challenge: Option<Challenge>) -> Option<String> {
        match challenge {
            Some(Challenge::Bearer { realm, .. }) => Some(realm),
            _ => None,
        }
    }

    #[test]
    fn the_challenge_of_docker_hub_is_read_whole() {
        assert_eq!(
            parse(&[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#
            ]),
            Some(Challenge::Bearer {
                realm: "https://auth.docker.io/token".into(),
                service: Some("registry.docker.io".into()),
                scopes: vec!["repository:library/nginx:pull".into()],
            })
        );
    }

    #[test]
    fn bearer_is_preferred_wherever_it_stands() {
        for values in [
            &[r#"Basic realm="x", Bearer realm="https://t/""#][..],
            &[r#"Bearer realm="https://t/", Basic realm="x""#],
            &[r#"Basic realm="x""#, r#"Bearer realm="https://t/""#],
            &[r#"Negotiate, Bearer error="invalid_token" , realm = "https://t/""#],
        ] {
            assert_eq!(
                realm(parse(values)).as_deref(),
                Some("https://t/"),
                "{values:?}"
            );
        }
    }

    #[test]
    fn commas_equals_and_escapes_inside_quotes_do_not_split() {
        let challenge =
            parse(&[r#"Bearer realm="https://t/?a=1,b=\"2\"",scope="a:b:pull,push c:d:pull""#]);
        let Some(Challenge::Bearer { realm, scopes, .. }) = challenge else {
            panic!("{challenge:?}");
        };
        assert_eq!(realm, r#"https://t/?a=1,b="2""#);
        assert_eq!(scopes, ["a:b:pull,push", "c:d:pull"]);
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for value in [
            "",
            "Bearer",
            "Bearer realm=\"\"",
            "Bearer realm=\"unterminated",
            "Digest realm=\"x\", nonce=\"y\"",
            "=,=",
        ] {
            assert_eq!(parse(&[value]), None, "{value:?}");
        }
    }

    #[test]
    fn a_flood_of_scopes_is_cut() {
        let scopes = "a:b:pull ".repeat(100);
        let Some(Challenge::Bearer { scopes, .. }) =
            parse(&[&format!("Bearer realm=\"https://t/\",scope=\"{scopes}\"")])
        else {
            panic!("no challenge");
        };
        assert_eq!(scopes.len(), MAX_SCOPES);
    }
}
