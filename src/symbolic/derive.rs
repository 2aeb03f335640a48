//! The formula of a recorded function, and the formula of its derivative.
//!
//! The formula of a partial is a recording of the rule itself, run on recorded numbers: there is no second table of
//! derivatives.

use std::collections::HashMap;

use crate::recording::expr::{Expr, Kind, simplify};
use crate::recording::{Paths, Recorded, Recorder, Recording, Source, Step, TooManyPaths, explore};

/// The largest number of paths through a function, each of which becomes a case of its formula.
pub(crate) const MAX_PATHS: usize = 64;

impl Recording {
    /// The derivative of the only output with respect to each input: the reverse sweep, on formulas.
    pub(crate) fn gradient(&self, inputs: &[Expr]) -> Vec<Expr> {
        let output = self.output("formula");
        let (formulas, live) = (self.expressions(inputs), self.live(output));
        let mut contributions: Vec<Vec<Expr>> = vec![Vec::new(); self.steps.len()];
        if let Source::Step(i) = output {
            contributions[i as usize].push(Expr::integer(1));
        }
        let mut gradient = vec![Expr::integer(0); self.inputs.len()];
        for (i, step) in self.steps.iter().enumerate().rev().filter(|&(i, _)| live[i]) {
            let adjoint = Expr::sum(std::mem::take(&mut contributions[i]));
            if let Step::Input(input) = step {
                gradient[*input as usize] = adjoint;
                continue;
            }
            let x: Vec<_> = step.operands().iter().map(|&x| self.formula_of(x, &formulas)).collect();
            for (place, operand) in step.operands().iter().enumerate() {
                if let Source::Step(j) = operand {
                    let partial = partial(*step, place, &x, &formulas[i]);
                    contributions[*j as usize].push(Expr::product([adjoint.clone(), partial]));
                }
            }
        }
        gradient
    }
}

/// The formula of a partial: the rule run on recorded numbers, along every path of the rule.
pub(crate) fn partial(step: Step, place: usize, x: &[Expr], y: &Expr) -> Expr {
    let all: Vec<&Expr> = x.iter().chain([y]).collect();
    let given: Vec<Expr> = all.iter().copied().filter(|e| e.as_number().is_none()).cloned().collect();
    let paths = explore(MAX_PATHS, |recorder| {
        // Operands that are numbers keep their values, so that comparisons between numbers need no cases.
        let number = |e: &&Expr| match e.as_number() {
            Some(n) => Recorded::constant(n.to_f64()),
            None => recorder.nameless_input(),
        };
        let numbers: Vec<_> = all.iter().map(number).collect();
        let (y, x) = numbers.split_last().expect("the result comes last");
        step.partial(place, x, *y)
    });
    let Ok(paths) = paths else { unreachable!("a rule has few branches") };
    cases(&paths, &given, &|recording| {
        recording.formula_of(recording.output("partial"), &recording.expressions(&given))
    })
}

/// The case of a formula that holds at the given values.
pub(crate) fn case_at<'a>(mut e: &'a Expr, symbol: &impl Fn(&str) -> f64) -> &'a Expr {
    while let Kind::Select(s) = e.kind() {
        let [a, b] = s.operands.each_ref().map(|x| x.eval(&mut HashMap::new(), symbol));
        e = if s.test.holds(a, b) { &s.yes } else { &s.no };
    }
    e
}

/// The formula of `f`, a function of the symbols, with a case for each path.
pub(crate) fn formula(
    symbols: &[Expr],
    names: &[String],
    f: impl for<'r> Fn(&[Recorded<'r>]) -> Recorded<'r>,
) -> Result<Expr, TooManyPaths> {
    let paths = explore(MAX_PATHS, |recorder| f(&inputs(recorder, names)))?;
    Ok(cases(&paths, symbols, &|r| r.formula_of(r.output("formula"), &r.expressions(symbols))))
}

/// The derivative of an expression with respect to one of its symbols.
pub(crate) fn derivative(expr: &Expr, names: &[String], with_respect_to: usize) -> Result<Expr, TooManyPaths> {
    let symbols: Vec<Expr> = names.iter().map(|name| Expr::symbol(name)).collect();
    let paths = explore(MAX_PATHS, |recorder| {
        let inputs = inputs(recorder, names);
        let symbol = |name: &str| {
            let i = names.iter().position(|n| n == name).expect("every symbol has a name of the formula");
            inputs[i]
        };
        expr.eval(&mut HashMap::new(), &symbol)
    })?;
    Ok(simplify(&cases(&paths, &symbols, &|r| r.gradient(&symbols)[with_respect_to].clone())))
}

fn inputs<'r>(recorder: &'r Recorder, names: &[String]) -> Vec<Recorded<'r>> {
    names.iter().map(|name| recorder.input(name, f64::NAN)).collect()
}

/// The formulas of all paths, joined into one formula with cases.
fn cases(paths: &Paths, given: &[Expr], of_path: &impl Fn(&Recording) -> Expr) -> Expr {
    match paths {
        Paths::End(recording) => of_path(recording),
        Paths::Fork(fork) => {
            let (recording, comparison, yes, no) = &**fork;
            let formulas = recording.expressions(given);
            let operands = comparison.operands.map(|x| recording.formula_of(x, &formulas));
            Expr::select(comparison.test, operands, cases(yes, given, of_path), cases(no, given, of_path))
        }
    }
}
