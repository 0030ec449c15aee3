//! What an expression costs on a statement, at most. One unit is about one step of the interpreter.

use serde_json::Value;

/// The most that one evaluation may cost: tens of milliseconds.
const BUDGET: u64 = 2_000_000;
/// What it costs to compile the pattern of `matches`.
const COMPILE: u64 = 3000;
/// Bytes or values that are compared in the time of one step.
const PER_STEP: u64 = 16;

/// What an expression does, counted once when it is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Outside loops.
    outside: Part,
    /// Inside loops, for each element.
    inside: Part,
    loops: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    /// Steps of the interpreter.
    steps: u64,
    /// Those that may look at all of a value.
    long: u64,
    /// Mentions of a whole variable.
    whole: u64,
}

impl Cost {
    fn part(&mut self, inside: bool) -> &mut Part {
        if inside {
            &mut self.inside
        } else {
            &mut self.outside
        }
    }

    pub(super) fn step(&mut self, inside: bool) {
        let part = self.part(inside);
        part.steps = part.steps.saturating_add(1);
    }

    pub(super) fn looks_at_all(&mut self, inside: bool) {
        let part = self.part(inside);
        part.long = part.long.saturating_add(1);
    }

    pub(super) fn compiles(&mut self, inside: bool) {
        let part = self.part(inside);
        part.steps = part.steps.saturating_add(COMPILE);
    }

    /// A text of the expression, which a `map` copies for every element.
    pub(super) fn copies(&mut self, bytes: usize, inside: bool) {
        let part = self.part(inside);
        let steps = u64::try_from(bytes).unwrap_or(u64::MAX) / PER_STEP;
        part.steps = part.steps.saturating_add(steps);
    }

    pub(super) fn names_whole(&mut self, inside: bool) {
        let part = self.part(inside);
        part.whole = part.whole.saturating_add(1);
    }

    pub(super) fn enter(&mut self) {
        self.loops = self.loops.saturating_add(1);
    }

    pub(super) fn loops(self) -> usize {
        self.loops
    }

    /// Whether it may be computed for this statement.
    pub(super) fn is_bearable(self, statement: &Value) -> bool {
        let size = Size::of(statement);
        let whole = size.total / PER_STEP;
        let long = |part: Part| part.long.saturating_mul(whole);
        let outside = self.outside.steps.saturating_add(long(self.outside));
        // Each element is looked at on its own, all of them together are the statement; unless something outside the loop
        // is looked at for each of them.
        let every = if self.inside.whole > 0 {
            size.longest.saturating_mul(long(self.inside))
        } else {
            long(self.inside)
        };
        let loops = size
            .longest
            .saturating_mul(self.inside.steps)
            .saturating_add(every);
        // Elements of a loop are copied.
        let copies = size.total.saturating_mul(self.loops as u64);
        outside.saturating_add(loops).saturating_add(copies) <= BUDGET
    }
}

/// How large a document is.
#[derive(Default)]
struct Size {
    /// Values, and 16 bytes of text each.
    total: u64,
    /// The most elements of one list or object.
    longest: u64,
}

impl Size {
    fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value);
        size
    }

    /// The reader of statements bounds the nesting.
    fn add(&mut self, value: &Value) {
        let text = |text: &str| text.len() as u64 / PER_STEP;
        self.total = self.total.saturating_add(1);
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(one) => self.total = self.total.saturating_add(text(one)),
            Value::Array(items) => {
                self.longest = self.longest.max(items.len() as u64);
                for item in items {
                    self.add(item);
                }
            }
            Value::Object(entries) => {
                self.longest = self.longest.max(entries.len() as u64);
                for (key, item) in entries {
                    self.total = self.total.saturating_add(text(key));
                    self.add(item);
                }
            }
        }
    }
}
