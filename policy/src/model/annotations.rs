//! What `annotations` asks of an image's own description.

use std::collections::BTreeMap;
use std::time::Duration;

use super::text::TextMatch;
use crate::span::Span;

/// What must stand in the image's annotations and labels. They are only as good as whoever made the image: alone they
/// prove nothing, beside a signature they narrow what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnnotationsRequirement {
    /// Key to value. A key must be in an annotation of index or manifest, or a label of the config, and every place that
    /// has it must match.
    pub values: BTreeMap<String, TextMatch>,
    /// How long ago the image may have been created (`created` of the config, or
    /// `org.opencontainers.image.created`), by the node's clock.
    pub max_age: Option<Duration>,
    /// Where `annotations` stands.
    pub span: Span,
}
