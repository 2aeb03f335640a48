//! geo: areas, lengths and centres of shapes, on the plane and on the sphere.

use geo::{
    Area, ChaikinSmoothing, ChamberlainDuquetteArea, Coord, CoordFloat, Distance, Euclidean, Haversine, Length,
    LineString, Point, Polygon,
};
use num_traits::FromPrimitive;

use crate::harness::{Comparison, case, numbers};

/// A closed line around the origin, whose points are moved by `x`.
fn ring<T: CoordFloat>(x: &[T]) -> LineString<T> {
    let number = |x: f64| T::from(x).unwrap();
    let n = x.len() / 2;
    let corner = |i: usize| {
        let (sin, cos) = (std::f64::consts::TAU * i as f64 / n as f64).sin_cos();
        Coord { x: number(3.0 * cos) + x[2 * i], y: number(3.0 * sin) + x[2 * i + 1] }
    };
    (0..=n).map(|i| corner(i % n)).collect()
}

fn area_and_length<T: CoordFloat + FromPrimitive>(x: &[T]) -> T {
    let ring = ring(x);
    let smooth = Polygon::new(ring.clone(), vec![]).chaikin_smoothing(2);
    smooth.unsigned_area() + Euclidean.length(&ring) + Euclidean.length(smooth.exterior())
}

fn on_the_sphere<T: CoordFloat + FromPrimitive>(x: &[T]) -> T {
    let ring = ring(x);
    let (start, end) = (Point::from(ring.0[0]), Point::from(ring.0[2]));
    let scale = T::from(1e-5).unwrap();
    let area = Polygon::new(ring.clone(), vec![]).chamberlain_duquette_unsigned_area();
    (Haversine.length(&ring) + Haversine.distance(start, end)) * scale + area * scale * scale
}

pub(crate) fn shapes() -> Vec<Comparison> {
    [case!(area_and_length), case!(on_the_sphere)].map(|case| case.at(&numbers(12), 1e-8)).into()
}

#[test]
fn areas_and_lengths() {
    shapes().iter().for_each(|case| _ = case.check());
}
