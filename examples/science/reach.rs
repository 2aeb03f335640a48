//! A robot's arm reaches for a point, through code of nalgebra that knows nothing of derivatives.
//!
//! The arm has six joints, and its hand is where six motions of nalgebra lead, one after the other. The Jacobian of the
//! hand's position by the angles is one call of `statics::jacobian`. With it the damped least-squares method
//! Δq = Jᵀ(JJᵀ + λ²I)⁻¹ e brings the hand to the target (Wampler 1986, "Manipulator inverse kinematic solutions based on
//! vector formulations and damped least-squares methods", IEEE Transactions on Systems, Man, and Cybernetics 16(1)).
//!
//! ```text
//! cargo run --release --example reach --features nalgebra
//! ```

use nalgebra::{Isometry3, Matrix3, Matrix3xX, Point3, RealField, Translation3, UnitQuaternion, Vector3, convert};
use wengert::statics;

/// For each joint its axis, and the link from it to the next one in meters.
const JOINTS: [([f64; 3], [f64; 3]); 6] = [
    ([0.0, 0.0, 1.0], [0.0, 0.0, 0.4]),
    ([0.0, 1.0, 0.0], [0.0, 0.0, 0.5]),
    ([0.0, 1.0, 0.0], [0.0, 0.0, 0.3]),
    ([0.0, 0.0, 1.0], [0.0, 0.0, 0.2]),
    ([0.0, 1.0, 0.0], [0.0, 0.0, 0.1]),
    ([0.0, 0.0, 1.0], [0.05, 0.0, 0.1]),
];

/// The position of the hand for angles in radians.
fn hand<T: RealField + Copy>(angles: &[T]) -> Point3<T> {
    let mut arm = Isometry3::identity();
    for (&angle, (axis, link)) in angles.iter().zip(JOINTS) {
        let turn = UnitQuaternion::from_scaled_axis(Vector3::from(axis.map(convert::<f64, T>)) * angle);
        arm = arm * turn * Translation3::from(link.map(convert::<f64, T>));
    }
    arm * Point3::origin()
}

fn main() {
    let target = Point3::new(0.6, -0.5, 0.7);
    let mut angles = [0.3, 0.4, 0.5, 0.2, 0.3, 0.1];
    println!("step   hand                            distance");
    for step in 0..20 {
        let at = hand(&angles);
        let error = target - at;
        println!("{step:4}   {:8.5} {:8.5} {:8.5}   {:10.3e}", at.x, at.y, at.z, error.norm());
        if error.norm() < 1e-12 {
            break;
        }
        let jacobian = statics::jacobian(|q| hand(q).coords.data.0[0], &angles);
        let j = Matrix3xX::from_row_iterator(angles.len(), jacobian);
        let damped: Matrix3<f64> = &j * j.transpose() + Matrix3::identity() * (0.01 * error.norm_squared());
        let step = j.transpose() * damped.cholesky().expect("a damped matrix is positive definite").solve(&error);
        for (angle, step) in angles.iter_mut().zip(&step) {
            *angle += step;
        }
    }
    let distance = (target - hand(&angles)).norm();
    assert!(distance < 1e-12, "the hand is {distance} m away");
    println!("angles {angles:.4?}");
}
