//! The picture of the examples `digits` and `digits_cnn`: digits that were read wrongly.

use std::error::Error;
use std::path::Path;

use ndarray::Array2;
use plotters::prelude::{BitMapBackend, Color, IntoDrawingArea, RGBColor, Rectangle, WHITE};
use wengert::watch::COLOURS;

/// The digits 0 to 9 as three by five dots, row by row from the highest bit, so that no font is needed.
const GLYPHS: [u16; 10] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_001_001_001,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
];

/// Draws the images that were read wrongly, with the label in blue and the reading in orange below. A row of `images`
/// is an image of 64 numbers in 0..=1.
pub(crate) fn wrong_digits(
    path: &str,
    images: &Array2<f32>,
    labels: &[usize],
    readings: &[usize],
) -> Result<(), Box<dyn Error>> {
    const IN_A_ROW: usize = 8;
    /// The side of an image's pixel, of a glyph's dot, and of an image with the room around it.
    const PIXEL: i32 = 14;
    const DOT: i32 = 5;
    const CELL: (i32, i32) = (140, 164);

    let wrong: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] != readings[i]).collect();
    if let Some(folder) = Path::new(path).parent() {
        std::fs::create_dir_all(folder)?;
    }
    let columns = wrong.len().clamp(1, IN_A_ROW) as u32;
    let rows = wrong.len().div_ceil(IN_A_ROW).max(1) as u32;
    let area = BitMapBackend::new(path, (columns * CELL.0 as u32, rows * CELL.1 as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let square = |x: i32, y: i32, side: i32, (r, g, b): (u8, u8, u8)| {
        area.draw(&Rectangle::new([(x, y), (x + side, y + side)], RGBColor(r, g, b).filled()))
    };
    for (place, &i) in wrong.iter().enumerate() {
        let x = (place % IN_A_ROW) as i32 * CELL.0 + (CELL.0 - 8 * PIXEL) / 2;
        let y = (place / IN_A_ROW) as i32 * CELL.1 + (CELL.0 - 8 * PIXEL) / 2;
        for (k, &ink) in (0..).zip(images.row(i)) {
            let grey = 255 - (225.0 * ink) as u8;
            square(x + k % 8 * PIXEL, y + k / 8 * PIXEL, PIXEL, (grey, grey, grey))?;
        }
        for (digit, left, colour) in [(labels[i], 2 * PIXEL, COLOURS[0]), (readings[i], 5 * PIXEL, COLOURS[1])] {
            for k in (0..15).filter(|k| GLYPHS[digit] >> (14 - k) & 1 == 1) {
                square(x + left + k % 3 * DOT, y + 8 * PIXEL + 8 + k / 3 * DOT, DOT, colour)?;
            }
        }
    }
    Ok(area.present()?)
}
