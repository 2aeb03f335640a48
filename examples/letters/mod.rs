//! Code that the examples `names` and `names_gpt` share: names as codes of letters, the count model to beat, the
//! journal of a training, and drawing new names. The training loops are in the examples, each whole for readers who
//! copy one.

use std::error::Error;
use std::ops::Range;
use std::time::Instant;

use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wengert::data::train_test_split;
use wengert::watch::{History, Progress};

const NAMES: &str = include_str!("../data/names.txt");
const VALIDATION: usize = 500;

/// The number of codes: [`END`], and 1 to 26 for a to z.
pub(crate) const LETTERS: usize = 27;
/// The code before and after a name.
pub(crate) const END: usize = 0;
/// The length of the longest name.
pub(crate) const LONGEST: usize = 11;

/// Names as codes, without [`END`].
pub(crate) type Names = Vec<Vec<usize>>;

/// The names to learn from and the names to validate on, split at random.
pub(crate) fn read(seed: u64) -> (Names, Names) {
    let names: Names = NAMES.lines().map(|name| name.bytes().map(|b| usize::from(b - b'a' + 1)).collect()).collect();
    let (train, validation) = train_test_split(names.len(), VALIDATION, seed);
    let select = |rows: Vec<usize>| rows.iter().map(|&row| names[row].clone()).collect();
    (select(train), select(validation))
}

/// The mean of -ln P(letter | the letter before) in nats on the validation names, ends included, with P from the
/// counts in the training names: (count + 1) / (count of the letter before + 27), Laplace's rule.
pub(crate) fn bigram_loss(train: &Names, validation: &Names) -> f64 {
    let mut counts = [[1.0; LETTERS]; LETTERS];
    for (before, letter) in train.iter().flat_map(|name| pairs(name)) {
        counts[before][letter] += 1.0;
    }
    let nats = |(before, letter): (usize, usize)| -(counts[before][letter] / counts[before].iter().sum::<f64>()).ln();
    let losses: Vec<f64> = validation.iter().flat_map(|name| pairs(name)).map(nats).collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// Each letter of a name, its end included, paired as (letter before, letter).
fn pairs(name: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let before = std::iter::once(END).chain(name.iter().copied());
    before.zip(name.iter().copied().chain([END]))
}

/// The journal of a training: a printed line and a step of the progress bar for each epoch, learning curves, the clock.
pub(crate) struct Journal {
    /// The validation loss of the count model.
    bigram: f64,
    epochs: u64,
    history: History,
    progress: Progress,
    start: Instant,
}

impl Journal {
    pub(crate) fn new(epochs: u64, bigram: f64) -> Self {
        Self {
            bigram,
            epochs,
            history: History::new(),
            progress: Progress::new("epoch", epochs),
            start: Instant::now(),
        }
    }

    /// Notes the mean losses of an epoch in nats a letter, and its learning rate.
    pub(crate) fn epoch(&mut self, epoch: u64, training: f64, validation: f64, rate: f64) {
        self.history.push("training", training);
        self.history.push("validation", validation);
        self.progress.println(format!("epoch {epoch:2}   training {training:.4}   validation {validation:.4}"));
        self.progress.step(training, rate);
    }

    /// Prints the validation loss beside that of the count model, and the time of the training.
    pub(crate) fn finish(&self, model: &str) {
        self.progress.finish();
        let validation = self.history.last("validation").unwrap_or(f64::NAN);
        println!("\nvalidation loss: counts of pairs {:.4}, {model} {validation:.4}", self.bigram);
        println!("{:.1} s of training", self.start.elapsed().as_secs_f64());
    }

    /// Draws the learning curves into a file.
    pub(crate) fn draw(&self, title: &str, nats: Range<f64>, file: &str) -> Result<(), Box<dyn Error>> {
        let chart = self.history.chart(title, "epoch").y_label("nats a letter").y_range(nats);
        let ends = [1.0, self.epochs as f64].map(|epoch| (epoch, self.bigram));
        chart.line("counts of pairs, validation", ends).save(file)?;
        println!("\ndrawn in {file}");
        Ok(())
    }
}

/// Draws names letter by letter; `probabilities` gives those of the next letter after the letters so far.
pub(crate) fn draw(
    count: usize,
    seed: u64,
    mut probabilities: impl FnMut(&[usize]) -> Vec<f32>,
) -> Result<Names, Box<dyn Error>> {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut names = Names::new();
    for _ in 0..count {
        let mut name = Vec::new();
        while name.len() < LONGEST {
            match rng.sample(WeightedIndex::new(probabilities(&name))?) {
                END => break,
                letter => name.push(letter),
            }
        }
        names.push(name);
    }
    Ok(names)
}

/// The names in one line; a star marks a name of the training set.
pub(crate) fn spell(names: &Names, train: &Names) -> String {
    let text = |name: &Vec<usize>| {
        let letters = name.iter().map(|&code| char::from(b'a' + code as u8 - 1));
        letters.chain(train.contains(name).then_some('*')).collect::<String>()
    };
    names.iter().map(text).collect::<Vec<_>>().join("  ")
}
