//! Libraries of another language, in a process of their own that works on request only: see `cpp/tapes.cpp`.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

/// The process of a program.
pub struct Process {
    libraries: Vec<&'static str>,
    pipes: Rc<RefCell<Pipes>>,
}

struct Pipes {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Pipes {
    fn ask(&mut self, request: impl Display) -> String {
        writeln!(self.input, "{request}").expect("the program reads requests");
        self.answer()
    }

    fn answer(&mut self) -> String {
        self.output.next().expect("the program answers").expect("text")
    }
}

impl Process {
    /// Starts a program, which names its libraries.
    pub fn start(program: String) -> Self {
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut pipes = Pipes { input, output: BufReader::new(output).lines() };
        // For as long as the table lives: to the end.
        let libraries = pipes.answer().leak().split('\t').collect();
        Self { libraries, pipes: Rc::new(RefCell::new(pipes)) }
    }

    pub fn libraries(&self) -> impl Iterator<Item = &'static str> {
        self.libraries.iter().copied()
    }

    /// The libraries that can differentiate a function. Each is called with a number of repetitions, writes the gradient,
    /// and returns the value and the processor time of all repetitions.
    pub fn open(
        &self,
        function: &str,
        x: &[f64],
        data: &[f64],
    ) -> Vec<(&'static str, impl FnMut(u32, &mut [f64]) -> (f64, Duration) + use<>)> {
        let numbers: Vec<_> = x.iter().chain(data).map(ToString::to_string).collect();
        let request = format!("{function} {} {} {}", x.len(), data.len(), numbers.join(" "));
        let able = self.pipes.borrow_mut().ask(request);
        let able = able.split_whitespace().map(|index| index.parse::<usize>().expect("a number"));
        able.map(|index| {
            let pipes = Rc::clone(&self.pipes);
            let run = move |count: u32, gradient: &mut [f64]| {
                let answer = pipes.borrow_mut().ask(format_args!("{index} {count}"));
                let mut numbers = answer.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
                let mut next = || numbers.next().expect("nanoseconds, value and gradient");
                let (nanoseconds, value) = (next(), next());
                gradient.fill_with(next);
                (value, Duration::from_nanos(nanoseconds as u64))
            };
            (self.libraries[index], run)
        })
        .collect()
    }
}
