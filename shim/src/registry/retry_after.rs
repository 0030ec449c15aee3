//! The `Retry-After` header (RFC 9110 §10.2.3): seconds or a date.

use std::time::Duration;

use http::{HeaderMap, header};

/// The longest wait that is believed (docs/rules.md).
pub(crate) const CAP: Duration = Duration::from_mins(1);

/// The wait a header asks for, at most [`CAP`]; `None` if there is none or it is malformed. A date is compared with
/// the answer's own `Date`, so that neither clock needs to be right.
pub(crate) fn parse(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // More digits than a u64 holds is a very long wait.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let now = date(headers.get(header::DATE)?.to_str().ok()?)?;
        date(text)?
            .duration_since(now)
            .try_into()
            .unwrap_or_default()
    };
    Some(wait.min(CAP))
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        headers.insert(header::DATE, now.parse().unwrap());
        parse(&headers)
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(parsed("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            parsed("Sun, 06 Nov 1994 08:49:57 GMT"),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            parsed("Sun, 06 Nov 1994 08:00:00 GMT"),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn a_registry_cannot_ask_for_more_than_a_minute() {
        assert_eq!(parsed("86400"), Some(CAP));
        assert_eq!(parsed("99999999999999999999999999"), Some(CAP));
        assert_eq!(parsed("Sat, 06 Nov 2094 08:49:57 GMT"), Some(CAP));
    }

    #[test]
    fn malformed_values_are_no_values() {
        for text in ["", "-1", "soon", "1.5"] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
