//! `storeURL` and `storeSecret`: where simple-signing signatures are looked for.

use super::Context;
use super::repository::RuleContext;
use crate::fields::{Field, Fields};
use crate::model::{Lookaside, LookasideUrl, Password, SignatureStore};
use crate::reference::grammar;

/// Takes both fields; neither there: the registry's own extension. `None`: something is wrong, and in the report.
pub(super) fn store(
    fields: &mut Fields<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<SignatureStore> {
    let url = fields.take_value("storeURL");
    let secret = fields.take_value("storeSecret");
    let Some(url) = url else {
        if let Some(secret) = secret {
            cx.report.error(
                secret.key_span(),
                "`storeSecret` is the password of a `storeURL`, and there is none",
            );
            return None;
        }
        return Some(SignatureStore::RegistryExtension);
    };
    let base = match base(url.non_empty_text(&mut cx.report)) {
        Ok(base) => base,
        Err(message) => {
            if let Some(message) = message {
                cx.report.error(url.span(), message);
            }
            None
        }
    };
    let password = match &secret {
        Some(field) => password(field, rule, cx).map(Some),
        None => Some(None),
    };
    let (base, password) = (base?, password?);
    if password.is_some() && base.starts_with("http://") {
        cx.report.warning(
            url.span(),
            "the password goes over the network unencrypted; use `https://`",
        );
    }
    Some(SignatureStore::Lookaside(Lookaside {
        url: LookasideUrl(base),
        password,
    }))
}

/// The base without its trailing slashes. Credentials in it would end in messages and logs.
pub(super) fn base(text: Option<&str>) -> Result<Option<String>, Option<&'static str>> {
    let Some(text) = text else {
        return Err(None);
    };
    let Some((scheme, rest)) = text
        .split_once("://")
        .filter(|(scheme, _)| ["https", "http"].contains(scheme))
    else {
        return Err(Some("must begin with `https://` or `http://`"));
    };
    let rest = rest.trim_end_matches('/');
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Err(Some("name the password in a Secret, under `storeSecret`"));
    }
    let plain = rest
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~/:[]%+".contains(&b));
    let climbs = rest.split('/').any(|part| part == "..");
    if !plain || climbs || !grammar::is_domain(host) {
        return Err(Some(
            "must be `https://host[:port][/path]`, without credentials, query or fragment",
        ));
    }
    Ok(Some(format!("{scheme}://{rest}")))
}

fn password(field: &Field<'_>, rule: &RuleContext<'_>, cx: &mut Context<'_>) -> Option<Password> {
    let name = field.non_empty_text(&mut cx.report)?;
    let problem = match cx.secrets.find(rule.scope, None, name) {
        Ok(found) => match (found.get("username"), found.get("password")) {
            (Some(username), Some(password)) => {
                match (line(&username.bytes), line(&password.bytes)) {
                    (Some(username), Some(password)) => {
                        return Some(Password { username, password });
                    }
                    _ => format!(
                        "`username` and `password` of Secret `{name}` ({}) are one line of UTF-8 each, without a line break at \
                         the end",
                        found.span()
                    ),
                }
            }
            _ => format!(
                "Secret `{name}` ({}) has no `username` and `password`",
                found.span()
            ),
        },
        Err(message) => message,
    };
    cx.report.error(field.span(), problem);
    None
}

fn line(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.contains(char::is_control)).then(|| text.to_owned())
}
