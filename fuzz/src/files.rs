//! Bytes as files: none may panic, and what was read can be written and read again.

use ndarray::array;
use wengert::Params;
use wengert::data::{ColumnKind, Encoding, Feature, Fill, Table, TableError, TableOptions};
use wengert::save::{Reader, Writer};

use crate::Bytes;

/// Runs the check.
pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let kind = bytes.byte() % 4;
    let data = bytes.0;
    match kind {
        0 => table(TableOptions::new().limit(1 << 20).read(data)),
        1 => safetensors(data.to_vec()),
        2 => {
            // Text that is more like a table.
            const MENU: &[u8] = b"0123456789.-+e,;\t \n\"'abNA?#\r";
            let text: Vec<u8> = data.iter().map(|&byte| MENU[usize::from(byte) % MENU.len()]).collect();
            table(TableOptions::new().read(&text[..]));
        }
        _ => {
            // A real file, of which some bytes are changed, or the end is missing.
            let mut file = Writer::of(&params([1.0, 2.0, 3.0, 4.0, 0.5])).to_bytes();
            let mut changes = Bytes(data);
            while !changes.is_empty() && !file.is_empty() {
                let place = changes.below(512) % file.len();
                file[place] ^= changes.byte();
                if changes.byte() % 16 == 0 {
                    file.truncate(place);
                }
            }
            safetensors(file);
        }
    }
}

/// Everything that can be asked of a table.
fn table(read: Result<Table, TableError>) {
    let table = match read {
        Ok(table) => table,
        Err(error) => return drop(error.to_string()),
    };
    assert!(!table.to_string().is_empty());
    for name in table.names() {
        let column = table.kind(name).expect("a column of the table");
        let feature = match column {
            ColumnKind::Numbers => Feature::numbers(name).fill(Fill::Median),
            ColumnKind::Text => Feature::codes(name).fill(Fill::Class("other".into())),
            ColumnKind::Dates => Feature::dates(name),
            ColumnKind::Empty => Feature::numbers(name).fill(Fill::Number(0.5)),
        };
        let Ok(encoding) = Encoding::fit(&table, [feature]) else { continue };
        let Ok(x) = encoding.apply::<f64>(&table) else { continue };
        // The encoding that a model's file keeps gives the same numbers.
        let again: Encoding = encoding.to_string().parse().expect("an encoding of our own");
        let y = again.apply::<f64>(&table).expect("the same table");
        assert!(x.iter().map(|x| x.to_bits()).eq(y.iter().map(|y| y.to_bits())), "{name}: {x} {y}");
    }
}

fn params(x: [f64; 5]) -> Params<f64> {
    let mut params = Params::new();
    params.add("w", array![[x[0], x[1]], [x[2], x[3]]]);
    params.add("b", array![x[4]]);
    params
}

fn safetensors(file: Vec<u8>) {
    let Ok(reader) = Reader::from_bytes(file) else { return };
    let mut read = params([0.0; 5]);
    let bits = |params: &Params<f64>| params.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let before = bits(&read);
    if reader.load(&mut read).is_err() {
        // All or nothing.
        assert_eq!(bits(&read), before, "a failed load changed the parameters");
        return;
    }
    let again = Reader::from_bytes(Writer::of(&read).to_bytes()).expect("a file of our own");
    let mut same = params([0.0; 5]);
    again.load(&mut same).expect("a file of our own");
    assert_eq!(bits(&same), bits(&read));
}
