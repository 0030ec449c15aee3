//! Writes YAML that every parser reads alike: texts in double quotes, or as blocks where they have lines.

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A number or boolean.
    Plain(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping, in this order.
    Map(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A mapping.
pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// Documents one after another.
pub(super) fn documents(values: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        if let Value::Map(entries) = value {
            write_map(entries, 0, false, &mut out);
        }
    }
    out
}

/// The entries at `indent`; `inline`: the first one stands on the line that was begun.
fn write_map(entries: &[(String, Value)], indent: usize, inline: bool, out: &mut String) {
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 || !inline {
            pad(indent, out);
        }
        let word = !key.is_empty()
            && key.bytes().all(|b| b.is_ascii_alphanumeric())
            && key.starts_with(|c: char| c.is_ascii_alphabetic())
            && !is_special(key);
        if word {
            out.push_str(key);
        } else {
            quote(key, out);
        }
        out.push(':');
        write_value(value, indent, out);
    }
}

/// Words that some parser does not read as text.
fn is_special(key: &str) -> bool {
    [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan",
    ]
    .iter()
    .any(|word| key.eq_ignore_ascii_case(word))
}

/// What stands behind `key:`.
fn write_value(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Text(text) if is_block(text) => {
            out.push_str(" |\n");
            for line in text.lines() {
                pad(indent.saturating_add(2), out);
                out.push_str(line);
                out.push('\n');
            }
        }
        Value::Text(text) => {
            out.push(' ');
            quote(text, out);
            out.push('\n');
        }
        Value::Plain(text) => {
            out.push(' ');
            out.push_str(text);
            out.push('\n');
        }
        Value::List(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Value::List(items) => {
            out.push('\n');
            for item in items {
                pad(indent, out);
                out.push('-');
                write_item(item, indent.saturating_add(2), out);
            }
        }
        Value::Map(entries) => {
            out.push('\n');
            write_map(entries, indent.saturating_add(2), false, out);
        }
    }
}

/// What stands behind `-`.
fn write_item(item: &Value, indent: usize, out: &mut String) {
    match item {
        Value::Map(entries) if !entries.is_empty() => {
            out.push(' ');
            write_map(entries, indent, true, out);
        }
        other => write_value(other, indent, out),
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a text survives as a literal block: lines of printable ASCII that end with a line break.
fn is_block(text: &str) -> bool {
    let printable = |line: &str| {
        !line.ends_with(' ') && line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    };
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text
            .strip_suffix('\n')
            .unwrap_or(text)
            .split('\n')
            .all(printable)
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c => out.push_str(&escaped(c)),
        }
    }
    out.push('"');
}

/// Every other character by its number: line separators, byte order marks and the like are never taken for what they are.
fn escaped(c: char) -> String {
    let code = u32::from(c);
    if code > 0xffff {
        format!("\\U{code:08x}")
    } else {
        format!("\\u{code:04x}")
    }
}
