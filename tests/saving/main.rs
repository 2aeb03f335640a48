//! Files of weights and training state, damaged files, and saves that are interrupted. The process starts itself as a child
//! and is killed, and allocations are counted.

#[path = "../all/support/allocator.rs"]
mod allocator;
mod crashes;
mod damaged;
#[path = "../all/support/panics.rs"]
mod panics;

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array0, Array1, Array2, Array3, Ix1, Ix2, array};
use panics::message_of;
use rand::SeedableRng;
use rand::rngs::StdRng;
use wengert::data::{Batches, gather, gather_rows};
use wengert::optim::{AdamW, EarlyStopping, Ema, Optimizer, RmsProp, Sgd};
use wengert::save::{Reader, SaveError, Stored, Writer};
use wengert::{Params, Tape, init};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wengert-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Self(folder)
    }
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn model<F: Stored>() -> Params<F> {
    let mut params = Params::new();
    let number = |i: usize| F::lit((i as f64 * 0.7).sin());
    params.add("hidden.w", Array2::from_shape_fn((3, 2), |(i, j)| number(2 * i + j)));
    params.add("hidden.b", Array1::from_elem(2, F::lit(0.1)));
    params.add("ln γ", Array0::from_elem((), F::min_positive_value()));
    params.add("empty", Array3::from_elem((2, 0, 3), F::zero()));
    params
}

#[test]
fn weights_come_back_bit_for_bit() {
    fn check<F: Stored>() {
        let mut params = model::<F>();
        let odd = [F::neg_zero(), F::infinity(), F::lit(1.0) / F::lit(3.0), F::epsilon()];
        params.values_mut()[..4].copy_from_slice(&odd);
        let bytes = Writer::of(&params).to_bytes();
        let mut loaded = model::<F>();
        loaded.values_mut().fill(F::zero());
        Reader::from_bytes(bytes.clone()).unwrap().load(&mut loaded).unwrap();
        assert_eq!(format!("{:?}", params.values()), format!("{:?}", loaded.values()));
        assert_eq!(bytes, Writer::of(&loaded).to_bytes(), "the same contents, the same bytes");
    }
    check::<f32>();
    check::<f64>();
}

/// Weights are found by name, not by their order in the program.
#[test]
fn names_decide_not_places() {
    let (mut one, mut two) = (Params::new(), Params::new());
    for (params, names) in [(&mut one, ["a", "b"]), (&mut two, ["b", "a"])] {
        for name in names {
            params.add(name, if name == "a" { array![1.0, 2.0] } else { array![3.0, 4.0] });
        }
    }
    let mut rms = RmsProp::new(0.1).momentum(0.5);
    rms.step(&mut one, &[0.1, 0.2, 0.3, 0.4]);
    let saved = Reader::from_bytes(Writer::of(&one).optimizer(&rms).to_bytes()).unwrap();
    saved.load(&mut two).unwrap();
    let mut restored = RmsProp::new(0.1).momentum(0.5);
    saved.load_optimizer(&mut restored, &two).unwrap();
    rms.step(&mut one, &[0.1, 0.2, 0.3, 0.4]);
    restored.step(&mut two, &[0.3, 0.4, 0.1, 0.2]);
    for name in ["a", "b"] {
        assert_eq!(one.view(one.by_name::<Ix1>(name).unwrap()), two.view(two.by_name::<Ix1>(name).unwrap()));
    }
}

/// Trains for some epochs with everything that has a state, resumed from a file and saved to it.
fn train(file: &Path, epochs: std::ops::Range<usize>) -> (Vec<f32>, Vec<f32>, f64) {
    let mut rng = StdRng::seed_from_u64(3);
    let inputs: Array2<f32> = init::normal((40, 6), 0.0, 1.0, &mut rng);
    let labels: Vec<usize> = (0..40).map(|i| i % 3).collect();
    let mut params = Params::<f32>::new();
    let w1 = params.add("w1", init::he_uniform((6, 8), &mut rng));
    let w2 = params.add("w2", init::he_uniform((8, 3), &mut rng));
    let mut adam = AdamW::new(1e-2).amsgrad(true).clip_norm(1.0);
    let mut ema = Ema::new(0.9);
    let mut stopping = EarlyStopping::new(1000);
    let mut batches = Batches::new(40, 7, 11);
    if epochs.start > 0 {
        let saved = Reader::open(file).unwrap();
        saved.load(&mut params).unwrap();
        saved.load_optimizer(&mut adam, &params).unwrap();
        ema.restore(saved.vector("ema", &params).unwrap());
        let (best, waited) = (saved.note("best").unwrap(), saved.note("waited").unwrap());
        stopping.resume(best, waited, saved.vector("best", &params).unwrap());
        assert_eq!(saved.note::<usize>("epoch").unwrap(), epochs.start);
        batches.skip(epochs.start);
    }
    let (mut tape, mut x, mut y) = (Tape::new(), Vec::new(), Vec::new());
    for epoch in epochs.clone() {
        let mut sum = 0.0;
        for rows in batches.shuffle() {
            let x = gather_rows(&inputs, rows, &mut x);
            let y = gather(&labels, rows, &mut y);
            let (loss, grad) = tape.value_and_grad(&params, |p| {
                p.constant(x).dot(p.get(w1)).tanh().dot(p.get(w2)).softmax_cross_entropy(y)
            });
            adam.lr = 1e-2 / (1.0 + epoch as f64);
            adam.step(&mut params, grad);
            ema.update(&params);
            sum += f64::from(loss);
        }
        assert!(!stopping.observe(sum, &params));
    }
    Writer::of(&params)
        .optimizer(&adam)
        .vector("ema", ema.values())
        .vector("best", stopping.weights())
        .note("epoch", epochs.end)
        .note("best", stopping.best())
        .note("waited", stopping.waited())
        .save(file)
        .unwrap();
    (params.values().to_vec(), ema.values().to_vec(), stopping.best())
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let folder = Folder::new("resume");
    let (whole, parts) = (folder.file("whole.safetensors"), folder.file("parts.safetensors"));
    let uninterrupted = train(&whole, 0..6);
    train(&parts, 0..2);
    train(&parts, 2..3);
    assert_eq!(train(&parts, 3..6), uninterrupted);
    assert_eq!(fs::read(whole).unwrap(), fs::read(parts).unwrap());
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut params = model::<f32>();
    let bytes = Writer::of(&params).to_bytes();
    let saved = Reader::from_bytes(bytes).unwrap();
    let before = params.values().to_vec();

    let mut other = Params::<f32>::new();
    other.add("hidden.w", Array2::zeros((3, 2)));
    other.add("head", Array1::zeros(4));
    assert_eq!(
        saved.load(&mut other).unwrap_err().to_string(),
        "the names in the file are not those of the parameters: missing head; unexpected empty, hidden.b, ln γ"
    );
    assert_eq!(other.values(), [0.0; 10]);
    let partial = saved.load_partial(&mut other).unwrap();
    assert_eq!((partial.loaded, partial.missing), (vec!["hidden.w".into()], vec!["head".into()]));
    assert_eq!(partial.unexpected, ["empty", "hidden.b", "ln γ"]);
    assert_eq!((&other.values()[..6], &other.values()[6..]), (&before[..6], &[0.0; 4][..]));

    let mut wide = Params::<f32>::new();
    wide.add("empty", Array1::ones(1));
    wide.add("hidden.w", Array2::ones((2, 3)));
    let text = saved.load_partial(&mut wide).unwrap_err().to_string();
    assert_eq!(text, r#"tensor "empty" has shape [2, 0, 3], the parameter has [1]"#);
    let doubles = Reader::from_bytes(Writer::of(&model::<f64>()).to_bytes()).unwrap();
    let text = doubles.load(&mut model::<f32>()).unwrap_err().to_string();
    assert_eq!(text, r#"tensor "hidden.w" has type F64, the parameter has F32"#);
    let mut exact = model::<f64>();
    saved.load(&mut exact).unwrap();
    assert!(exact.values().iter().zip(&before).all(|(&wide, &x)| wide == f64::from(x)));
    assert_eq!(wide.values(), [1.0; 7]);

    let text = saved.load_optimizer(&mut Sgd::new(0.1), &params).unwrap_err().to_string();
    assert_eq!(text, "the file has no optimizer's state, so none for Sgd");
    let mut adam = AdamW::new(0.1);
    adam.step(&mut params, &[0.5; 9]);
    let saved = Reader::from_bytes(Writer::of(&params).optimizer(&adam).note("seed", 7).to_bytes()).unwrap();
    let text = saved.load_optimizer(&mut Sgd::new(0.1), &params).unwrap_err().to_string();
    assert_eq!(text, "the file has the state of AdamW, not of Sgd");
    assert_eq!(saved.note::<u64>("seed").unwrap(), 7);
    assert_eq!(saved.note::<u64>("sede").unwrap_err().to_string(), r#"the file has no note "sede""#);
    let text = saved.note::<u64>("optimizer").unwrap_err().to_string();
    assert_eq!(text, r#"the note "optimizer" is "AdamW", no u64"#);
    // A file with more than weights can be loaded into parameters.
    saved.load(&mut model::<f32>()).unwrap();
}

/// A file that is cut anywhere, or of which any byte is changed, is refused; an error names the damaged tensor.
#[test]
fn truncated_and_corrupt_files_are_refused() {
    let folder = Folder::new("corrupt");
    let file = folder.file("model.safetensors");
    let params = model::<f32>();
    params.save(&file).unwrap();
    let bytes = fs::read(&file).unwrap();
    let data = bytes.len() - 4 * params.len();

    for end in 0..bytes.len() {
        match Reader::from_bytes(bytes[..end].to_vec()).unwrap_err() {
            SaveError::Truncated { tensor, expected, found, .. } => {
                // The order is by type and then by name: empty (0 bytes), hidden.b (8), hidden.w (24), ln γ (4).
                let cut = match end.checked_sub(data) {
                    None => None,
                    Some(0..8) => Some("hidden.b"),
                    Some(8..32) => Some("hidden.w"),
                    Some(_) => Some("ln γ"),
                };
                assert_eq!((tensor.as_deref(), found), (cut, end as u64));
                assert!(end < 8 || expected >= end as u64);
            }
            other => panic!("{end}: {other}"),
        }
    }
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        match Reader::from_bytes(changed) {
            Err(SaveError::Corrupt { tensor, .. }) if place >= data => {
                let expected =
                    ["hidden.b", "hidden.w", "ln γ"][usize::from(place >= data + 8) + usize::from(place >= data + 32)];
                assert_eq!(tensor, expected);
            }
            other if place >= data => panic!("{place}: {other:?}"),
            Ok(_) => panic!("{place}: a changed header is read"),
            Err(_) => {}
        }
    }

    fs::write(&file, &bytes[..bytes.len() - 6]).unwrap();
    let text = Reader::open(&file).unwrap_err().to_string();
    let size = bytes.len();
    assert_eq!(
        text,
        format!(
            "{}: the file ends within tensor \"hidden.w\": expected {size} bytes, found {}",
            file.display(),
            size - 6
        )
    );
    fs::write(&file, [bytes.as_slice(), b"more"].concat()).unwrap();
    assert!(Reader::open(&file).unwrap_err().to_string().ends_with("4 bytes follow the last tensor"));
    fs::write(&file, "not a model, some text").unwrap();
    assert!(matches!(Reader::open(&file), Err(SaveError::Format { .. })));
    let none = folder.file("none");
    assert!(Reader::open(&none).unwrap_err().to_string().starts_with(&none.display().to_string()));
    assert!(matches!(params.save(folder.file("no/such/folder")), Err(SaveError::Io { .. })));
}

/// A file with all that a file can have.
fn whole_run() -> (Params<f64>, AdamW<f64>, Vec<u8>) {
    let mut params = Params::new();
    params.add("w", array![1.0, 2.0]);
    params.add("b", array![0.5]);
    params.add_buffer("mean", array![3.0]);
    let mut adam = AdamW::new(0.1);
    adam.step(&mut params, &[0.1, 0.2, 0.3]);
    let mut ema = Ema::new(0.5);
    ema.update(&params);
    let bytes = Writer::of(&params).optimizer(&adam).vector("ema", ema.values()).note("epoch", 7).to_bytes();
    (params, adam, bytes)
}

/// Every bit of a file stands under a check sum, those of the header, the padding and the sums themselves too.
#[test]
fn every_flipped_bit_is_refused() {
    let (mut params, _, bytes) = whole_run();
    let saved = Reader::from_bytes(bytes.clone()).unwrap();
    saved.load(&mut params).unwrap();
    saved.load_optimizer(&mut AdamW::new(0.1), &params).unwrap();
    let accepted: Vec<usize> = (0..8 * bytes.len())
        .filter(|bit| {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            Reader::from_bytes(flipped).is_ok()
        })
        .collect();
    assert!(accepted.is_empty(), "of {} bits: {accepted:?}", 8 * bytes.len());
}

/// The file with another text in its header, which keeps its length by spaces at its end.
fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let text = String::from_utf8(header.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    let mut header = text.replacen(from, to, 1).trim_end().to_owned().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes(), &header[..], data].concat()
}

#[test]
fn check_sums_cannot_be_left_out() {
    let (params, _, bytes) = whole_run();
    let refused = |bytes| Reader::from_bytes(bytes).unwrap_err().to_string();
    for (from, to) in [("crc32", "crc33"), ("\"epoch\":\"7\"", "\"epoch\":\"9\""), ("\"ema", "\"eda")] {
        let bytes =
            if to.contains("eda") { edited(&bytes, "state/ema/b", "state/eda/b") } else { edited(&bytes, from, to) };
        assert!(refused(bytes).ends_with("its header is damaged: its check sum is another"), "{from}");
    }
    // A file of version 0.1.0 before the header had a sum: one sum for each tensor.
    let text = String::from_utf8_lossy(&bytes);
    let place = text.find("\"crc32\":\"").unwrap() + 9;
    let old = edited(&bytes, &text[place..place + 9], "");
    let saved = Reader::from_bytes(old.clone()).unwrap();
    let mut loaded = params.clone();
    loaded.state_mut().fill(0.0);
    saved.load(&mut loaded).unwrap();
    assert_eq!(loaded.state(), params.state());
    // Its names are compared where they are used.
    let error = |from, to| {
        let saved = Reader::from_bytes(edited(&old, from, to)).unwrap();
        let mut adam = AdamW::<f64>::new(0.1);
        let error = saved.load_optimizer(&mut adam, &params).unwrap_err().to_string();
        assert_eq!(adam.state().steps(), 0);
        error
    };
    assert_eq!(
        error("state/optimizer/first_moment/w", "state/optimizer/first_moment/x"),
        "the names in the file are not those of the parameters: missing state/optimizer/first_moment/w; \
         unexpected state/optimizer/first_moment/x"
    );
    assert_eq!(
        error("state/optimizer/first_moment/w", "state/optimizer/girst_moment/w"),
        "the names in the file are not those of the parameters: missing none; \
         unexpected state/optimizer/girst_moment/w"
    );
}

/// safetensors#401 (kind): a name that occurs twice, of tensors, of metadata, or escaped in another way.
#[test]
fn names_occur_once() {
    let tensor = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let file =
        |header: String| [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &1.5_f32.to_le_bytes()].concat();
    for (header, name) in [
        (format!(r#"{{"w":{tensor},"w":{tensor}}}"#), "w"),
        (format!(r#"{{"w" :{tensor}, "\u0077" : {tensor}}}"#), "w"),
        (format!(r#"{{"__metadata__":{{"a\"":"{{","b":"","a\"":"y"}},"w":{tensor}}}"#), "a\""),
        (format!(r#"{{"__metadata__":{{}},"w":{tensor},"__metadata__":{{"a":"y"}}}}"#), "__metadata__"),
    ] {
        let text = Reader::from_bytes(file(header.clone())).unwrap_err().to_string();
        assert!(
            text.ends_with(&format!("the name {name:?} occurs twice in its header")) || text.contains("duplicate"),
            "{header}: {text}"
        );
    }
    let header = format!(r#"{{"__metadata__":{{"w":"\"w\":","dtype":"w"}},"w":{tensor}}}"#);
    assert_eq!(Reader::from_bytes(file(header)).unwrap().note::<String>("dtype").unwrap(), "w");
}

/// Vectors of weights alone, and of the whole state.
#[test]
fn vectors_have_the_buffers() {
    let (params, _, bytes) = whole_run();
    let saved = Reader::from_bytes(bytes).unwrap();
    assert_eq!(saved.vector("ema", &params).unwrap(), params.state());
    let bytes = Writer::of(&params).vector("own", &[7.0, 8.0, 9.0]).to_bytes();
    let own = Reader::from_bytes(bytes).unwrap();
    assert_eq!(own.vector("own", &params).unwrap(), [7.0, 8.0, 9.0]);
    let text = message_of(|| Writer::of(&params).vector("own", &[7.0]));
    assert!(text.contains(r#""own" has 1 numbers, the parameters have 3, 4 with their buffers"#), "{text}");
    // A model with other parameters.
    let mut other = Params::<f64>::new();
    other.add("w", array![1.0, 2.0]);
    let text = saved.vector("ema", &other).unwrap_err().to_string();
    assert!(text.contains("missing none; unexpected state/ema/b, state/ema/mean"), "{text}");
    assert!(saved.vector("none", &other).unwrap_err().to_string().contains("missing state/none/w"));
}

/// An optimiser that is loaded belongs to the parameters that it was loaded for.
#[test]
fn a_loaded_optimizer_has_an_owner() {
    let (params, adam, bytes) = whole_run();
    let saved = Reader::from_bytes(bytes).unwrap();
    let mut loaded = AdamW::new(0.1);
    let (mut mine, _, _) = whole_run();
    saved.load_optimizer(&mut loaded, &mine).unwrap();
    assert_eq!(loaded.state(), adam.state());
    let text = message_of(|| loaded.step(&mut params.clone(), &[0.0; 3]));
    assert!(text.contains("the state of other parameters"), "{text}");
    loaded.step(&mut mine, &[0.0; 3]);
}

/// Files of other programs have no check sums, and may have no metadata.
#[test]
fn files_of_other_programs_are_read() {
    let header = br#"{"w":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#;
    let numbers = [1.5_f64, -2.0].map(f64::to_le_bytes).concat();
    let bytes = [&(header.len() as u64).to_le_bytes(), &header[..], &numbers].concat();
    let mut params = Params::<f64>::new();
    params.add("w", Array1::zeros(2));
    let saved = Reader::from_bytes(bytes).unwrap();
    saved.load(&mut params).unwrap();
    assert_eq!(params.values(), [1.5, -2.0]);
    assert_eq!(saved.names().collect::<Vec<_>>(), ["w"]);
}

#[test]
fn names_with_a_meaning_are_refused() {
    let text = message_of(|| {
        let mut params = Params::<f32>::new();
        params.add("state/w", Array1::zeros(1));
        let _ = Writer::of(&params);
    });
    assert!(text.contains(r#"the parameter name "state/w" has another meaning"#), "{text}");
    let params = model::<f32>();
    let text = message_of(|| Writer::of(&params).note("crc32", 1));
    assert!(text.contains(r#"there is a note named "crc32" already"#), "{text}");
    let text = message_of(|| Writer::of(&params).vector("ema", &[1.0]));
    assert!(text.contains(r#""ema" has 1 numbers, the parameters have 9"#), "{text}");
    let text = message_of(|| Writer::of(&params).vector("ema/a", &[1.0; 9]));
    assert!(text.contains(r#""ema/a" has a slash"#), "{text}");
    let view = params.view(params.by_name::<Ix2>("hidden.w").unwrap());
    assert_eq!(view.len(), 6);
}
