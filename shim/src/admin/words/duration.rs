//! Lengths of time in words.

use std::time::Duration;

/// `90 days`, `36 hours`, `1 minute`: in the largest unit that divides it.
pub(super) fn spoken(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (count, unit) = units
        .iter()
        .find(|(size, _)| seconds >= *size && seconds.is_multiple_of(*size))
        .map_or((seconds, "second"), |(size, unit)| (seconds / size, *unit));
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_said_in_the_largest_unit_that_divides_it() {
        for (seconds, words) in [
            (1, "1 second"),
            (90, "90 seconds"),
            (3_600, "1 hour"),
            (129_600, "36 hours"),
            (7_776_000, "90 days"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
