//! Builds the tree from parser events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_yaml::granit_parser::{
    Event, Options, Parser, ScalarStyle, Span as Range, StrInput, Tag,
};

use super::{Entry, Node, Place, Scalar, Value, child_path};
use crate::report::Report;
use crate::span::Span;

/// What one file may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Documents, empty ones included.
    pub(crate) documents: usize,
    /// Nodes, those brought in by aliases included.
    pub(crate) nodes: usize,
    /// Lists and mappings inside one another.
    pub(crate) depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            documents: 1024,
            nodes: 500_000,
            depth: 48,
        }
    }
}

/// The documents of `text`, empty ones left out.
///
/// Everything wrong goes to `report`; a syntax error or a broken limit ends the file there, anything else does not.
pub(crate) fn parse(file: &Arc<str>, text: &str, limits: Limits, report: &mut Report) -> Vec<Node> {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(
            text.strip_prefix('\u{feff}').unwrap_or(text),
            options,
        ),
        file,
        limits,
        report,
        anchors: HashMap::new(),
        nodes: 0,
        path: String::new(),
    };
    let mut documents = Vec::new();
    // A limit or a syntax error was reported where it was found; the documents before it are still worth checking.
    let _ = composer.stream(&mut documents);
    documents
}

/// The rest of the file cannot be read; the reason is in the report.
struct Stop;

struct Composer<'i, 'r> {
    parser: Parser<'i, StrInput<'i>>,
    file: &'r Arc<str>,
    limits: Limits,
    report: &'r mut Report,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    path: String,
}

type Next<'i> = (Event<'i>, Place);

impl<'i> Composer<'i, '_> {
    fn stream(&mut self, documents: &mut Vec<Node>) -> Result<(), Stop> {
        let mut count = 0_usize;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), place) => {
                    count = count.saturating_add(1);
                    if count > self.limits.documents {
                        return self.stop(
                            place,
                            format!(
                                "more documents than the {} allowed in one file",
                                self.limits.documents
                            ),
                        );
                    }
                    self.anchors.clear();
                    self.path.clear();
                    let next = self.next()?;
                    let node = self.node(next, 0)?;
                    if !node.is_null() {
                        documents.push(node);
                    }
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Next<'i>, Stop> {
        match self.parser.next_event() {
            Some(Ok((event, range))) => Ok((event, place_of(&range))),
            Some(Err(error)) => {
                let marker = error.marker();
                let place = place(marker.line(), marker.col());
                self.stop(place, format!("not valid YAML: {}", error.info()))
            }
            None => Ok((Event::StreamEnd, place(1, 0))),
        }
    }

    fn node(&mut self, (event, place): Next<'i>, depth: usize) -> Result<Node, Stop> {
        self.check_depth(depth, place)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let as_text = self.check_tag(tag, &["str"], place);
                let scalar = match style {
                    ScalarStyle::Plain if !as_text => Scalar::Plain(text.into_owned()),
                    _ => Scalar::Quoted(text.into_owned()),
                };
                (Value::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag, &["seq"], place);
                (Value::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag, &["map"], place);
                (Value::Map(self.map(depth)?), anchor)
            }
            Event::Alias(id) => return self.alias(id, place, depth),
            _ => return self.stop(place, "a value is missing here".to_owned()),
        };
        self.count(1, place)?;
        let node = Node::new(value, place);
        if anchor != 0 {
            // The copy kept for the anchor is paid for like the node itself.
            self.count(node.weight, place)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        let parent = self.path.len();
        loop {
            let next = self.next()?;
            if matches!(next.0, Event::SequenceEnd) {
                return Ok(items);
            }
            self.path.extend(["[", &items.len().to_string(), "]"]);
            items.push(self.node(next, depth.saturating_add(1))?);
            self.path.truncate(parent);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        let parent = self.path.clone();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(text, style, 0, None) => match (text.as_ref(), style) {
                    ("<<", ScalarStyle::Plain) => {
                        return self.stop(
                            place,
                            "merge keys (`<<`) are not accepted; write the fields out".to_owned(),
                        );
                    }
                    _ => text.into_owned(),
                },
                _ => {
                    return self.stop(
                        place,
                        "a key has to be plain text, without anchor, alias or tag".to_owned(),
                    );
                }
            };
            self.path = child_path(&parent, &key);
            let next = self.next()?;
            let value = self.node(next, depth.saturating_add(1))?;
            if let Some(first) = seen.get(&key) {
                self.error(
                    place,
                    format!("given twice; the other is in line {}", first.line),
                );
            } else {
                seen.insert(key.clone(), place);
                entries.push(Entry { key, place, value });
            }
            self.path.clone_from(&parent);
        }
    }

    /// A copy of the anchored node. Counted before it is made; its depth counts too, or a chain of aliases could nest
    /// deeper than the stack.
    fn alias(&mut self, id: usize, place: Place, depth: usize) -> Result<Node, Stop> {
        let Some((weight, height)) = self.anchors.get(&id).map(|node| (node.weight, node.height))
        else {
            return self.stop(
                place,
                "an alias inside its own anchor is not accepted".to_owned(),
            );
        };
        self.count(weight, place)?;
        self.check_depth(depth.saturating_add(height), place)?;
        let node = self.anchors.get(&id).cloned().ok_or(Stop)?;
        Ok(Node { place, ..node })
    }

    fn check_depth(&mut self, depth: usize, place: Place) -> Result<(), Stop> {
        if depth > self.limits.depth {
            return self.stop(
                place,
                format!("nested deeper than {} levels", self.limits.depth),
            );
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            return self.stop(
                place,
                format!(
                    "more than {} values in one file, aliases expanded",
                    self.limits.nodes
                ),
            );
        }
        Ok(())
    }

    /// Whether there is a tag; any other than those of the core schema that change nothing here is an error.
    fn check_tag(&mut self, tag: Option<Cow<'i, Tag>>, accepted: &[&str], place: Place) -> bool {
        let Some(tag) = tag else {
            return false;
        };
        if !tag
            .core_suffix()
            .is_some_and(|suffix| accepted.contains(&suffix))
        {
            self.error(
                place,
                "YAML tags (`!…`) are not accepted; quote the value to make it text".to_owned(),
            );
        }
        true
    }

    fn error(&mut self, place: Place, message: String) {
        self.report.error(self.span(place), message);
    }

    fn stop<T>(&mut self, place: Place, message: String) -> Result<T, Stop> {
        self.error(place, message);
        Err(Stop)
    }

    fn span(&self, place: Place) -> Span {
        Span {
            file: Arc::clone(self.file),
            line: place.line,
            column: place.column,
            path: self.path.clone(),
        }
    }
}

fn place_of(range: &Range) -> Place {
    place(range.start.line(), range.start.col())
}

/// The parser counts lines from 1 and columns from 0.
fn place(line: usize, column: usize) -> Place {
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: bounded(line),
        column: bounded(column.saturating_add(1)),
    }
}
