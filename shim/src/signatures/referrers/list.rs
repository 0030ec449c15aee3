//! Listing the referrers of an image: by the referrers API, or by the index under the referrers tag.

use http::HeaderMap;

use crate::registry::{RemoteError, manifest};

use super::super::json::{Descriptor, Index};
use super::super::limits::{MAX_DESCRIPTORS, MAX_PAGES};
use super::super::media;
use super::super::place::{Place, content_type};
use super::link;
use super::memory::ApiMemory;

/// The referrers of an image.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub descriptors: Vec<Descriptor>,
    /// There were more.
    pub truncated: bool,
}

impl Listing {
    fn add(&mut self, index: Index) {
        let room = MAX_DESCRIPTORS.saturating_sub(self.descriptors.len());
        self.truncated |= index.manifests.more || index.manifests.of.len() > room;
        self.descriptors
            .extend(index.manifests.of.into_iter().take(room));
    }
}

/// Lists. "Nothing" is said only after both ways were tried: a 404 of the API may also mean that the host knows no such
/// repository, and what was learned about a host may be out of date.
pub(super) async fn list(place: &Place<'_>, memory: &ApiMemory) -> Result<Listing, RemoteError> {
    if memory.lacks_api(place.host) {
        if let Some(listing) = by_tag(place).await? {
            return Ok(listing);
        }
        return Ok(by_api(place).await?.unwrap_or_default());
    }
    if let Some(listing) = by_api(place).await? {
        return Ok(listing);
    }
    let listing = by_tag(place).await?;
    if listing.is_some() {
        // A 404 for want of the repository is ruled out: the repository has this tag.
        memory.note(place.host);
    }
    Ok(listing.unwrap_or_default())
}

/// `None`: the host has no such API. What it says about filters is of no interest: none was asked for.
async fn by_api(place: &Place<'_>) -> Result<Option<Listing>, RemoteError> {
    let first = place.url(&format!("referrers/{}", place.subject))?;
    let mut listing = Listing::default();
    let mut next = Some(first.clone());
    for page in 0..MAX_PAGES {
        let Some(url) = next.take() else {
            return Ok(Some(listing));
        };
        let answer = match place
            .get(url.clone(), media::INDEX, manifest::MAX_MANIFEST)
            .await
        {
            // What registries without the API say to an address they do not know.
            Err(
                RemoteError::NotFound { .. }
                | RemoteError::Status {
                    status: 400 | 405 | 406,
                    ..
                },
            ) if page == 0 => return Ok(None),
            answer => answer?,
        };
        if content_type(&answer.headers) != media::INDEX {
            if page == 0 {
                return Ok(None);
            }
            return Err(place.invalid("a page of referrers that is no index"));
        }
        listing.add(parse(place, &answer.body)?);
        match link::next(&answer.headers) {
            None => return Ok(Some(listing)),
            Some(target) => {
                next = url
                    .join(target)
                    .filter(|next| next.same_origin(&first) && *next != url);
                if next.is_none() {
                    listing.truncated = true;
                }
            }
        }
    }
    listing.truncated |= next.is_some();
    Ok(Some(listing))
}

/// `None`: there is no such tag.
async fn by_tag(place: &Place<'_>) -> Result<Option<Listing>, RemoteError> {
    let tag = format!("sha256-{}", place.subject.hex());
    let Some(answer) = place.tagged(&tag, media::INDEX).await? else {
        return Ok(None);
    };
    check_type(place, &answer.headers)?;
    let mut listing = Listing::default();
    listing.add(parse(place, &answer.body)?);
    Ok(Some(listing))
}

fn check_type(place: &Place<'_>, headers: &HeaderMap) -> Result<(), RemoteError> {
    if content_type(headers) == media::INDEX {
        Ok(())
    } else {
        Err(place.invalid("a referrers tag that is no index"))
    }
}

fn parse(place: &Place<'_>, bytes: &[u8]) -> Result<Index, RemoteError> {
    Index::parse(bytes).ok_or_else(|| place.invalid("a list of referrers that is no index"))
}
