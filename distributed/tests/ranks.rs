//! Several ranks under `mpirun`. Each test starts itself again as the ranks, which run its job.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, thread};

use wengert::data::part;
use wengert::ndarray::{Array1, Array2, Ix2, array, s};
use wengert::nn::{BatchNorm, Mode};
use wengert::rand::{SeedableRng, rngs::StdRng};
use wengert::{Adam, Optimizer, Parallel, Params, ParamsOn, Sgd, Tape, Var, init};
use wengert_mpi::mpi::topology::Color;
use wengert_mpi::mpi::traits::Communicator;
use wengert_mpi::{Number, Ranks, RanksError};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Set in the processes that are ranks.
const ON_A_RANK: &str = "WENGERT_TEST_ON_A_RANK";

/// One run at a time: the ranks of several would wait for processors.
fn alone() -> MutexGuard<'static, ()> {
    static RUN: Mutex<()> = Mutex::new(());
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `mpirun` on a machine of any number of cores, and by any user. It ends ranks that wait for ever.
fn mpirun(ranks: usize, program: &Path, folder: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--timeout", "200", "-n", &ranks.to_string()])
        .arg(program)
        .envs(["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"].map(|name| (name, "1")))
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .env("RAYON_NUM_THREADS", "2")
        .current_dir(folder);
    command
}

/// The output of the ranks, and whether all of them succeeded.
struct Run {
    success: bool,
    text: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Self { success: output.status.success(), text }
    }

    #[track_caller]
    fn succeeded(&self) {
        assert!(self.success, "{}", self.text);
    }

    /// The ranks failed, and printed these lines.
    #[track_caller]
    fn failed_with(&self, lines: &[&str]) {
        assert!(!self.success, "{}", self.text);
        for line in lines {
            assert!(self.text.contains(line), "{line:?} is missing in\n{}", self.text);
        }
    }
}

/// Runs a job on several ranks: this test again, in processes of their own. A test has one job.
fn on_ranks(ranks: usize, job: impl FnOnce(&mut Ranks) -> Result) -> Run {
    if std::env::var_os(ON_A_RANK).is_some() {
        let failed = wengert_mpi::run(job) != ExitCode::SUCCESS;
        std::process::exit(failed.into());
    }
    let _alone = alone();
    // The harness names the thread of a test after the test.
    let test = thread::current().name().expect("the thread of a test").to_owned();
    let mut command = mpirun(ranks, &std::env::current_exe().expect("a path"), Path::new("."));
    let output = command.args([&test, "--exact", "--nocapture"]).env(ON_A_RANK, "1").output();
    Run::of(output.expect("`mpirun` is installed"))
}

/// A folder for files, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wengert-mpi-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Numbers of rank `rank` whose sums are rounded, so that the order of a sum is seen.
fn numbers<F: Number>(rank: usize, len: usize) -> Vec<F> {
    (0..len).map(|i| F::lit(((7 * i + 13 * rank) as f64 * 0.73).sin() * 10_f64.powi((i + rank) as i32 % 5))).collect()
}

/// Means and sums against plain loops in the order of the ranks, bit for bit.
fn check_means<F: Number>(ranks: &mut Ranks) -> Result {
    let (rank, size) = (ranks.rank(), ranks.size());
    for len in [0, 1, 2, 3, 5, 1000, 4099] {
        // The last case has ranks without rows, whose loss and gradient are not read.
        for rows_of in [|_| 3, |rank| rank + 1, |rank| [0, 5, 0, 2, 0][(rank + 1) % 5]] {
            let rows: Vec<usize> = (0..size).map(rows_of).collect();
            let all: usize = rows.iter().sum();
            let used: Vec<usize> = (0..size).filter(|&rank| rows[rank] > 0).collect();
            let share = |rank: usize| F::lit(rows[rank] as f64 / all as f64);
            let mean = |terms: &dyn Fn(usize) -> F| {
                used[1..].iter().fold(share(used[0]) * terms(used[0]), |sum, &rank| sum + share(rank) * terms(rank))
            };
            let all_numbers: Vec<Vec<F>> = (0..size).map(|rank| numbers(rank, len)).collect();
            let expected: Vec<F> = (0..len).map(|i| mean(&|rank| all_numbers[rank][i])).collect();
            let loss_of = |rank: usize| F::lit(0.1) + F::lit(rank as f64);
            let mut own = if rows[rank] > 0 { numbers(rank, len) } else { vec![F::nan(); len] };
            let own_loss = if rows[rank] > 0 { loss_of(rank) } else { F::nan() };
            let loss = ranks.mean(own_loss, &mut own, rows[rank])?;
            assert_eq!((own, loss), (expected, mean(&loss_of)), "{len} numbers, rows {rows:?}");
        }
        let mut own = numbers::<F>(rank, len);
        ranks.sum(&mut own)?;
        let others: Vec<Vec<F>> = (1..size).map(|rank| numbers(rank, len)).collect();
        let add = |sum: Vec<F>, other: &Vec<F>| sum.iter().zip(other).map(|(&x, &y)| x + y).collect();
        assert_eq!(own, others.iter().fold(numbers(0, len), add));
    }
    // Numbers that are not finite reach every rank.
    let mut own = [if rank + 1 == size { F::nan() } else { F::one() }, F::infinity()];
    let loss = ranks.mean(F::infinity(), &mut own, 1)?;
    assert!(own[0].is_nan() && own[1] == F::infinity() && loss == F::infinity());
    Ok(())
}

#[test]
fn means_are_taken_in_the_order_of_the_ranks() {
    for ranks in [1, 2, 3, 4] {
        on_ranks(ranks, |ranks| {
            check_means::<f32>(ranks)?;
            check_means::<f64>(ranks)
        })
        .succeeded();
    }
}

/// A small network and its examples.
struct Net {
    x: Array2<f64>,
    labels: Vec<usize>,
    params: Params<f64>,
}

impl Net {
    fn new() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let x = init::normal((50, 12), 0.0, 1.0, &mut rng);
        let mut params = Params::new();
        params.add("w1", init::he_uniform((12, 30), &mut rng));
        params.add("w2", init::he_uniform((30, 5), &mut rng));
        Self { x, labels: (0..50).map(|i| i * i % 5).collect(), params }
    }

    fn loss<'t>(&'t self, p: ParamsOn<'t, '_>, rows: std::ops::Range<usize>) -> Var<'t> {
        let [w1, w2] = ["w1", "w2"].map(|name| self.params.by_name::<Ix2>(name).expect("it was added"));
        let x = p.constant(self.x.slice(s![rows.clone(), ..]));
        x.dot(p.get(w1)).relu().dot(p.get(w2)).softmax_cross_entropy(&self.labels[rows])
    }
}

/// A rank is what a part is in `Parallel`, bit for bit; threads within ranks change the rounding alone.
#[test]
fn ranks_are_the_parts_of_a_batch() {
    for ranks in [1, 2, 4] {
        on_ranks(ranks, |ranks| {
            let net = &Net::new();
            let (mut tape, mut parallel, mut parts) = (Tape::new(), Parallel::new(3), Parallel::new(ranks.size()));
            // The last batches leave ranks without examples.
            for len in [50, 49, 7, 3, 1] {
                let (loss, expected) = parts.value_and_grad(&net.params, len, |p, rows| net.loss(p, rows));
                let own = part(len, ranks.size(), ranks.rank());
                let (first, rows) = (own.start, own.len());
                let (mean, grad) = ranks.value_and_grad(&mut tape, &net.params, rows, |p| net.loss(p, own))?;
                assert_eq!((mean, &grad[..]), (loss, &expected[..]), "{len} examples");
                // The gradient knows its model.
                Sgd::new(0.1).step(&mut net.params.clone(), grad);
                let (mean, grad) = ranks.value_and_grad_on_threads(&mut parallel, &net.params, rows, |p, rows| {
                    net.loss(p, first + rows.start..first + rows.end)
                })?;
                assert!((mean - loss).abs() < 1e-14);
                assert!(grad.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14));
            }
            Ok(())
        })
        .succeeded();
    }
}

/// Rank 0's numbers reach every rank, and all go on alike.
#[test]
fn rank_0_is_taken_over() {
    for ranks in [1, 3] {
        on_ranks(ranks, |ranks| {
            let rank = ranks.rank();
            let build = |start: f64| {
                let mut params = Params::new();
                params.add("w", array![[start, 1.0], [2.0, 3.0]]);
                params.add_buffer("mean", array![start]);
                (params, Adam::new(0.1 * (start + 1.0)))
            };
            let (mut expected, mut adam_0) = build(0.0);
            let grad = [0.5, -0.25, 1.0, 2.0];
            for steps in [0, 2] {
                let (mut params, mut adam) = build(rank as f64);
                // Rank 0 alone has taken steps; afterwards each has taken another number of them.
                for _ in 0..if rank == 0 { steps } else { rank + 1 } {
                    adam.step(&mut params, &grad);
                }
                ranks.broadcast(&mut params)?;
                ranks.broadcast_optimizer(&mut adam, &params)?;
                for _ in 0..steps {
                    adam_0.step(&mut expected, &grad);
                }
                assert_eq!((params.state(), adam.lr), (expected.state(), 0.1));
                assert_eq!(adam.state(), adam_0.state());
                adam.step(&mut params, &grad);
                let mut next = expected.clone();
                adam_0.clone().step(&mut next, &grad);
                assert_eq!(params.state(), next.state());
                ranks.check_sum(&params)?;
                // A mutable borrow of the optimiser as a trait object is one too.
                let dynamic: &mut dyn Optimizer<f64> = &mut adam;
                ranks.broadcast_optimizer(dynamic, &params)?;
            }
            let mut numbers = [rank as f32, 7.0];
            ranks.broadcast_numbers(&mut numbers)?;
            assert_eq!(numbers, [0.0, 7.0]);
            Ok(())
        })
        .succeeded();
    }
}

/// Ranks with other models, or numbers of other lengths, get an error, the same on every rank, and may go on.
#[test]
fn unequal_ranks_are_an_error_on_every_rank() {
    on_ranks(3, |ranks| {
        let rank = ranks.rank();
        let odd = rank == 2;
        let mut build = |change: fn(&mut Params<f64>)| {
            let mut params = Params::new();
            params.add("w", Array2::<f64>::zeros((2, 3)));
            if odd {
                change(&mut params);
            } else {
                params.add("b", Array1::zeros(3));
            }
            let before = params.state().to_vec();
            let error = ranks.broadcast(&mut params).expect_err("another model");
            assert_eq!(params.state(), before);
            error.to_string()
        };
        let message = |found: &str, expected: &str| {
            format!(
                "rank 2 has {found} where rank 0 has {expected}; build the same parameters and optimizer on every rank"
            )
        };
        let b = r#"weight "b" of shape [3], f64"#;
        let shape = build(|params| _ = params.add("b", Array1::zeros(4)));
        assert_eq!(shape, message(r#"weight "b" of shape [4], f64"#, b));
        let name = build(|params| _ = params.add("c", Array1::zeros(3)));
        assert_eq!(name, message(r#"weight "c" of shape [3], f64"#, b));
        assert_eq!(build(|_| ()), message("nothing more", b));
        let more = build(|params| {
            params.add("b", Array1::zeros(3));
            params.add_buffer("c", Array1::zeros(1));
        });
        assert_eq!(more, message(r#"buffer "c" of shape [1], f64"#, "nothing more"));
        let kind = build(|params| _ = params.add_buffer("b", Array1::zeros(3)));
        assert_eq!(kind, message(r#"buffer "b" of shape [3], f64"#, b));
        let frozen = build(|params| {
            params.add("b", Array1::zeros(3));
            params.group("b").freeze();
        });
        assert_eq!(frozen, message(&format!("{b}, frozen"), b));

        let mut params = Params::<f64>::new();
        params.add("w", array![1.0]);
        let mut optimizer: Box<dyn Optimizer<f64>> =
            if odd { Box::new(Sgd::new(0.1)) } else { Box::new(Adam::new(0.1)) };
        let error = ranks.broadcast_optimizer(&mut optimizer, &params);
        assert_eq!(error.unwrap_err().to_string(), message("optimizer Sgd", "optimizer Adam"));

        let mut own = vec![1.0; if odd { 4 } else { 3 }];
        let error = ranks.mean(0.0, &mut own, 1).unwrap_err();
        let lengths = "the ranks differ in the length or type of numbers: 2 of 3 ranks (0, 1) with 3 numbers of f64; \
                       rank 2 with 4 numbers of f64";
        assert_eq!(error.to_string(), lengths);
        assert!(own.iter().all(|&x| x == 1.0));
        let error = if odd { ranks.sum(&mut [1.0_f32]) } else { ranks.sum(&mut [1.0_f64]) };
        assert!(error.unwrap_err().to_string().ends_with("with 1 numbers of f64; rank 2 with 1 numbers of f32"));
        assert_eq!(ranks.mean(0.0, &mut [1.0], 0), Err(RanksError::NoRows));

        params.values_mut()[0] = rank as f64 / 2.0;
        let error = ranks.check_sum(&params).unwrap_err().to_string();
        // By Python: the FNV-1a of eight bytes of 0.0, 0.5 and 1.0.
        for sum in ["rank 0 with a8c7f832281a39c5", "rank 1 with aae7e93229e886a8", "rank 2 with aab1693229ba1db8"] {
            assert!(error.contains(sum), "{error}");
        }
        Ok(())
    })
    .succeeded();
}

#[test]
fn a_rank_that_takes_fewer_steps_is_named() {
    on_ranks(3, |ranks| {
        for _ in 0..if ranks.rank() == 1 { 3 } else { 4 } {
            ranks.mean(0.0, &mut [1.0, 2.0], 1)?;
        }
        Ok(())
    })
    .failed_with(&[
        "rank 0 of 3: the ranks have gone apart: 2 of 3 ranks (0, 2) in a mean; rank 1 ended",
        "rank 2 of 3: the ranks have gone apart",
    ]);
}

#[test]
fn an_error_of_one_rank_reaches_the_others() {
    on_ranks(2, |ranks| {
        ranks.sum(&mut [1.0])?;
        if ranks.rank() == 1 {
            return Err("the data are missing".into());
        }
        let error = ranks.sum(&mut [1.0]).unwrap_err();
        // Once apart, for ever: a second call waits for nobody.
        assert_eq!(ranks.sum(&mut [1.0]), Err(error.clone()));
        Err(error.into())
    })
    .failed_with(&[
        "rank 1 of 2: the data are missing",
        "rank 0 of 2: the ranks have gone apart: rank 0 in a sum; rank 1 ended by an error",
    ]);
}

#[test]
fn a_panic_of_one_rank_reaches_the_others() {
    on_ranks(2, |ranks| {
        assert!(ranks.rank() == 1, "this rank fails");
        ranks.broadcast(&mut Params::<f32>::new())?;
        Ok(())
    })
    .failed_with(&[
        "this rank fails",
        "rank 1 of 2: the ranks have gone apart: rank 0 ended by a panic; rank 1 in a broadcast of parameters",
    ]);
}

#[test]
fn a_task_of_rank_0_fails_on_every_rank() {
    on_ranks(2, |ranks| {
        let mut params = Params::new();
        params.add("w", array![1.0]);
        let mut calls = 0;
        ranks.once(|| {
            calls += 1;
            Ok::<_, String>(())
        })?;
        assert_eq!(calls, usize::from(ranks.rank() == 0));
        let error = ranks.once(|| params.save("/no such folder/file")).unwrap_err();
        assert!(error.to_string().starts_with("on rank 0: /no such folder/file: "), "{error}");
        // The ranks are still together, until the task panics.
        ranks.sum(&mut [1.0])?;
        ranks.once(|| -> std::result::Result<(), String> { panic!("in the task") })?;
        Ok(())
    })
    .failed_with(&[
        "in the task",
        "rank 1 of 2: the ranks have gone apart: rank 0 ended by a panic; rank 1 in a task of rank 0",
    ]);
}

/// Running statistics are means over ranks; each rank has a seed of its own.
#[test]
fn buffers_and_seeds() {
    on_ranks(4, |ranks| {
        let (rank, size) = (ranks.rank(), ranks.size());
        let mut params = Params::<f64>::new();
        let norm = BatchNorm::new(&mut params, "norm", 2);
        let data = |rank: usize| Array2::from_shape_fn((8, 2), |(i, j)| ((3 * i + 5 * j + 7 * rank) as f64).sin());
        let (mut tape, mut mode, x) = (Tape::new(), Mode::train(ranks.seed(3)), data(rank));
        let _ = tape.value_and_grad(&params, |p| norm.forward(p, p.constant(&x), &mut mode).sum());
        mode.update_buffers(&mut params);
        ranks.mean_buffers(&mut params)?;
        // The first update is 0.9 of 0 and 1, and a tenth of the batch's mean and unbiased variance.
        for j in 0..2 {
            let columns: Vec<Vec<f64>> = (0..size).map(|rank| data(rank).column(j).to_vec()).collect();
            let mean = |x: &Vec<f64>| x.iter().sum::<f64>() / 8.0;
            let variance = |x: &Vec<f64>| x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>() / 7.0;
            let over = |f: &dyn Fn(&Vec<f64>) -> f64| columns.iter().map(f).sum::<f64>() / size as f64;
            assert!((params.view(norm.running_mean)[j] - 0.1 * over(&mean)).abs() < 1e-15);
            assert!((params.view(norm.running_var)[j] - 0.9 - 0.1 * over(&variance)).abs() < 1e-15);
        }
        ranks.check_sum(&params)?;

        let mut seeds = vec![0.0; size];
        seeds[rank] = ranks.seed(3) as f64;
        ranks.sum(&mut seeds)?;
        assert_eq!(seeds[0], 3.0);
        assert!((0..size).all(|i| (0..i).all(|j| seeds[i] != seeds[j])), "{seeds:?}");
        Ok(())
    })
    .succeeded();
}

/// Groups of ranks, on communicators of the program's own.
#[test]
fn a_part_of_all_ranks() {
    on_ranks(4, |ranks| {
        let world = wengert_mpi::mpi::topology::SimpleCommunicator::world();
        let half = world.split_by_color(Color::with_value((ranks.rank() % 2) as i32)).expect("every rank has a color");
        let mut group = Ranks::over(&half);
        let mut numbers = [ranks.rank() as f64];
        group.sum(&mut numbers)?;
        assert_eq!((group.size(), numbers), (2, [if ranks.rank() % 2 == 0 { 2.0 } else { 4.0 }]));
        assert_eq!(group.rank(), ranks.rank() / 2);
        drop(group);
        assert!(Ranks::start().is_err_and(|error| error.to_string().contains("it was started before")));
        Ok(())
    })
    .succeeded();
}

/// The example's program, which cargo builds with the tests.
fn example(ranks: usize, epochs: usize, folder: &Path) -> Command {
    let test = std::env::current_exe().expect("a path");
    let target = test.ancestors().nth(2).expect("the folder of the profile");
    let program = target.join("examples/distributed");
    assert!(program.exists(), "`cargo test` builds the example; `cargo test --test ranks` does not");
    let mut command = mpirun(ranks, &program, folder);
    command.arg(epochs.to_string());
    command
}

/// The weights of a finished run.
fn weights(folder: &Folder) -> Vec<f64> {
    let file =
        wengert::save::Reader::open(folder.0.join("target/distributed/weights.safetensors")).expect("a whole file");
    let mut params = Params::<f64>::new();
    for (name, shape) in [("hidden", [64, 96]), ("out", [96, 10])] {
        params.add(format!("{name}.weight"), Array2::zeros(shape));
        params.add(format!("{name}.bias"), Array1::zeros(shape[1]));
    }
    file.load(&mut params).expect("the example's weights");
    params.values().to_vec()
}

#[test]
fn the_number_of_ranks_changes_only_rounding() {
    let _alone = alone();
    let run = |ranks| {
        let folder = Folder::new(&format!("rounding-{ranks}"));
        let run = Run::of(example(ranks, 1, &folder.0).output().expect("`mpirun` is installed"));
        run.succeeded();
        let lines = run.text.lines().filter(|line| line.contains("check sum")).map(str::to_owned);
        (lines.collect::<Vec<_>>(), weights(&folder))
    };
    let (_, one) = run(1);
    for ranks in [2, 4] {
        let (lines, several) = run(ranks);
        assert_eq!(lines.len(), 1);
        assert_eq!(run(ranks), (lines, several.clone()), "bit for bit the same");
        let largest = one.iter().zip(&several).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(largest > 0.0 && largest < 1e-9, "{ranks} ranks: {largest:e}");
    }
}

/// A rank is killed. The other says so, and the last file is whole: the run goes on from it to the weights of a run that
/// nobody killed.
#[test]
fn a_killed_run_is_resumed() {
    const EPOCHS: usize = 4;
    let _alone = alone();
    let (whole, killed) = (Folder::new("whole"), Folder::new("killed"));
    Run::of(example(2, EPOCHS, &whole.0).output().expect("`mpirun` is installed")).succeeded();

    let mut command = example(2, EPOCHS, &killed.0);
    let mut child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut process = None;
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        if let Some((_, rest)) = line.split_once("rank 1 of 2: process ") {
            process = rest.split_once(',').map(|(process, _)| process.to_owned());
        }
        if line.starts_with("epoch  2") {
            let process = process.take().expect("ranks print their process first");
            assert!(Command::new("kill").args(["-9", &process]).status().expect("kill").success());
        }
    }
    let run = Run::of(child.wait_with_output().expect("it ends"));
    run.failed_with(&["rank 0 of 2: ended by SIGTERM", "Another rank has died", "exited on signal 9 (Killed)"]);

    let resumed = Run::of(example(2, EPOCHS, &killed.0).output().expect("`mpirun` is installed"));
    resumed.succeeded();
    assert!(resumed.text.contains("goes on after step"), "{}", resumed.text);
    assert!(!resumed.text.contains("epoch  2"), "{}", resumed.text);
    assert_eq!(weights(&killed), weights(&whole));
}
