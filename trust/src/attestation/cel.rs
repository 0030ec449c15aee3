//! A CEL expression over a statement (<https://github.com/google/cel-spec>), with bounds on what it may cost.
//!
//! The interpreter has no cost limit: nested loops over a list of n take n × n steps, and an expression that appends to
//! itself doubles with every step. What can grow is therefore not accepted when the policy is loaded ([`shape`]), and what
//! remains is refused when expression and statement together would take too long ([`cost`]).

mod cost;
mod shape;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use cel::{Context, Env, ExecutionError, Program};
use serde_json::Value;

use super::flaw::Flaw;
use super::statement::Statement;
use cost::Cost;

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 2048;
/// Most brackets that are opened: they nest at most this deep.
const MAX_BRACKETS: usize = 64;
/// Most `? :`, each of which the parser answers with recursion.
const MAX_CONDITIONALS: usize = 16;
/// Stack for the parser, which recurses for every `.` of a long chain.
const PARSER_STACK: usize = 16 << 20;
/// Largest statement that is turned into CEL's own values.
const MAX_STATEMENT: usize = 4 << 20;

/// Why an expression cannot be used: a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CelError {
    #[error("a CEL expression is at most 2048 bytes long")]
    TooLong,
    #[error(
        "this CEL expression opens more than 64 brackets or has more than 16 conditionals: split it over several requirements"
    )]
    TooNested,
    #[error("this is not a CEL expression: {0}")]
    Syntax(String),
    #[error("this CEL expression is too large: split it over several requirements")]
    TooLarge,
    #[error("`{0}` is not a variable here: there are `statement` and `predicate`")]
    Variable(String),
    #[error(
        "`{0}` cannot be used here: there are the comparisons, `!`, `&&`, `||`, `? :`, `in`, `has`, `size`, `contains`, \
         `startsWith`, `endsWith`, `matches`, `int`, `uint`, `double`, `string`, `bool`, `all`, `exists`, `exists_one`, \
         `filter` and `map`"
    )]
    Function(String),
    #[error("what builds new values (`{0}`) cannot be used here: its size could not be bounded")]
    Builds(&'static str),
    #[error(
        "a loop (`all`, `exists`, `exists_one`, `filter`, `map`) inside a loop takes too long on large statements: use one"
    )]
    NestedLoop,
    #[error("at most 8 loops (`all`, `exists`, `exists_one`, `filter`, `map`) can be used here")]
    ManyLoops,
    #[error("the pattern of `matches` must be a text, not a value of the statement")]
    Pattern,
    #[error("the pattern of `matches` cannot be used: {0}")]
    Regex(String),
    #[error(
        "a `map` cannot name `statement` or `predicate` inside: it would copy them for every element"
    )]
    CopyingMap,
}

/// A compiled expression.
pub(super) struct Expression {
    program: Program,
    environment: Arc<Env>,
    cost: Cost,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expression").finish_non_exhaustive()
    }
}

impl Expression {
    /// Parses it and checks that what it may cost is bounded.
    pub(super) fn compile(text: &str) -> Result<Self, CelError> {
        if text.len() > MAX_LENGTH {
            return Err(CelError::TooLong);
        }
        // In texts too: no bracket of one can make up for another outside.
        let count = |wanted: &[char]| text.chars().filter(|c| wanted.contains(c)).count();
        if count(&['(', '[', '{']) > MAX_BRACKETS || count(&['?']) > MAX_CONDITIONALS {
            return Err(CelError::TooNested);
        }
        let text = text.to_owned();
        // A thread of its own: a stack that is large enough, and an end to what panics.
        let parser = thread::Builder::new()
            .name("cel".to_owned())
            .stack_size(PARSER_STACK);
        let parsed = parser.spawn(move || parse(&text));
        let failed = || CelError::Syntax("it cannot be parsed".to_owned());
        let (program, cost) = parsed
            .map_err(|_| failed())?
            .join()
            .map_err(|_| failed())??;
        Ok(Self {
            program,
            environment: Arc::new(Env::stdlib()),
            cost,
        })
    }

    /// Whether it is `true` for the statement.
    pub(super) fn holds(&self, statement: &Statement) -> Result<(), Flaw> {
        if statement.size() > MAX_STATEMENT || !self.cost.is_bearable(statement.document()) {
            return Err(Flaw::CelTooLarge);
        }
        // The shape leaves nothing that is known to panic; a flaw of the interpreter must not take a node down.
        let computed = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::with_env(Arc::clone(&self.environment));
            context.add_variable_from_value("statement", value(statement.document()));
            context.add_variable_from_value("predicate", value(statement.predicate()));
            self.program.execute(&context)
        }));
        match computed {
            Ok(Ok(cel::Value::Bool(true))) => Ok(()),
            Ok(Ok(cel::Value::Bool(false))) => Err(Flaw::CelFalse),
            Ok(Ok(_)) => Err(Flaw::CelNotBool),
            Ok(Err(ExecutionError::NoSuchKey(_))) => Err(Flaw::CelNoField),
            Ok(Err(_)) | Err(_) => Err(Flaw::CelFailed),
        }
    }
}

fn parse(text: &str) -> Result<(Program, Cost), CelError> {
    let program = Program::compile(text).map_err(|errors| {
        // The author's own text, at the place the parser stopped.
        let first = errors.errors.first();
        CelError::Syntax(first.map_or_else(String::new, |error| {
            let message: String = error.msg.chars().take(200).collect();
            format!("at {}:{}: {message}", error.pos.0, error.pos.1)
        }))
    })?;
    let cost = shape::check(program.expression())?;
    Ok((program, cost))
}

/// JSON as CEL has it. Whole numbers are `int`, so that they compare with what is written in an expression.
fn value(json: &Value) -> cel::Value {
    match json {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), _, _) => cel::Value::Int(int),
            (None, Some(uint), _) => cel::Value::UInt(uint),
            (None, None, float) => cel::Value::Float(float.unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        // The reader of statements bounds the nesting.
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(value).collect())),
        Value::Object(entries) => {
            let entries: std::collections::HashMap<String, cel::Value> = entries
                .iter()
                .map(|(key, item)| (key.clone(), value(item)))
                .collect();
            cel::Value::Map(entries.into())
        }
    }
}

#[cfg(test)]
mod tests;
