//! What `names` and `names_gpt` share: names as codes of letters, the count model to beat, and drawing a name.

use std::error::Error;

use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use wengert::data::train_test_split;

const NAMES: &str = include_str!("../data/names.txt");
const VALIDATION: usize = 500;

/// a to z are 1 to 26.
pub(crate) const LETTERS: usize = 27;
/// Stands before and after a name.
pub(crate) const END: usize = 0;
/// No name is longer.
pub(crate) const LONGEST: usize = 11;

/// Names as codes, without an end.
pub(crate) type Names = Vec<Vec<usize>>;

/// Names to learn from and names to validate on, at random.
pub(crate) fn read(seed: u64) -> (Names, Names) {
    let names: Names = NAMES.lines().map(|name| name.bytes().map(|b| usize::from(b - b'a' + 1)).collect()).collect();
    let (train, validation) = train_test_split(names.len(), VALIDATION, seed);
    let those = |rows: Vec<usize>| rows.iter().map(|&row| names[row].clone()).collect();
    (those(train), those(validation))
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

/// Each letter with the one before it, from the first to the end.
fn pairs(name: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let before = std::iter::once(END).chain(name.iter().copied());
    before.zip(name.iter().copied().chain([END]))
}

/// Draws names letter by letter, from the probabilities after what there is of the name.
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

/// A line of names; a star marks one that is in the training set.
pub(crate) fn spell(names: &Names, train: &Names) -> String {
    let text = |name: &Vec<usize>| {
        let letters = name.iter().map(|&code| char::from(b'a' + code as u8 - 1));
        letters.chain(train.contains(name).then_some('*')).collect::<String>()
    };
    names.iter().map(text).collect::<Vec<_>>().join("  ")
}
