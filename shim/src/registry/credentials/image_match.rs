//! How the kubelet matches keys of a docker config and `matchImages` of a credential provider with a repository
//! (`k8s.io/kubernetes/pkg/credentialprovider`, `URLsMatch`): ports equal, as many labels in the host, each matched
//! with `*`, and the path a prefix.

/// A key taken apart: `[scheme://]host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageMatch {
    labels: Vec<String>,
    port: String,
    path: String,
}

impl ImageMatch {
    /// Parses a key. `None`: it has no host.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{path}")),
            None => (rest, String::new()),
        };
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        if host.is_empty() {
            return None;
        }
        Some(Self {
            labels: host.split('.').map(str::to_ascii_lowercase).collect(),
            port: port.to_owned(),
            path,
        })
    }

    /// The same without an API version at the end of the path, as docker writes its keys (`/v1/`, `/v2/`).
    pub(crate) fn without_api_version(mut self) -> Self {
        let trimmed = self.path.trim_end_matches('/');
        if trimmed == "/v1" || trimmed == "/v2" {
            self.path.clear();
        }
        self
    }

    /// Whether credentials under this key are for `repository` (`host[:port]/path`).
    pub(crate) fn matches(&self, repository: &str) -> bool {
        let Some(target) = Self::parse(repository) else {
            return false;
        };
        self.port == target.port
            && self.labels.len() == target.labels.len()
            && self
                .labels
                .iter()
                .zip(&target.labels)
                .all(|(pattern, label)| glob(pattern, label))
            && target.path.starts_with(&self.path)
    }

    /// How specific the key is: the longer path first, then the host without wildcards.
    pub(crate) fn rank(&self) -> (usize, bool, usize) {
        let length = self.labels.iter().map(String::len).sum();
        let literal = !self.labels.iter().any(|label| label.contains('*'));
        (self.path.len(), literal, length)
    }
}

/// `*` stands for any number of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_as_in_the_kubelet() {
        for (key, repository, wanted) in [
            ("r.example", "r.example/a/b", true),
            ("https://r.example/v1/", "r.example/a", false),
            ("r.example:5000", "r.example:5000/a", true),
            ("r.example", "r.example:5000/a", false),
            ("r.example:5000", "r.example/a", false),
            ("r.example/team", "r.example/team/app", true),
            ("r.example/team", "r.example/other", false),
            ("*.example", "r.example/a", true),
            ("*.example", "a.r.example/a", false),
            ("*.*.example", "a.r.example/a", true),
            (
                "123.dkr.ecr.*.amazonaws.com",
                "123.dkr.ecr.eu-west-1.amazonaws.com/x",
                true,
            ),
            ("pre*fix.io", "pre-x-fix.io/a", true),
            ("r.example", "evil.example/r.example", false),
            ("r.example", "r.example.evil.com/a", false),
        ] {
            let parsed = ImageMatch::parse(key).unwrap();
            assert_eq!(parsed.matches(repository), wanted, "{key} {repository}");
        }
        let docker = ImageMatch::parse("https://r.example/v1/").unwrap();
        assert!(docker.without_api_version().matches("r.example/a"));
    }
}
