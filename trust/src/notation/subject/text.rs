//! The text form of distinguished names (RFC 4514 section 3), with spaces allowed around the parts.

use std::fmt::Write as _;

use crate::finding::unseemly;

/// Splits a name into attribute types and values, in order. Types are as written.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parts = Vec::new();
    let mut rest = text.chars();
    loop {
        let (name, value, more) = part(&mut rest)?;
        parts.push((name, value));
        if !more {
            return Ok(parts);
        }
    }
}

/// One `type=value`, and whether another one follows.
fn part(rest: &mut std::str::Chars<'_>) -> Result<(String, String, bool), String> {
    let mut name = String::new();
    loop {
        match rest.next() {
            Some('=') => break,
            Some(c) if c.is_ascii_alphanumeric() || c == ' ' || c == '.' || c == '-' => {
                name.push(c);
            }
            Some(_) => {
                return Err("the name of an attribute has a character it cannot have".to_owned());
            }
            None => return Err("a part has no `=`".to_owned()),
        }
    }
    let name = name.trim_matches(' ').to_owned();
    let mut value: Vec<u8> = Vec::new();
    // Up to here it is not spaces that only surround the value.
    let mut kept = 0;
    let more = loop {
        let Some(c) = rest.next() else { break false };
        match c {
            // RFC 4514 has the comma alone; notation splits at both.
            ',' | ';' => break true,
            '+' => {
                return Err(format!(
                    "`{name}` has a `+`: parts with several values are not supported; write `\\+` for the character"
                ));
            }
            '"' | '<' | '>' => return Err(format!("`{name}` has a `{c}`: write `\\{c}`")),
            '#' if value.is_empty() => {
                return Err(format!(
                    "`{name}` is a value in hex, which is not supported; write `\\#` for the character"
                ));
            }
            ' ' if value.is_empty() => {}
            ' ' => value.push(b' '),
            '\\' => {
                value.push_escaped(rest).ok_or_else(|| {
                    format!(
                        "`{name}` has a `\\` before what needs none: write `\\\\` for the character"
                    )
                })?;
                kept = value.len();
            }
            c if c.is_control() => return Err(format!("`{name}` has a control character")),
            c => {
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                kept = value.len();
            }
        }
    };
    value.truncate(kept);
    let value = String::from_utf8(value).map_err(|_| format!("`{name}` is not UTF-8"))?;
    if value.chars().any(char::is_control) {
        return Err(format!("`{name}` has a control character"));
    }
    Ok((name, value, more))
}

trait PushEscaped {
    /// What follows a backslash: a special character, or two hex digits for a byte.
    fn push_escaped(&mut self, rest: &mut std::str::Chars<'_>) -> Option<()>;
}

impl PushEscaped for Vec<u8> {
    fn push_escaped(&mut self, rest: &mut std::str::Chars<'_>) -> Option<()> {
        let first = rest.next()?;
        if " \"#+,;<=>\\".contains(first) {
            self.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        let pair = first.to_digit(16)? << 4 | rest.next()?.to_digit(16)?;
        self.push(u8::try_from(pair).ok()?);
        Some(())
    }
}

/// Writes a value so that it cannot be taken for more than one.
pub(super) fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                out.push('\\');
                out.push(c);
            }
            c if unseemly(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\{byte:02X}");
                }
            }
            c => out.push(c),
        }
    }
}
