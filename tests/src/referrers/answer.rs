//! What the registry answers.

use bytes::Bytes;
use http::request::Parts;
use http::response::Builder;
use http::{Method, Response, Uri, header};
use serde_json::{Value, json};

use super::State;
use super::route::{Route, parameter, route};
use super::storage::{Manifest, Storage};
use crate::image::INDEX;

const DIGEST: &str = "docker-content-digest";

type Reply = Response<Bytes>;

/// Answers one request.
pub(super) fn answer(head: &Parts, body: &Bytes, state: &mut State) -> Reply {
    let storage = &mut state.storage;
    let method = &head.method;
    let read = matches!(*method, Method::GET | Method::HEAD);
    let Some(route) = route(head.uri.path()) else {
        return error(404, "NAME_INVALID");
    };
    match route {
        Route::Base if read => full(status(200), Bytes::from_static(b"{}")),
        Route::Blob(repository, digest) if read => match storage.blob(repository, digest) {
            Some(bytes) => content(digest, "application/octet-stream", bytes),
            None => error(404, "BLOB_UNKNOWN"),
        },
        Route::Uploads(repository) if *method == Method::POST => {
            begin(storage, repository, &head.uri, body)
        }
        Route::Upload(repository, id) => upload(storage, repository, id, head, body),
        Route::Manifest(repository, name) => manifest(storage, repository, name, head, body),
        Route::Tags(repository) if read => {
            let tags = storage.tags(repository);
            json_reply(status(200), &json!({"name": repository, "tags": tags}))
        }
        Route::Referrers(repository, digest) if *method == Method::GET => {
            let all = storage.referrers(repository, digest);
            referrers(all, state.page, &head.uri)
        }
        _ => error(405, "UNSUPPORTED"),
    }
}

fn begin(storage: &mut Storage, repository: &str, uri: &Uri, body: &Bytes) -> Reply {
    if let Some(digest) = parameter(uri, "mount")
        && storage.mount(repository, &digest)
    {
        return created(&format!("/v2/{repository}/blobs/{digest}"), &digest);
    }
    if let Some(digest) = parameter(uri, "digest") {
        return finish(storage, repository, &digest, body.clone());
    }
    let id = storage.begin();
    accepted(repository, &id, 0)
}

fn upload(storage: &mut Storage, repository: &str, id: &str, head: &Parts, body: &Bytes) -> Reply {
    let Some(size) = storage.append(id, body) else {
        return error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    match head.method {
        Method::PATCH => accepted(repository, id, size),
        Method::GET => full(status(204).header(header::RANGE, range(size)), Bytes::new()),
        Method::DELETE => {
            storage.take(id);
            full(status(204), Bytes::new())
        }
        Method::PUT => {
            let bytes = storage.take(id).unwrap_or_default();
            match parameter(&head.uri, "digest") {
                Some(digest) => finish(storage, repository, &digest, bytes),
                None => error(400, "DIGEST_INVALID"),
            }
        }
        _ => error(405, "UNSUPPORTED"),
    }
}

fn finish(storage: &mut Storage, repository: &str, digest: &str, bytes: Bytes) -> Reply {
    if storage.put_blob(repository, digest, bytes) {
        created(&format!("/v2/{repository}/blobs/{digest}"), digest)
    } else {
        error(400, "DIGEST_INVALID")
    }
}

fn manifest(
    storage: &mut Storage,
    repository: &str,
    name: &str,
    head: &Parts,
    body: &Bytes,
) -> Reply {
    match head.method {
        Method::GET | Method::HEAD => match storage.manifest(repository, name) {
            Some((digest, manifest)) => content(&digest, &manifest.media_type, manifest.bytes),
            None => error(404, "MANIFEST_UNKNOWN"),
        },
        Method::PUT => {
            let media_type = head.headers.get(header::CONTENT_TYPE);
            let manifest = Manifest {
                media_type: media_type
                    .and_then(|value| Some(value.to_str().ok()?.to_owned()))
                    .unwrap_or_default(),
                bytes: body.clone(),
            };
            let Some((digest, subject)) = storage.put_manifest(repository, name, manifest) else {
                return error(400, "MANIFEST_INVALID");
            };
            let mut reply = created(&format!("/v2/{repository}/manifests/{digest}"), &digest);
            // By this, clients know that the API will list it and that they need no referrers tag.
            if let Some(subject) = subject.and_then(|subject| subject.parse().ok()) {
                reply.headers_mut().insert("oci-subject", subject);
            }
            reply
        }
        Method::DELETE if storage.delete_manifest(repository, name) => {
            full(status(202), Bytes::new())
        }
        Method::DELETE => error(404, "MANIFEST_UNKNOWN"),
        _ => error(405, "UNSUPPORTED"),
    }
}

fn referrers(mut all: Vec<Value>, page: usize, uri: &Uri) -> Reply {
    let mut reply = status(200);
    let kind = parameter(uri, "artifactType");
    if let Some(kind) = &kind {
        all.retain(|descriptor| descriptor["artifactType"] == **kind);
        reply = reply.header("oci-filters-applied", "artifactType");
    }
    let from = parameter(uri, "from").and_then(|from| from.parse().ok());
    let from: usize = from.unwrap_or(0);
    let mut rest: Vec<Value> = all.into_iter().skip(from).collect();
    if page > 0 && rest.len() > page {
        rest.truncate(page);
        let filter = kind
            .map(|kind| format!("&artifactType={kind}"))
            .unwrap_or_default();
        let next = format!(
            "<{}?from={}{filter}>; rel=\"next\"",
            uri.path(),
            from + page
        );
        reply = reply.header(header::LINK, next);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": rest});
    full(
        reply.header(header::CONTENT_TYPE, INDEX),
        index.to_string().into(),
    )
}

fn status(code: u16) -> Builder {
    Response::builder()
        .status(code)
        .header("docker-distribution-api-version", "registry/2.0")
}

fn full(builder: Builder, body: Bytes) -> Reply {
    builder
        .header(header::CONTENT_LENGTH, body.len())
        .body(body)
        .unwrap_or_default()
}

fn json_reply(builder: Builder, body: &Value) -> Reply {
    let builder = builder.header(header::CONTENT_TYPE, "application/json");
    full(builder, body.to_string().into())
}

fn error(code: u16, name: &str) -> Reply {
    let body = json!({"errors": [{"code": name, "message": name, "detail": null}]});
    json_reply(status(code), &body)
}

fn content(digest: &str, media_type: &str, bytes: Bytes) -> Reply {
    let builder = status(200)
        .header(header::CONTENT_TYPE, media_type)
        .header(DIGEST, digest);
    full(builder, bytes)
}

fn created(location: &str, digest: &str) -> Reply {
    let builder = status(201)
        .header(header::LOCATION, location)
        .header(DIGEST, digest);
    full(builder, Bytes::new())
}

fn accepted(repository: &str, id: &str, size: usize) -> Reply {
    let builder = status(202)
        .header(
            header::LOCATION,
            format!("/v2/{repository}/blobs/uploads/{id}"),
        )
        .header("docker-upload-uuid", id)
        .header(header::RANGE, range(size));
    full(builder, Bytes::new())
}

fn range(size: usize) -> String {
    format!("0-{}", size.saturating_sub(1))
}
