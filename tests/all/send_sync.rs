//! The types that may cross threads, stated so that a new field cannot change them unnoticed.

use std::thread;

use ndarray::{Array1, Ix2, arr1};
use wengert::{Dual, Gradient, StaticVar, Tape, Tensor, Var};

/// A constant that tells whether a type has a trait: the inherent constant exists where the bound holds, and shadows
/// the constant of the trait, which always exists.
macro_rules! has {
    ($T:ty: $Trait:path) => {{
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        trait Fallback {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Fallback for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + $Trait> Probe<T> {
            const HAS: bool = true;
        }
        Probe::<$T>::HAS
    }};
}

const _: () = {
    // The probe itself is tested.
    assert!(has!(u8: Send) && !has!(std::rc::Rc<u8>: Send));

    // A tape is moved, never shared: recording takes `&self`.
    assert!(has!(Tape<f64>: Send) && !has!(Tape<f64>: Sync));
    assert!(has!(Tape<f32>: Send) && !has!(Tape<f32>: Sync));
    assert!(has!(Tape<Dual<f64>>: Send) && !has!(Tape<Dual<f64>>: Sync));

    // Types that borrow a tape stay on its thread.
    assert!(!has!(Var<'static, f64>: Send) && !has!(Var<'static, f64>: Sync));
    assert!(!has!(Tensor<'static, f64, Ix2>: Send) && !has!(Tensor<'static, f64, Ix2>: Sync));
    assert!(!has!(Gradient<'static, f64>: Send) && !has!(Gradient<'static, f64>: Sync));

    // A static handle is a number, which asks for its scope at each use.
    assert!(has!(StaticVar<f64>: Send) && has!(StaticVar<f64>: Sync));
    assert!(has!(StaticVar<Dual<f32>>: Send) && has!(StaticVar<Dual<f32>>: Sync));

    // Duals are plain numbers.
    assert!(has!(Dual<f64>: Send) && has!(Dual<f64>: Sync));
    assert!(has!(Dual<Dual<f32, 3>, 2>: Send) && has!(Dual<Dual<f32, 3>, 2>: Sync));

    // Handles are copied freely, tapes are not.
    assert!(has!(Var<'static, f64>: Copy) && has!(Tensor<'static, f64, Ix2>: Copy));
    assert!(has!(StaticVar<f64>: Copy) && size_of::<StaticVar>() == 32);
    assert!(has!(Dual<f64, 4>: Copy) && !has!(Tape<f64>: Clone) && !has!(Gradient<'static, f64>: Clone));
};

/// A tape with scalar records, tensor pullbacks and arena values works on after a move.
#[test]
fn a_used_tape_moves_to_another_thread() {
    fn gradient(tape: &Tape) -> Array1<f64> {
        let data = arr1(&[0.5, 2.0]);
        let x = tape.tensor(&data);
        let y = x.exp() * x;
        (y.at([0]) * y.at([1])).backward().wrt(x)
    }
    let tape = Tape::new();
    let before = gradient(&tape);
    let expected = before.clone();
    let thread = thread::spawn(move || {
        let mut tape = tape;
        assert_eq!(gradient(&tape), expected);
        tape.clear();
        assert_eq!(gradient(&tape), expected);
        tape
    });
    let mut tape = thread.join().expect("the thread does not panic");
    tape.clear();
    assert_eq!(gradient(&tape), before);
}

/// One tape for each thread is how gradients run in parallel.
#[test]
fn a_tape_for_each_thread() {
    let derivative = |x: f64| {
        let tape = Tape::new();
        let v = tape.var(x);
        v.sin().backward()[v]
    };
    thread::scope(|scope| {
        let threads = [0.1, 0.2, 0.3, 0.4].map(|x| (x, scope.spawn(move || derivative(x))));
        for (x, thread) in threads {
            assert_eq!(thread.join().expect("the thread does not panic"), x.cos());
        }
    });
}
