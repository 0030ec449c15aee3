//! Texts that match more than their author probably meant.

use crate::model::TextMatch;

/// How much a text matches.
pub(super) enum Breadth {
    /// Nothing that surprises.
    Sound,
    /// Any text at all.
    Everything,
    /// More than it looks like; why.
    Loose(String),
}

/// Judged by its form alone.
pub(super) fn breadth(text: &TextMatch) -> Breadth {
    let loose = match text {
        TextMatch::Exact(_) => return Breadth::Sound,
        TextMatch::Glob(glob) if glob.bytes().all(|b| b == b'*') => return Breadth::Everything,
        TextMatch::Regex(regex) if is_everything(regex) => return Breadth::Everything,
        TextMatch::Glob(glob) => loose_glob(glob),
        TextMatch::Regex(regex) => loose_regex(regex),
    };
    loose.map_or(Breadth::Sound, Breadth::Loose)
}

fn is_everything(regex: &str) -> bool {
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    matches!(inner, ".*" | ".+" | ".*?" | ".+?" | "(.*)" | "(.+)")
}

/// `https://github.com*`, `https://*example.com/x`, `https://github.com/acme*`, `*example.com`.
fn loose_glob(glob: &str) -> Option<String> {
    let Some((_, rest)) = glob.split_once("://") else {
        let domain = glob.strip_prefix('*')?;
        let bare = !domain.starts_with(['@', '*', '.']) && domain.contains('.');
        return (bare && !domain.contains('@')).then(|| {
            format!("nothing begins the domain before `{domain}`, so that it also matches `x@other{domain}`; write `*@{domain}`")
        });
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some((before, _)) = host.rsplit_once('*')
        && host.ends_with('*')
        && !before.is_empty()
        && !before.ends_with(':')
    {
        return Some(format!(
            "nothing ends the host after `{before}`, so that it also matches hosts such as `{before}.example.net`"
        ));
    }
    if let Some(after) = host.strip_prefix('*')
        && !after.is_empty()
        && !after.starts_with(['*', '.', ':'])
    {
        return Some(format!(
            "nothing begins the host before `{after}`, so that it also matches hosts such as `other{after}`"
        ));
    }
    let owner = path.split('/').next().unwrap_or_default();
    let name = owner.split('*').next().unwrap_or_default();
    (owner.contains('*') && !name.is_empty()).then(|| {
        format!("nothing ends the name `{name}`, so that it also matches `{name}-other`; write `{name}/*`")
    })
}

/// `https://github.com/acme/.*` (the dot), `https://github\.com/acme.*` (no slash behind the name).
fn loose_regex(regex: &str) -> Option<String> {
    let (host, path) = match regex.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        None => (regex.rsplit_once('@')?.1, ""),
    };
    if has_open_dot(host) {
        return Some(format!(
            "`.` stands for any character in the host `{host}`; write `\\.` for a dot"
        ));
    }
    let owner = path.split('/').next().unwrap_or_default();
    let name = [".*", ".+"]
        .iter()
        .find_map(|any| owner.split_once(any))
        .map(|(name, _)| name)?;
    name.ends_with(|c: char| c.is_ascii_alphanumeric())
        .then(|| format!("nothing ends the name `{name}`, so that it also matches `{name}-other`; write `{name}/.*`"))
}

/// Whether a `.` between two letters or digits is not escaped.
fn has_open_dot(host: &str) -> bool {
    let mut in_class = false;
    let mut chars = host.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                before = chars.next().unwrap_or(' ');
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class
                && before.is_ascii_alphanumeric()
                && chars.peek().is_some_and(char::is_ascii_alphanumeric) =>
            {
                return true;
            }
            _ => {}
        }
        before = c;
    }
    false
}
