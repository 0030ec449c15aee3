//! Which expressions are accepted: those whose values are never larger than the statement and whose loops do not nest.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::CelError;
use super::cost::Cost;

/// Most nodes of the syntax tree.
const MAX_NODES: usize = 512;
/// Deepest nesting of the syntax tree: the interpreter recurses for each.
const MAX_DEPTH: usize = 40;
/// Most loops.
const MAX_LOOPS: usize = 8;
/// Largest compiled pattern of `matches`, in bytes. It is compiled each time it is used.
const MAX_REGEX: usize = 1 << 18;

/// The variables there are.
const VARIABLES: [&str; 2] = ["statement", "predicate"];

/// Functions that take whole values but do not grow them.
const FUNCTIONS: [&str; 10] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
];

/// Checks the whole expression and tells what it costs.
pub(super) fn check(expression: &IdedExpr) -> Result<Cost, CelError> {
    let mut walk = Walk {
        nodes: 0,
        cost: Cost::default(),
    };
    walk.node(expression, None, MAX_DEPTH)?;
    Ok(walk.cost)
}

/// The loop that a node is in.
struct Loop<'a> {
    variables: Vec<&'a str>,
    is_map: bool,
}

struct Walk {
    nodes: usize,
    cost: Cost,
}

impl Walk {
    fn node(
        &mut self,
        node: &IdedExpr,
        inside: Option<&Loop<'_>>,
        depth: usize,
    ) -> Result<(), CelError> {
        let depth = depth.checked_sub(1).ok_or(CelError::TooLarge)?;
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(CelError::TooLarge);
        }
        self.cost.step(inside.is_some());
        match &node.expr {
            Expr::Unspecified => Err(CelError::Syntax("a part is missing".to_owned())),
            Expr::Literal(LiteralValue::String(text)) => {
                self.cost.copies(text.inner().len(), inside.is_some());
                Ok(())
            }
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name, inside),
            Expr::Select(select) => self.node(&select.operand, inside, depth),
            Expr::Call(call) => self.call(call, inside, depth),
            Expr::List(list) => self.literals(&list.elements, depth),
            Expr::Map(_) | Expr::Struct(_) => Err(CelError::Builds("{…}")),
            Expr::Comprehension(of) => {
                if inside.is_some() {
                    return Err(CelError::NestedLoop);
                }
                self.comprehension(of, depth)
            }
        }
    }

    fn name(&mut self, name: &str, inside: Option<&Loop<'_>>) -> Result<(), CelError> {
        if let Some(inside) = inside {
            if inside.variables.contains(&name) {
                return Ok(());
            }
            if inside.is_map {
                return Err(CelError::CopyingMap);
            }
        }
        if !VARIABLES.contains(&name) {
            return Err(CelError::Variable(name.to_owned()));
        }
        self.cost.names_whole(inside.is_some());
        Ok(())
    }

    /// A list may be written out, of texts and numbers: for `in`.
    fn literals(&mut self, elements: &[IdedExpr], depth: usize) -> Result<(), CelError> {
        for element in elements {
            if !matches!(element.expr, Expr::Literal(_)) {
                return Err(CelError::Builds("[…] of anything but literals"));
            }
            self.node(element, None, depth)?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: &CallExpr,
        inside: Option<&Loop<'_>>,
        depth: usize,
    ) -> Result<(), CelError> {
        match call.func_name.as_str() {
            operators::CONDITIONAL
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NEGATE
            | operators::INDEX
            | operators::NOT_STRICTLY_FALSE => {}
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::IN => self.cost.looks_at_all(inside.is_some()),
            operators::ADD => return Err(CelError::Builds("+")),
            operators::SUBSTRACT => return Err(CelError::Builds("-")),
            operators::MULTIPLY => return Err(CelError::Builds("*")),
            operators::DIVIDE => return Err(CelError::Builds("/")),
            operators::MODULO => return Err(CelError::Builds("%")),
            "matches" => {
                Self::pattern(call)?;
                self.cost.compiles(inside.is_some());
                self.cost.looks_at_all(inside.is_some());
            }
            name if FUNCTIONS.contains(&name) => self.cost.looks_at_all(inside.is_some()),
            other => return Err(CelError::Function(other.to_owned())),
        }
        if let Some(target) = &call.target {
            self.node(target, inside, depth)?;
        }
        call.args
            .iter()
            .try_for_each(|argument| self.node(argument, inside, depth))
    }

    fn pattern(call: &CallExpr) -> Result<(), CelError> {
        let Some(Expr::Literal(LiteralValue::String(text))) =
            call.args.last().map(|last| &last.expr)
        else {
            return Err(CelError::Pattern);
        };
        regex::RegexBuilder::new(text.inner())
            .size_limit(MAX_REGEX)
            .build()
            .map(|_| ())
            .map_err(|error| CelError::Regex(error.to_string()))
    }

    /// As the parser expands a loop: what of it the author wrote is the range, and the condition or the element in the
    /// step. The accumulator cannot be named in an expression.
    fn comprehension(&mut self, of: &ComprehensionExpr, depth: usize) -> Result<(), CelError> {
        self.cost.enter();
        if self.cost.loops() > MAX_LOOPS {
            return Err(CelError::ManyLoops);
        }
        self.node(&of.iter_range, None, depth)?;
        let mut inside = Loop {
            variables: vec![&of.iter_var, &of.accu_var],
            is_map: false,
        };
        inside.variables.extend(of.iter_var2.as_deref());
        match &of.accu_init.expr {
            // `filter` and `map`.
            Expr::List(_) => self.appends(&of.loop_step, &mut inside, depth),
            // `exists_one`: `condition ? @result + 1 : @result`.
            Expr::Literal(LiteralValue::Int(_)) => match &of.loop_step.expr {
                Expr::Call(CallExpr { args, .. }) => args.first().map_or(Ok(()), |condition| {
                    self.node(condition, Some(&inside), depth)
                }),
                _ => Err(CelError::Builds("exists_one")),
            },
            // `all` and `exists`: `@result && condition`.
            _ => self.node(&of.loop_step, Some(&inside), depth),
        }
    }

    /// `@result + [element]`, or `condition ? @result + [element] : @result`.
    fn appends<'a>(
        &mut self,
        step: &'a IdedExpr,
        inside: &mut Loop<'a>,
        depth: usize,
    ) -> Result<(), CelError> {
        let depth = depth.checked_sub(1).ok_or(CelError::TooLarge)?;
        let Expr::Call(call) = &step.expr else {
            return Err(CelError::Builds("map"));
        };
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, then, _]) => {
                self.node(condition, Some(inside), depth)?;
                self.appends(then, inside, depth)
            }
            (operators::ADD, [_, element]) => {
                let Expr::List(list) = &element.expr else {
                    return Err(CelError::Builds("map"));
                };
                inside.is_map = true;
                list.elements
                    .iter()
                    .try_for_each(|element| self.node(element, Some(inside), depth))
            }
            _ => Err(CelError::Builds("map")),
        }
    }
}
