//! Checks of single fields, made while parsing so that errors carry their line and column.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::duration;

/// Shortest budget: less could not reach any registry.
const MIN_BUDGET: Duration = Duration::from_millis(100);
/// Longest budget: kubelet's default `runtimeRequestTimeout`, after which nobody waits for the answer.
const MAX_BUDGET: Duration = Duration::from_mins(2);

/// An absolute path: a daemon's working directory means nothing to the person who wrote the file.
pub(super) fn absolute_path<'de, D: Deserializer<'de>>(input: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::from(String::deserialize(input)?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(D::Error::custom(format!(
            "`{}` must be an absolute path",
            path.display()
        )))
    }
}

/// [`absolute_path`], where absence has a meaning.
pub(super) fn optional_path<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<PathBuf>, D::Error> {
    absolute_path(input).map(Some)
}

/// The budget of a gated call.
pub(super) fn budget<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    let value = duration::parse(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "`{text}` is not a duration: write a whole number and a unit, such as 500ms, 20s or 2m"
        ))
    })?;
    if (MIN_BUDGET..=MAX_BUDGET).contains(&value) {
        Ok(value)
    } else {
        Err(D::Error::custom(format!(
            "`{text}` is out of range: the budget lies between 100ms and 2m"
        )))
    }
}

/// A server that is reached over TLS, without a trailing slash, credentials, query or fragment.
pub(super) fn https_url<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let url = text.trim_end_matches('/');
    let usable = url.parse::<http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.authority().is_some_and(|authority| {
                !authority.host().is_empty() && !authority.as_str().contains('@')
            })
            && uri.query().is_none()
    });
    if usable && !url.contains('#') {
        Ok(url.to_owned())
    } else {
        // The text is not repeated: it may hold a password.
        Err(D::Error::custom(
            "not usable as a server: write https://host[:port][/path], without credentials or query",
        ))
    }
}
