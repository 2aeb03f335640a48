//! The formula of a recorded function, and the formula of its derivative.
//!
//! The formula of a partial is a recording of the rule itself, run on recorded numbers: there is no second table of
//! derivatives.

use std::rc::Rc;

use crate::recording::expr::{Expr, Kind, simplify};
use crate::recording::{Paths, Recorded, Recorder, Recording, Source, Step, TooManyPaths, explore};

/// The largest number of paths through a function, each of which becomes a case of its formula.
pub(crate) const MAX_PATHS: usize = 64;

/// An adjoint as a list of factors that grows at its end. A chain of n operations has n of them, and a product of each
/// would take n² factors in all.
#[derive(Clone)]
struct Factors(Rc<(Expr, Option<Factors>)>);

impl Factors {
    fn of(e: Expr) -> Self {
        Self(Rc::new((e, None)))
    }

    fn times(&self, e: Expr) -> Self {
        Self(Rc::new((e, Some(self.clone()))))
    }

    fn product(&self) -> Expr {
        let list = std::iter::successors(Some(self), |factors| factors.0.1.as_ref());
        let mut factors: Vec<Expr> = list.map(|factors| factors.0.0.clone()).collect();
        factors.reverse();
        Expr::product(factors)
    }
}

impl Drop for Factors {
    /// Frees the list without recursion.
    fn drop(&mut self) {
        let mut next = Rc::get_mut(&mut self.0).and_then(|(_, next)| next.take());
        while let Some(mut factors) = next {
            next = Rc::get_mut(&mut factors.0).and_then(|(_, next)| next.take());
        }
    }
}

impl Recording {
    /// The derivative of the only output with respect to each input: the reverse sweep, on formulas.
    pub(crate) fn gradient(&self, inputs: &[Expr]) -> Vec<Expr> {
        let output = self.output("formula");
        let (formulas, live) = (self.expressions(inputs), self.live(output));
        let mut contributions: Vec<Vec<Factors>> = vec![Vec::new(); self.steps.len()];
        if let Source::Step(i) = output {
            contributions[i as usize].push(Factors::of(Expr::integer(1)));
        }
        let mut gradient = vec![Expr::integer(0); self.input_count()];
        for (i, step) in self.steps.iter().enumerate().rev().filter(|&(i, _)| live[i]) {
            let adjoint = match &std::mem::take(&mut contributions[i])[..] {
                [single] => single.clone(),
                several => Factors::of(Expr::sum(several.iter().map(Factors::product))),
            };
            if let Step::Input(input) = step {
                gradient[input as usize] = adjoint.product();
                continue;
            }
            let x: Vec<_> = step.operands().iter().map(|&x| self.formula_of(x, &formulas)).collect();
            for (place, operand) in step.operands().iter().enumerate() {
                if let Source::Step(j) = operand {
                    let partial = partial(step, place, &x, &formulas[i]);
                    contributions[*j as usize].push(adjoint.times(partial));
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
    let paths = explore(MAX_PATHS, usize::MAX, |recorder| {
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
        let [a, b] = s.operands.each_ref().map(|x| x.eval(symbol));
        e = if s.test.holds(a, b) { &s.yes } else { &s.no };
    }
    e
}

/// The formula of `f`, a function of the symbols, with a case for each path.
///
/// # Panics
///
/// If a path of `f` does not end: see [`explore`].
#[track_caller]
pub(crate) fn formula(
    symbols: &[Expr],
    names: &[String],
    f: impl for<'r> Fn(&[Recorded<'r>]) -> Recorded<'r>,
) -> Result<Expr, TooManyPaths> {
    let paths = explore(MAX_PATHS, MAX_PATHS, |recorder| f(&inputs(recorder, names)))?;
    Ok(cases(&paths, symbols, &|r| r.formula_of(r.output("formula"), &r.expressions(symbols))))
}

/// The derivative of an expression with respect to one of its symbols.
pub(crate) fn derivative(expr: &Expr, names: &[String], with_respect_to: usize) -> Result<Expr, TooManyPaths> {
    let symbols: Vec<Expr> = names.iter().map(|name| Expr::symbol(name)).collect();
    let paths = explore(MAX_PATHS, usize::MAX, |recorder| {
        let inputs = inputs(recorder, names);
        let symbol = |name: &str| {
            let i = names.iter().position(|n| n == name).expect("every symbol has a name of the formula");
            inputs[i]
        };
        expr.eval(symbol)
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
