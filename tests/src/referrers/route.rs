//! What a request is about.

use http::Uri;

/// The resources of the distribution API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Base,
    /// A blob by digest.
    Blob(&'a str, &'a str),
    /// Where uploads begin.
    Uploads(&'a str),
    /// One upload.
    Upload(&'a str, &'a str),
    /// A manifest by tag or digest.
    Manifest(&'a str, &'a str),
    Tags(&'a str),
    /// The referrers of a digest.
    Referrers(&'a str, &'a str),
}

/// The resource that a path names.
pub(super) fn route(path: &str) -> Option<Route<'_>> {
    let below = path.strip_prefix("/v2")?;
    let below = below.strip_prefix('/').unwrap_or(below);
    if below.is_empty() {
        return Some(Route::Base);
    }
    if let Some(repository) = below.strip_suffix("/tags/list") {
        return Some(Route::Tags(repository));
    }
    if let Some((repository, id)) = below.split_once("/blobs/uploads") {
        return Some(match id.trim_start_matches('/') {
            "" => Route::Uploads(repository),
            id => Route::Upload(repository, id),
        });
    }
    let (rest, last) = below.rsplit_once('/')?;
    let (repository, collection) = rest.rsplit_once('/')?;
    match collection {
        "blobs" => Some(Route::Blob(repository, last)),
        "manifests" => Some(Route::Manifest(repository, last)),
        "referrers" => Some(Route::Referrers(repository, last)),
        _ => None,
    }
}

/// The value of a query parameter.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = || percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        (key == name).then(|| value().into_owned())
    })
}
