//! The table of CRI v1 methods.

/// One RPC of CRI v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// `RuntimeService` or `ImageService`.
    pub service: &'static str,
    /// RPC name.
    pub name: &'static str,
    /// `:path` of its requests: `/runtime.v1.<service>/<name>`.
    pub path: &'static str,
    /// Its request is read, judged and perhaps refused or rewritten.
    pub gate: bool,
    /// Its answer teaches the gate ids.
    pub learn: bool,
    /// cri-api release that brought it.
    pub since: &'static str,
}

/// The method at `path`, or `None`: answered UNIMPLEMENTED.
pub fn lookup(_path: &str) -> Option<&'static Method> {
    todo!()
}
