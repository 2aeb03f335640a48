//! nalgebra: factorisations of matrices, rotations and rigid motions.

use nalgebra::{
    DMatrix, DVector, Isometry3, Matrix3, Matrix4, Point3, RealField, Rotation3, SymmetricEigen, Unit, UnitQuaternion,
    Vector3, Vector4, convert,
};

use crate::harness::{Comparison, case, numbers};

/// Numbers that nalgebra takes, and that are copied.
trait Number: RealField + Copy {}
impl<T: RealField + Copy> Number for T {}

fn num<T: Number>(x: f64) -> T {
    convert(x)
}

/// A combination of all numbers in which no two count alike.
fn mix<'a, T: Number>(numbers: impl IntoIterator<Item = &'a T>) -> T {
    let weights = (1..).map(|i| num::<T>(f64::from(i).sin()));
    numbers.into_iter().zip(weights).fold(T::zero(), |sum, (&x, w)| sum + x * w)
}

fn matrix<T: Number>(x: &[T], shift: f64) -> Matrix4<T> {
    Matrix4::from_row_slice(&x[..16]) + Matrix4::identity() * num::<T>(shift)
}

fn symmetric<T: Number>(x: &[T]) -> Matrix4<T> {
    let a = matrix(x, 0.0);
    a * a.transpose() + Matrix4::from_diagonal(&Vector4::new(num(0.5), num(1.0), num(1.5), num(2.0)))
}

fn lu_solve<T: Number>(x: &[T]) -> T {
    let b = Vector4::from_column_slice(&x[16..20]);
    mix(&matrix(x, 2.0).lu().solve(&b).unwrap())
}

/// The first pivot is zero, so that rows are exchanged.
fn lu_with_exchanged_rows<T: Number>(x: &[T]) -> T {
    let mut a = DMatrix::from_row_slice(4, 4, &x[..16]);
    a[(0, 0)] -= num(numbers(1)[0]);
    let lu = a.lu();
    lu.determinant() + mix(&lu.solve(&DVector::from_column_slice(&x[16..20])).unwrap())
}

fn inverse<T: Number>(x: &[T]) -> T {
    let a = matrix(x, 2.0);
    mix(&a.try_inverse().unwrap()) * a.determinant()
}

fn cholesky<T: Number>(x: &[T]) -> T {
    let factor = symmetric(x).cholesky().unwrap();
    mix(&factor.l()) + factor.determinant() + mix(&factor.solve(&Vector4::from_column_slice(&x[16..20])))
}

fn symmetric_eigenvalues<T: Number>(x: &[T]) -> T {
    let mut values: Vec<T> = symmetric(x).symmetric_eigenvalues().iter().copied().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    mix(&values)
}

/// A function of a matrix, which knows neither signs nor order of the eigenvectors.
fn symmetric_eigen<T: Number>(x: &[T]) -> T {
    let SymmetricEigen { eigenvectors: v, eigenvalues: w } = symmetric(x).symmetric_eigen();
    mix(&(v * Matrix4::from_diagonal(&w.map(|w| w.ln() + w.sqrt())) * v.transpose()))
}

fn singular_values<T: Number>(x: &[T]) -> T {
    mix(&DMatrix::from_row_slice(5, 4, &x[..20]).singular_values())
}

fn svd<T: Number>(x: &[T]) -> T {
    let svd = DMatrix::from_row_slice(5, 4, &x[..20]).svd(true, true);
    let (u, v_t) = (svd.u.as_ref().unwrap(), svd.v_t.as_ref().unwrap());
    let of_matrix = u * DMatrix::from_diagonal(&svd.singular_values.map(|s| s.tanh())) * v_t;
    mix(&of_matrix) + mix(&svd.pseudo_inverse(num(1e-9)).unwrap())
}

fn qr<T: Number>(x: &[T]) -> T {
    let qr = DMatrix::from_row_slice(5, 4, &x[..20]).qr();
    mix(&qr.q()) + mix(&qr.r())
}

/// A reflection of a column that begins with zero.
fn qr_of_zeros<T: Number>(x: &[T]) -> T {
    let mut a = DMatrix::from_row_slice(5, 4, &x[..20]);
    for (i, x) in numbers(3).into_iter().enumerate() {
        a[(0, i)] -= num(x);
    }
    let qr = a.qr();
    mix(&qr.q()) + mix(&qr.r())
}

fn least_squares<T: Number>(x: &[T]) -> T {
    let qr = DMatrix::from_row_slice(5, 3, &x[..15]).qr();
    let right = qr.q().transpose() * DVector::from_column_slice(&x[15..20]);
    mix(&qr.r().solve_upper_triangular(&right).unwrap())
}

fn exponential<T: Number>(x: &[T]) -> T {
    mix(&matrix(x, 0.0).exp()) + mix(&(matrix(x, 1.0) * num::<T>(4.0)).exp()) * num(1e-5)
}

fn schur<T: Number>(x: &[T]) -> T {
    let (q, t) = symmetric(x).schur().unpack();
    mix(&(q * t.map(|t| t * t) * q.transpose()))
}

fn vector<T: Number>(x: &[T]) -> Vector3<T> {
    Vector3::from_column_slice(&x[..3])
}

fn isometry<T: Number>(x: &[T]) -> T {
    let motion = Isometry3::new(vector(x), vector(&x[3..]));
    let other = Isometry3::new(vector(&x[6..]), vector(&x[9..]));
    let point = Point3::from(vector(&x[12..]));
    let moved = (motion * other.inverse()) * point + motion.inverse_transform_vector(&vector(x));
    let between = motion.lerp_slerp(&other, num(0.3));
    mix(&moved.coords) + mix(&(between * point).coords) + mix(&motion.to_homogeneous())
}

fn unit_quaternion<T: Number>(x: &[T]) -> T {
    let a = UnitQuaternion::from_euler_angles(x[0], x[1], x[2]);
    let b = UnitQuaternion::from_scaled_axis(vector(&x[3..]));
    let c = UnitQuaternion::rotation_between(&vector(&x[6..]), &vector(&x[9..])).unwrap();
    let (roll, pitch, yaw) = (a * b).euler_angles();
    let power = (a.inverse() * c).powf(num(0.4));
    mix(&a.slerp(&b, num(0.3)).coords)
        + mix(&power.coords)
        + mix(&[roll, pitch, yaw, a.angle_to(&c), b.angle()])
        + mix(&(c * vector(x)))
}

fn rotation<T: Number>(x: &[T]) -> T {
    let a = Rotation3::from_axis_angle(&Unit::new_normalize(vector(x)), x[3]);
    let b = Rotation3::new(vector(&x[4..]));
    let c = Rotation3::face_towards(&vector(&x[7..]), &vector(&x[10..]));
    let (roll, pitch, yaw) = (a * b).euler_angles();
    let power = (a / c).powf(num(0.7));
    let nearest = Rotation3::from_matrix(&(a.matrix() + Matrix3::identity() * num::<T>(0.1)));
    mix(power.matrix())
        + mix(&[roll, pitch, yaw, a.angle(), a.angle_to(&b)])
        + mix(&b.scaled_axis())
        + mix(nearest.matrix())
}

fn norms<T: Number>(x: &[T]) -> T {
    let a = DMatrix::from_row_slice(5, 4, &x[..20]);
    a.norm() + a.column(0).normalize().dot(&a.column(1)) + a.lp_norm(3) + a.variance() + a.max() * a.min() + a.camax()
}

pub(crate) fn matrices() -> Vec<Comparison> {
    let cases = [
        (case!(lu_solve), 1e-9),
        (case!(lu_with_exchanged_rows), 1e-9),
        (case!(inverse), 1e-9),
        (case!(cholesky), 1e-9),
        (case!(symmetric_eigenvalues), 1e-8),
        (case!(symmetric_eigen), 1e-8),
        (case!(singular_values), 1e-8),
        (case!(svd), 1e-8),
        (case!(qr), 1e-9),
        (case!(qr_of_zeros), 1e-9),
        (case!(least_squares), 1e-9),
        (case!(exponential), 1e-9),
        (case!(schur), 1e-8),
        (case!(norms), 1e-9),
    ];
    cases.map(|(case, tolerance)| case.at(&numbers(20), tolerance)).into()
}

pub(crate) fn motions() -> Vec<Comparison> {
    [case!(isometry), case!(unit_quaternion), case!(rotation)].map(|case| case.at(&numbers(15), 1e-8)).into()
}

#[test]
fn factorisations() {
    matrices().iter().for_each(|case| _ = case.check());
}

#[test]
fn rotations_and_motions() {
    motions().iter().for_each(|case| _ = case.check());
}
