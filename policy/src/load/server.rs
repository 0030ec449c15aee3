//! Which trust server a `trust` asks, and whose root it believes: from the document, and from `notary:` of config.yaml,
//! as Portieris' documents can say neither CA nor root.

use std::collections::BTreeMap;

use super::Context;
use super::repository::RuleContext;
use crate::fields::Field;
use crate::glob;
use crate::model::NotaryServer;
use crate::reference::grammar;
use crate::report::Report;

/// What a document says itself.
#[derive(Default)]
pub(super) struct Given<'n> {
    pub(super) url: Option<Field<'n>>,
    pub(super) ca: Option<String>,
    pub(super) pins: BTreeMap<String, String>,
    pub(super) trust_on_first_use: Option<bool>,
}

/// The server for every image that the rule's pattern matches; `None`: there is none, and the report says so.
pub(super) fn resolve(
    given: &Given<'_>,
    trust: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<NotaryServer> {
    let covering = covering_entry(&rule.pattern.repositories(), &cx.options.notary);
    let server = match &given.url {
        Some(field) => match check_url(field.text(&mut cx.report)?) {
            Ok(url) => url,
            Err(message) => {
                cx.report.error(field.span(), message);
                return None;
            }
        },
        None => match covering.map(|entry| check_url(&entry.server)) {
            Some(Ok(url)) => url,
            Some(Err(message)) => {
                cx.report.error(
                    trust.key_span(),
                    format!("`notary:` of config.yaml: {message}"),
                );
                return None;
            }
            None => {
                cx.report
                    .error(trust.key_span(), missing(&rule.pattern.text));
                return None;
            }
        },
    };
    let same: Vec<&NotaryServer> = cx
        .options
        .notary
        .iter()
        .map(|(_, entry)| entry)
        .filter(|entry| check_url(&entry.server).as_ref() == Ok(&server))
        .collect();
    // A pin is for one collection on this server, and the CA for the server itself: they hold whichever entry has them.
    let mut pins: BTreeMap<String, String> = BTreeMap::new();
    for entry in same.iter().rev() {
        pins.extend(entry.pins.clone());
    }
    pins.extend(given.pins.clone());
    let first_use = covering.is_some_and(|entry| {
        entry.trust_on_first_use && check_url(&entry.server).as_ref() == Ok(&server)
    });
    let found = NotaryServer {
        ca: given
            .ca
            .clone()
            .or_else(|| same.iter().find_map(|entry| entry.ca.clone())),
        pins,
        trust_on_first_use: given.trust_on_first_use.unwrap_or(first_use),
        server,
    };
    warn(&found, given.url.as_ref().unwrap_or(trust), &mut cx.report);
    Some(found)
}

fn warn(found: &NotaryServer, field: &Field<'_>, report: &mut Report) {
    let authority = found.server.strip_prefix("https://").unwrap_or_default();
    let host = authority.split(['/', ':']).next().unwrap_or_default();
    if host.eq_ignore_ascii_case("notary.docker.io") {
        report.warning(
            field.span(),
            "Docker shuts notary.docker.io down on 8 December 2026; images that need it are refused from then on",
        );
    }
    if found.pins.is_empty() && !found.trust_on_first_use {
        report.warning(
            field.span(),
            format!(
                "no root is trusted for {}: every image is refused until `pins` name its root key (or `trustOnFirstUse: true`), \
                 here in portcullis.dev/v1 or under `notary:` in config.yaml",
                found.server
            ),
        );
    }
}

fn missing(pattern: &str) -> String {
    format!(
        "no trust server: name one as `trustServer`, or under `notary:` in config.yaml with a `match` that covers everything \
         `{pattern}` matches (a `match` before it must not cover a part of that)"
    )
}

/// The first entry for the images of `repositories`, provided that it is the first for every one of them.
fn covering_entry<'a>(
    repositories: &str,
    entries: &'a [(String, NotaryServer)],
) -> Option<&'a NotaryServer> {
    let (pattern, server) = entries
        .iter()
        .find(|(pattern, _)| glob::intersects(pattern, repositories))?;
    glob::covers(pattern, repositories).then_some(server)
}

/// The base URL without its trailing slash.
fn check_url(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix("https://") else {
        return Err("a trust server is reached by `https://` only".to_owned());
    };
    let rest = rest.trim_end_matches('/');
    let host = rest.split('/').next().unwrap_or_default();
    let port_ok = match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.parse::<u16>().is_ok_and(|port| port > 0),
        _ => true,
    };
    let plain = rest
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~/:[]%+".contains(&b));
    if !plain || !port_ok || !grammar::is_domain(host) {
        return Err(
            "must be `https://host[:port][/path]`, without credentials, query or fragment"
                .to_owned(),
        );
    }
    Ok(format!("https://{rest}"))
}

/// `pins`: collections (GUN, or a prefix of one and `*`) with the id of a root key.
pub(super) fn pins(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let mut pins = BTreeMap::new();
    let mut complete = true;
    for (gun, field) in field.fields(report)?.rest() {
        let stem = gun.strip_suffix('*').unwrap_or(gun);
        if gun.is_empty()
            || stem.contains('*')
            || !gun.is_ascii()
            || gun.contains(char::is_whitespace)
        {
            complete = false;
            report.error(
                field.key_span(),
                "a pin is for a repository such as `docker.io/library/nginx`, or a prefix and `*`",
            );
        }
        let id = field.text(report);
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match id {
            Some(id) if id.len() == 64 && id.bytes().all(lower_hex) => {
                pins.insert(gun.to_owned(), id.to_owned());
            }
            Some(_) => {
                complete = false;
                report.error(field.span(), "a TUF key id has 64 lower-case hex digits");
            }
            None => complete = false,
        }
    }
    complete.then_some(pins)
}
