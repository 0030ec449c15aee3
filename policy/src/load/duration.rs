//! Lengths of time as people write them: `720h`, `30d`, `1d12h`.

use std::fmt::Write as _;
use std::time::Duration;

/// Longest accepted: ten years.
const MAX_SECONDS: u64 = 10 * 366 * 86_400;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Numbers each followed by `d`, `h`, `m` or `s`, every unit at most once and from the largest down. Never zero.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0_u64;
    for (unit, seconds) in UNITS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits)?;
        if let Some(behind) = behind.strip_prefix(unit) {
            let number: u64 = number.parse().ok()?;
            total = number
                .checked_mul(seconds)
                .and_then(|part| total.checked_add(part))?;
            rest = behind;
        }
    }
    (rest.is_empty() && (1..=MAX_SECONDS).contains(&total)).then(|| Duration::from_secs(total))
}

/// `duration` as [`parse`] reads it; parts of a second are left out.
pub(crate) fn text(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut out = String::new();
    for (unit, seconds) in UNITS {
        let (Some(number), Some(behind)) = (rest.checked_div(seconds), rest.checked_rem(seconds))
        else {
            continue;
        };
        if number > 0 {
            write!(out, "{number}{unit}").ok();
        }
        rest = behind;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_in_order_and_an_end() {
        let seconds = |text: &str| parse(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("720h"), Some(2_592_000));
        assert_eq!(seconds("30d"), Some(2_592_000));
        assert_eq!(seconds("1d12h30m5s"), Some(131_405));
        assert_eq!(text(Duration::from_secs(131_405)), "1d12h30m5s");
        assert_eq!(text(Duration::from_hours(720)), "30d");
        for bad in [
            "",
            "0s",
            "30",
            "h",
            "12h1d",
            "1h1h",
            "1.5h",
            "-1h",
            " 1h",
            "1w",
            "99999999999999999999d",
            "4000d",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
