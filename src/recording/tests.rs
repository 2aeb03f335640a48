//! The recorder as the compiler of recordings sees it: unnamed inputs, steps without lines and values, values read.

use num_traits::{Float, One, ToPrimitive, Zero};

use super::{Recorded, Recorder, Source, Step};
use crate::number::BaseFloat;
use crate::number::Real;

#[test]
fn unnamed_inputs_get_names_for_texts() {
    let recorder = Recorder::new();
    let x = recorder.unnamed_inputs(&[1.0, 2.0]);
    let y = recorder.unnamed_inputs(&[3.0])[0];
    recorder.output(if x[1] > x[0] { x[0] * y } else { y });
    let recording = recorder.finish();
    assert_eq!((recording.input_count(), recording.len()), (3, 1));
    assert_eq!(recording.inputs().collect::<Vec<_>>(), ["x0", "x1", "x2"]);
    let changed = recording.evaluate(&[2.0, 1.0, 0.0]).unwrap_err();
    assert_eq!(changed.comparison, "x1 > x0");
}

#[test]
fn a_million_unnamed_inputs_have_no_names_until_a_text_asks() {
    let recorder = Recorder::<f32>::steps_only();
    let x = recorder.unnamed_inputs(&vec![1.0; 1_000_000]);
    recorder.output(x[999_999] - x[0]);
    let recording = recorder.finish();
    assert_eq!((recording.input_count(), recording.len(), recording.outputs()), (1_000_000, 1, vec![0.0]));
    assert!(recording.names.get().is_none());
}

#[test]
fn steps_only_keeps_neither_lines_nor_values() {
    let run = |recorder: Recorder| {
        let x = recorder.unnamed_inputs(&[0.5])[0];
        recorder.output((x.sin() * 2.0).clamp(0.0, 1.0) + 2.0);
        recorder.output(7.0.into());
        recorder.finish()
    };
    let (all, bare) = (run(Recorder::new()), run(Recorder::steps_only()));
    assert_eq!((all.lines.len(), all.values.len()), (5, 5));
    assert_eq!((bare.lines.len(), bare.values.len()), (0, 0));
    assert!(all.steps.iter().eq(bare.steps.iter()));
    assert_eq!(bare.constants, [2.0, 7.0]);
    assert_eq!(bare.outputs(), all.outputs());
    assert_eq!(bare.evaluate(&[0.25]).unwrap(), all.evaluate(&[0.25]).unwrap());
}

#[test]
fn steps_survive_the_packing() {
    let recorder = Recorder::<f32>::default();
    let x = recorder.input("x", 0.5);
    let y = x.clamp(0.0, 1.0) + x.clamp(-0.0, 1.0) + x.clamp(-0.0, 1.0) + x.powi(-3) + x.leaky_relu(0.1);
    recorder.output(Float::mul_add(y, Recorded::constant(-0.0), x) + 0.0);
    let recording = recorder.finish();
    let text: Vec<String> = recording.steps.iter().map(|step| format!("{step:?}")).collect();
    assert_eq!(recording.steps.len(), text.len());
    assert_eq!(recording.steps.get(0), Step::Input(0));
    // 0 and -0 are two parameters and two constants.
    let [first, second, third] = [1, 2, 4].map(|i| &text[i]);
    assert!(first.contains("lo: 0.0, hi: 1.0") && second.contains("lo: -0.0, hi: 1.0"), "{first} {second}");
    assert_eq!(third, second);
    assert!(text.iter().any(|step| step.contains("n: -3")), "{text:?}");
    assert!(text.iter().any(|step| step.contains("slope: 0.1")), "{text:?}");
    let y = recording.steps.len() as u32 - 3;
    let fused = [Source::Step(y), Source::Constant(0), Source::Step(0)];
    assert_eq!(recording.steps.get(y as usize + 1), Step::MulAdd(fused));
    assert_eq!(recording.constants.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [(-0.0_f32).to_bits(), 0]);
}

/// A function of a number, and true if it reads the number's value.
type Reader<F> = (&'static str, for<'r> fn(Recorded<'r, F>) -> Recorded<'r, F>, bool);

fn readers<F: BaseFloat>() -> [Reader<F>; 12] {
    [
        ("value", |x| x * x.sin().value(), true),
        ("to_base", |x| x * Recorded::from_base(x.to_base()), true),
        ("to_f64", |x| x * Recorded::lit(x.to_f64().unwrap()), true),
        ("to_i32", |x| x.powi(x.to_i32().unwrap()), true),
        ("cast", |x| x * num_traits::cast::<_, F>(x).unwrap(), true),
        ("classify", |x| if x.classify() == std::num::FpCategory::Zero { x } else { -x }, true),
        ("integer_decode", |x| x * Recorded::lit(f64::from(x.integer_decode().2)), true),
        ("arithmetic", |x| (x * x + Recorded::lit(1.0)).ln().gelu(), false),
        ("comparisons", |x| if x > Recorded::one() || x.is_nan() { x } else { x.max(Recorded::zero()) }, false),
        ("a constant", |x| x * Recorded::constant(F::one()).sin().value(), false),
        ("a constant's to_f64", |x| x * Recorded::lit(Recorded::<F>::one().to_f64().unwrap()), false),
        ("print", |x| if format!("{x} {x:?}").is_empty() { x } else { -x }, false),
    ]
}

#[test]
fn reading_a_value_is_noticed() {
    fn check<F: BaseFloat>() {
        for (name, f, reads) in readers::<F>() {
            let recorder = Recorder::<F>::steps_only();
            let x = recorder.unnamed_inputs(&[F::lit(2.0)])[0];
            assert_eq!(recorder.values_read(), None);
            recorder.output(f(x));
            assert_eq!(recorder.values_read().is_some(), reads, "{name}");
        }
    }
    check::<f64>();
    check::<f32>();
}

#[test]
fn the_first_line_that_reads_is_kept() {
    fn generic<R: Real>(x: R) -> u32 {
        let _ = x.to_base();
        line!() - 1
    }
    let recorder = Recorder::<f64>::default();
    let x = recorder.unnamed_inputs(&[2.0])[0];
    let line = generic(x);
    let _ = x.value();
    let read = recorder.values_read().unwrap();
    assert_eq!((read.file(), read.line()), (file!(), line));
}
