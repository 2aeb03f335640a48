//! Times one training step of each net with every library, in one run, and prints a table.
//!
//! The loss and the first gradient of every library must agree with the hand-written ones, which are
//! checked against central differences, and the loss must fall; else it gets no time.
//!
//! `nets [net ...]` restricts the rows. For `frameworks.py`, `nets --data DIR` writes the problems and
//! `nets --serve` takes turns with it.

use std::fmt::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use wengert_peers::nets::suite::{Model, NETS, Net, Problem};
use wengert_peers::nets::{hand, wengert};
use wengert_peers::report::{HAND, Table, Timed, Times, interleaved, time};

/// Time spent on each row, all libraries together.
const BUDGET: Duration = Duration::from_secs(10);
/// The time that a turn should last: long enough, since its first steps find cold caches.
const SAMPLE: Duration = Duration::from_millis(2);
/// The number of steps after which the loss must have fallen, to about the same number with every library.
const STEPS: u32 = 50;

type Make = fn(&Rc<Problem>) -> Box<dyn Model>;

const LIBRARIES: &[(&str, Make)] = &[
    (HAND, hand::model),
    ("wengert", wengert::plain),
    ("wengert best", wengert::best),
    #[cfg(feature = "candle")]
    ("candle", wengert_peers::nets::candle::model),
    #[cfg(feature = "burn")]
    ("burn flex", wengert_peers::nets::burn::flex),
    #[cfg(feature = "burn")]
    ("burn ndarray", wengert_peers::nets::burn::ndarray),
    #[cfg(feature = "dfdx")]
    ("dfdx", wengert_peers::nets::dfdx::model),
];

fn main() -> std::io::Result<()> {
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, directory] = &arguments[..]
        && flag == "--data"
    {
        return write_data(Path::new(directory));
    }
    if arguments == ["--serve"] {
        return serve();
    }
    if let Some(unknown) = arguments.iter().find(|a| NETS.iter().all(|net| net.name != **a)) {
        eprintln!("no net `{unknown}`; there are {}", NETS.map(|net| net.name).join(", "));
        std::process::exit(2);
    }
    println!("Microseconds for one training step.\n");
    let wanted = |net: &&Net| arguments.is_empty() || arguments.iter().any(|a| *a == net.name);
    let libraries: Vec<_> = LIBRARIES.iter().map(|(library, _)| *library).collect();
    let mut table = Table::new("net", &libraries, 1e3);
    for net in NETS.iter().filter(wanted) {
        table.push(format!("{}: {}", net.name, net.about), measure(net));
    }
    table.print_ratios();
    Ok(())
}

fn measure(net: &'static Net) -> Times {
    let mut times: Times = LIBRARIES.iter().map(|(library, _)| (*library, None)).collect();
    for (library, median) in interleaved(contestants(net), BUDGET, SAMPLE) {
        let place = times.iter_mut().find(|(name, _)| *name == library);
        place.expect("one of the libraries").1 = Some(median);
    }
    times
}

/// The libraries that train the net as the hand-written code does.
fn contestants(net: &'static Net) -> Vec<Timed> {
    let problem = Rc::new(net.problem());
    let reference = Course::of(&mut *hand::model(&problem));
    reference.check_differences(&problem);
    let mut timed: Vec<Timed> = vec![];
    for (library, make) in LIBRARIES {
        let mut model = make(&problem);
        if let Err(why) = Course::of(&mut *model).agrees(&reference) {
            eprintln!("{library}, {}: {why}", net.name);
            continue;
        }
        let run = move |reps| {
            model.reset();
            model.step(); // brings the memory that the library keeps between steps back into the cache
            time(|| (0..reps).for_each(|_| model.step()))
        };
        timed.push((library, Box::new(run)));
    }
    timed
}

/// Prints a line of all libraries, then answers lines of stdin: a net's name with the libraries that are right on the
/// net, `library<tab>steps` with the nanoseconds of these steps. Names are separated by tabs.
fn serve() -> std::io::Result<()> {
    let line = |names: Vec<&str>| println!("{}", names.join("\t"));
    line(LIBRARIES.iter().map(|(library, _)| *library).collect());
    let mut timed: Vec<Timed> = vec![];
    for request in std::io::stdin().lines() {
        let request = request?;
        if let Some((library, steps)) = request.split_once('\t') {
            let run = timed.iter_mut().find(|(name, _)| *name == library).map(|(_, run)| run);
            let (run, steps) = run.zip(steps.parse().ok()).expect("a library of the last answer, a number");
            println!("{}", run(steps).as_nanos());
        } else {
            timed = contestants(NETS.iter().find(|net| net.name == request).expect("a net's name"));
            line(timed.iter().map(|(library, _)| *library).collect());
        }
    }
    Ok(())
}

/// The course of a training.
struct Course {
    /// The loss at the initial weights and after [`STEPS`] steps.
    losses: [f32; 2],
    /// The gradient at the initial weights.
    gradient: Vec<f32>,
}

impl Course {
    fn of(model: &mut dyn Model) -> Self {
        let (first, gradient) = model.gradient();
        for _ in 0..STEPS {
            model.step();
        }
        let (last, _) = model.gradient();
        model.reset();
        Self { losses: [first, last], gradient }
    }

    fn agrees(&self, reference: &Self) -> Result<(), String> {
        let [first, last] = self.losses;
        if !(last < first) {
            return Err(format!("the loss goes from {first} to {last}"));
        }
        for (ours, right) in self.losses.iter().zip(reference.losses) {
            // An optimiser's steps amplify roundings.
            if !((ours - right).abs() <= 1e-3 * right.abs()) {
                return Err(format!("losses {:?}, not {:?}", self.losses, reference.losses));
            }
        }
        let largest = reference.gradient.iter().fold(0.0, |m: f32, g| m.max(g.abs()));
        let wrong = |(ours, right): (&f32, &f32)| !((ours - right).abs() <= 1e-4 * right.abs() + 1e-5 * largest);
        if self.gradient.len() != reference.gradient.len() {
            return Err(format!("{} partials, not {}", self.gradient.len(), reference.gradient.len()));
        }
        match self.gradient.iter().zip(&reference.gradient).position(|pair| wrong(pair)) {
            Some(i) => Err(format!("g[{i}] = {}, not {}", self.gradient[i], reference.gradient[i])),
            None => Ok(()),
        }
    }

    /// Checks the gradient against central differences of the loss along the gradient, and along a direction through
    /// all weights in which no error cancels.
    fn check_differences(&self, problem: &Problem) {
        let gradient: Vec<_> = self.gradient.iter().map(|g| f64::from(*g)).collect();
        let weights: Vec<_> = problem.weights.iter().map(|w| f64::from(*w)).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norm = |a: &[f64]| dot(a, a).sqrt();
        let wave: Vec<_> = (0..weights.len()).map(|i| (1.0 + i as f64).sin()).collect();
        for direction in [&gradient, &wave] {
            const LENGTH: f64 = 1e-5;
            let at = |step: f64| {
                let step = step / norm(direction);
                loss(problem, &weights.iter().zip(direction).map(|(w, d)| w + step * d).collect::<Vec<_>>())
            };
            let slope = (at(LENGTH) - at(-LENGTH)) / (2.0 * LENGTH);
            let error = (slope - dot(&gradient, direction) / norm(direction)).abs();
            assert!(
                error <= 1e-4 * norm(&gradient),
                "{}: the gradient is {error} off a slope of {slope}",
                problem.net.name
            );
        }
    }
}

/// The loss in `f64`, by its definition.
fn loss(problem: &Problem, weights: &[f64]) -> f64 {
    use wengert_peers::nets::suite::{Activation, Loss};
    let net = problem.net;
    let (mut h, mut rest): (Vec<f64>, _) = (problem.x.iter().map(|x| f64::from(*x)).collect(), weights);
    for (l, (n, m)) in net.layers().enumerate() {
        let (w, b);
        (w, rest) = rest.split_at(n * m);
        (b, rest) = rest.split_at(m);
        let mut next = b.repeat(net.batch);
        for (next, h) in next.chunks_exact_mut(m).zip(h.chunks_exact(n)) {
            for (h, w) in h.iter().zip(w.chunks_exact(m)) {
                next.iter_mut().zip(w).for_each(|(next, w)| *next += h * w);
            }
        }
        if l + 1 < net.layers().len() {
            next.iter_mut().for_each(|x| {
                *x = match net.activation {
                    Activation::Tanh => x.tanh(),
                    Activation::Relu => x.max(0.0),
                }
            });
        }
        h = next;
    }
    let total = match net.loss {
        Loss::Mse => h.iter().zip(&problem.y).map(|(h, y)| (h - f64::from(*y)).powi(2)).sum(),
        Loss::CrossEntropy => {
            let rows = h.chunks_exact(net.outputs()).zip(&problem.labels);
            rows.map(|(h, &label)| h.iter().map(|h| h.exp()).sum::<f64>().ln() - h[label as usize]).sum::<f64>()
        }
    };
    let count = if net.loss == Loss::Mse { h.len() } else { net.batch };
    total / count as f64
}

/// `nets.json` and, for each net, x, y, labels and weights as 32-bit floats one after the other.
fn write_data(directory: &Path) -> std::io::Result<()> {
    use wengert_peers::nets::suite::{ADAM_RATE, BETAS, EPSILON, SGD_RATE};
    std::fs::create_dir_all(directory)?;
    let mut json = format!(
        "{{\"steps\": {STEPS}, \"sgd_rate\": {SGD_RATE}, \"adam_rate\": {ADAM_RATE}, \"beta1\": {}, \"beta2\": {}, \"epsilon\": {EPSILON:e},\n\"nets\": [\n",
        BETAS.0, BETAS.1
    );
    for (i, net) in NETS.iter().enumerate() {
        let problem = net.problem();
        let Net { name, about, sizes, batch, activation, loss, optimizer } = net;
        let comma = if i == 0 { "" } else { ",\n" };
        write!(
            json,
            "{comma}{{\"name\": \"{name}\", \"about\": \"{about}\", \"sizes\": {sizes:?}, \"batch\": {batch}, \"activation\": \"{activation:?}\", \
             \"loss\": \"{loss:?}\", \"optimizer\": \"{optimizer:?}\"}}"
        )
        .expect("a string takes it");
        let labels = problem.labels.iter().map(|&label| label as f32).collect::<Vec<_>>();
        let numbers = [&problem.x, &problem.y, &labels, &problem.weights].into_iter().flatten();
        let bytes = numbers.flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        std::fs::write(directory.join(format!("{name}.f32")), bytes)?;
    }
    std::fs::write(directory.join("nets.json"), json + "\n]}\n")
}
