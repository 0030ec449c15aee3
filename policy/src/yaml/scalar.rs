//! Scalars: quoted text is text, plain text is what YAML 1.2's core schema makes of it, and what other parsers would
//! make of it is never guessed.

/// A scalar as written.
#[derive(Clone)]
pub(crate) enum Scalar {
    /// In quotes, or a block.
    Quoted(String),
    /// Without quotes.
    Plain(String),
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// `true` and `false`, without quotes.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Plain(text) => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            Self::Quoted(_) => None,
        }
    }

    /// A number of items: decimal digits, without quotes.
    pub(crate) fn as_count(&self) -> Option<usize> {
        match self {
            Self::Plain(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        }
    }

    /// Text: in quotes, or plain and certainly nothing else to any YAML parser, `kubectl`'s included.
    pub(crate) fn as_text(&self) -> Option<&str> {
        let odd = |text: &str| {
            self.is_null()
                || self.as_bool().is_some()
                || is_bool_of_yaml_1_1(text)
                || is_number(text)
        };
        match self {
            Self::Plain(text) if odd(text) => None,
            Self::Plain(text) | Self::Quoted(text) => Some(text),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Quoted(_) => "a text in quotes",
            plain if plain.is_null() => "nothing",
            plain if plain.as_bool().is_some() => "a boolean",
            Self::Plain(text) if is_bool_of_yaml_1_1(text) => {
                "a word that some parsers read as a boolean"
            }
            Self::Plain(text) if is_number(text) => "a number",
            Self::Plain(_) => "a text",
        }
    }
}

fn is_bool_of_yaml_1_1(text: &str) -> bool {
    ["yes", "no", "on", "off"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether some YAML parser reads `text` as a number: decimal, exponent, `0x`, `0o`, `0b`, underscores, `.inf`, `.nan`.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    let digits = |rest: &str, radix: u32| {
        let mut found = false;
        rest.chars().all(|c| {
            found |= c != '_';
            c == '_' || c.is_digit(radix)
        }) && found
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if unsigned
            .strip_prefix(prefix)
            .is_some_and(|rest| digits(rest, radix))
        {
            return true;
        }
    }
    let starts_well = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    starts_well && unsigned.replace('_', "").parse::<f64>().is_ok()
}
