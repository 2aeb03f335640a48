//! The training steps of two examples, for `layers.py`.
//!
//! `layers DIRECTORY` writes the nets, their batches, and a training of [`STEPS`] steps without dropout into the
//! directory. It then answers lines of stdin: a net's name with an empty line, a number of steps with the nanoseconds
//! that they took.

use std::fmt::Write;

use wengert_peers::layers::{ROWS, Row, Training};
use wengert_peers::report::time;

/// The number of steps whose weights are compared.
const STEPS: u32 = 10;

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).expect("a directory");
    std::fs::create_dir_all(&directory)?;
    let mut json = format!("{{\"steps\": {STEPS}, \"nets\": [\n");
    for (i, row) in ROWS.iter().enumerate() {
        let mut training = Training::new(row, 0.0); // nothing random: comparable number by number
        let (loss, gradient) = training.gradient();
        (0..STEPS).for_each(|_| training.step());
        let all = |name: &str, numbers: Vec<f32>| (name.into(), vec![numbers.len()], numbers);
        let batch = training.batch();
        let results = [all("loss", vec![loss]), all("gradient", gradient), all("trained", training.weights().to_vec())];
        let arrays: Vec<_> = batch.iter().cloned().chain(results).chain(training.start()).collect();
        let shapes: Vec<_> = arrays.iter().map(|(name, shape, _)| format!("[\"{name}\", {shape:?}]")).collect();
        let (comma, clip) = (if i == 0 { "" } else { ",\n" }, if row.clip.is_finite() { row.clip } else { 0.0 });
        write!(
            json,
            "{comma}{{\"name\": \"{}\", \"about\": \"{}\", \"dropout\": {}, \"rate\": {}, \"decay\": {}, \"clip\": {clip}, \
             \"arrays\": [{}]}}",
            row.name,
            row.about,
            row.dropout,
            row.rate,
            row.decay,
            shapes.join(", ")
        )
        .expect("a string takes it");
        let bytes: Vec<u8> = arrays.iter().flat_map(|(_, _, numbers)| numbers).flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(format!("{directory}/{}.f32", row.name), bytes)?;
    }
    std::fs::write(format!("{directory}/nets.json"), json + "\n]}\n")?;
    println!();
    answer()
}

fn answer() -> std::io::Result<()> {
    let open = |row: &'static Row| Training::new(row, row.dropout);
    let mut training = open(&ROWS[0]);
    for request in std::io::stdin().lines() {
        let request = request?;
        if let Ok(steps) = request.parse::<u32>() {
            training.reset();
            training.step(); // brings the memory that is kept between steps back into the cache
            println!("{}", time(|| (0..steps).for_each(|_| training.step())).as_nanos());
        } else {
            training = open(ROWS.iter().find(|row| row.name == request).expect("a net's name"));
            println!();
        }
    }
    Ok(())
}
