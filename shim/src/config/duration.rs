//! Durations as people write them: `500ms`, `20s`, `2m`, `1h`.

use std::time::Duration;

/// Parses a whole number followed by `ms`, `s`, `m` or `h`. A number without a unit is refused: it is the classic
/// mistake.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("20s"), Some(Duration::from_secs(20)));
        assert_eq!(parse("2m"), Some(Duration::from_mins(2)));
        assert_eq!(parse("1h"), Some(Duration::from_hours(1)));
    }

    #[test]
    fn numbers_without_a_unit_and_other_spellings_are_refused() {
        for bad in [
            "",
            "20",
            "s",
            "-1s",
            "1.5s",
            "20 s",
            "20S",
            "1m30s",
            "é",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
