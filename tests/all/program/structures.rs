//! Functions with lanes of every kind of access to their operands, of random expressions.

use wengert::trace::Recorded;
use wengert::{Program, hessian, hvp, jacobian};

use super::{Function, assert_like_tape, program};
use crate::support::close::assert_matrices_close;
use crate::support::programs::from_menu;
use crate::support::structures::Access::{Ring, Segments};
use crate::support::structures::{ACCESSES, Structure, USES, Use, expression, point};

/// Every access with every use, few terms and many, recorded at one point and run at another. A debug build takes the most
/// terms with every third use only.
#[test]
fn every_access_with_every_use() {
    let mut count = 0;
    for (i, access) in ACCESSES.into_iter().enumerate() {
        for (j, of) in USES.into_iter().enumerate() {
            for (terms, n) in [(1, 3), (5, 4), (9, 9), (100, 49), (340, 100)] {
                if cfg!(debug_assertions) && terms == 340 && (i + j) % 3 > 0 {
                    continue;
                }
                let f = Structure { access, of, expression: expression(), terms };
                let mut double = program(&f, &point(n, 0.0));
                let single: Vec<f32> = point(n, 0.3).iter().map(|&x| x as f32).collect();
                let mut single_program = program(&f, &single);
                let case = || format!("{access:?} {of:?}, {terms} terms of {n} inputs");
                for shift in [0.0, 1.1] {
                    count += 1;
                    assert_like_tape(&case, &mut double, &f, &point(n, shift), 1e-12);
                }
                let x: Vec<f32> = point(n, 1.1).iter().map(|&x| x as f32).collect();
                assert_like_tape(&case, &mut single_program, &f, &x, 4e-4);
                if terms <= 9 || matches!(access, Ring | Segments) && terms == 100 {
                    let (x, v) = (point(n, 0.7), point(n, 2.0));
                    let mut product = vec![0.0; n];
                    double.hvp(&x, &v, &mut product).unwrap();
                    let want = hvp(|x| f.call(x), &x, &v);
                    let scale = want.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
                    for (got, want) in product.iter().zip(&want) {
                        assert!((got - want).abs() <= 1e-11 * scale, "{}: hvp {got} {want}", case());
                    }
                    if terms <= 9 || of == Use::Nested {
                        let want = hessian(|x| f.call(x), &x);
                        assert_matrices_close(
                            &format!("{}: Hessian", case()),
                            &double.hessian(&x).unwrap(),
                            &want,
                            1e-11,
                        );
                        let sparse = double.sparse_hessian(&x).unwrap().to_dense();
                        assert_matrices_close(&format!("{}: sparse Hessian", case()), &sparse, &want, 1e-11);
                    }
                }
            }
        }
    }
    assert_eq!(count, 9 * 10 * 4 * 2 + if cfg!(debug_assertions) { 9 * 10 / 3 * 2 } else { 9 * 10 * 2 });
}

/// The terms as outputs.
#[test]
fn every_access_as_outputs() {
    for access in ACCESSES {
        for (terms, n) in [(1, 3), (5, 4), (9, 9), (100, 49)] {
            let f = Structure { access, of: USES[0], expression: expression(), terms };
            macro_rules! outputs {
                ($x:ident) => {
                    (0..terms).map(|i| from_menu(&f.expression, f.operands($x, i))).collect()
                };
            }
            let mut program = Program::vector(|x: &[Recorded<'_>]| outputs!(x), point(n, 0.0)).unwrap();
            for shift in [0.0, 1.1] {
                let x = point(n, shift);
                let want = jacobian(|x| outputs!(x), &x);
                let case = format!("{access:?}, {terms} outputs of {n} inputs");
                assert_matrices_close(&case, &program.jacobian(&x).unwrap(), &want, 1e-12);
                assert_matrices_close(&case, &program.sparse_jacobian(&x).unwrap().to_dense(), &want, 1e-12);
            }
        }
    }
}
