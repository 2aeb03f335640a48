//! Files: saved and loaded, tables read.

use std::fs;
use std::path::PathBuf;

use ndarray::{Array1, Array2};
use wengert::Params;
use wengert::data::{Encoding, Feature, Fill, Table};
use wengert::optim::{AdamW, Optimizer};
use wengert::save::{Reader, Writer};

use crate::{bits, every_failure};

fn model(value: f64) -> (Params, AdamW<f64>) {
    let mut params = Params::new();
    params.add("w", Array2::from_elem((3, 2), value));
    params.add_linear("b", Array2::from_elem((2, 2), 0.5));
    params.add_buffer("mean", Array1::from_elem(2, value));
    let mut adam = AdamW::new(0.1);
    adam.step(&mut params, &[0.1; 10][..]);
    (params, adam)
}

/// The old file stays whole, and nothing is left beside it.
#[test]
fn saving() {
    let folder = std::env::temp_dir().join(format!("wengert-failures-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let file: PathBuf = folder.join("model.safetensors");
    let (old, new) = (model(1.0), model(2.0));
    let files =
        || -> Vec<_> { fs::read_dir(&folder).expect("it is there").map(|file| file.unwrap().file_name()).collect() };
    every_failure(
        || Writer::of(&old.0).optimizer(&old.1).save(&file).expect("no failure"),
        |()| (fs::read(&file).expect("a file"), files()),
        |()| Writer::of(&new.0).optimizer(&new.1).note("epoch", 7).save(&file).map_err(|error| error.to_string()),
    );
    fs::remove_dir_all(folder).expect("it is there");
}

#[test]
fn loading() {
    let (params, adam) = model(1.0);
    let bytes = Writer::of(&params).optimizer(&adam).vector("ema", params.values()).note("epoch", 7).to_bytes();
    let show = |params: &Params, adam: &AdamW<f64>| {
        let vectors: Vec<_> = adam.state().vectors().map(|(_, vector)| bits(vector)).collect();
        (bits(params.state()), adam.state().steps(), vectors)
    };
    every_failure(
        || model(5.0),
        |(params, adam)| show(params, adam),
        |(params, _)| {
            let saved = Reader::from_bytes(bytes.clone()).map_err(|error| error.to_string())?;
            saved.load(params).map_err(|error| error.to_string())?;
            saved.note::<u64>("epoch").map_err(|error| error.to_string())
        },
    );
    let saved = Reader::from_bytes(bytes.clone()).expect("a whole file");
    every_failure(
        || {
            let (params, adam) = model(5.0);
            (params, adam)
        },
        |(params, adam)| show(params, adam),
        |(params, adam)| saved.load_optimizer(adam, params).map_err(|error| error.to_string()),
    );
    every_failure(
        || model(5.0).0,
        |_| (),
        |params| saved.vector("ema", params).map(|v| bits(&v)).map_err(|e| e.to_string()),
    );
}

#[test]
fn tables() {
    let text = "age,port,sailed\n30,Cork,1912-04-11\n,Brest,1912-04-10\n40,\"Cork\",1912-04-12\n";
    every_failure(
        || (),
        |()| (),
        |()| {
            let table = Table::read(text.as_bytes()).map_err(|error| error.to_string())?;
            let features =
                [Feature::numbers("age").fill(Fill::Median), Feature::one_hot("port"), Feature::dates("sailed")];
            let encoding = Encoding::fit(&table, features).map_err(|error| error.to_string())?;
            let again: Encoding =
                encoding.to_string().parse().map_err(|error: wengert::data::TableError| error.to_string())?;
            Ok((bits(&again.apply::<f64>(&table).map_err(|error| error.to_string())?), table.to_string()))
        },
    );
}
