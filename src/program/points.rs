//! Many points at once.

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, s};

use super::error::PointsFailed;
use super::program::Program;
use crate::number::BaseFloat;
use crate::recording::BranchChanged;
#[cfg(feature = "parallel")]
use crate::slices::team;

/// The points that failed, and the error of the first of them.
type Failures = Vec<(usize, BranchChanged)>;

/// The points of a batch.
#[derive(Clone, Copy)]
struct Points<'a, F> {
    /// (points, inputs)
    x: ArrayView2<'a, F>,
    /// (points, data), where data differ from point to point.
    data: Option<ArrayView2<'a, F>>,
}

#[cfg(feature = "parallel")]
impl<F> Points<'_, F> {
    /// Some of the points.
    fn some(self, rows: std::ops::Range<usize>) -> Self {
        let x = self.x.slice_move(s![rows.clone(), ..]);
        Self { x, data: self.data.map(|data| data.slice_move(s![rows, ..])) }
    }
}

impl<F: BaseFloat> Program<F> {
    /// Values and gradients at many points: `x` and `gradients` have the shape (points, inputs), `values` has the shape
    /// (points). The numbers are those of [`value_and_grad`](Self::value_and_grad), bit for bit.
    ///
    /// ```
    /// use ndarray::{Array1, Array2, array};
    /// use wengert::Program;
    ///
    /// let mut f = Program::new(|x| x[0] * x[1], &[1.0, 1.0])?;
    /// let x = array![[1.0, 2.0], [3.0, 4.0]];
    /// let (mut values, mut gradients) = (Array1::zeros(2), Array2::zeros((2, 2)));
    /// f.batch(x.view(), values.view_mut(), gradients.view_mut())?;
    /// assert_eq!((values, gradients), (array![2.0, 12.0], array![[2.0, 1.0], [4.0, 3.0]]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded at some points. The results of all others are written.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit, or if there are several outputs.
    #[track_caller]
    pub fn batch(
        &mut self,
        x: ArrayView2<'_, F>,
        values: ArrayViewMut1<'_, F>,
        gradients: ArrayViewMut2<'_, F>,
    ) -> Result<(), PointsFailed> {
        self.check_scalar("batch");
        let (points, n) = x.dim();
        assert!(
            n == self.inputs() && gradients.dim() == (points, n) && values.len() == points,
            "batch: points of shape {:?}, values of {:?} and gradients of {:?} for {} inputs; give (points, inputs), \
             (points) and (points, inputs)",
            x.shape(),
            values.shape(),
            gradients.shape(),
            self.inputs()
        );
        run(self, Points { x, data: None }, values, gradients)
    }

    /// Values and gradients at many points with data of their own, such as the gradient of each sample's loss: `data` has
    /// the shape (points, data), `x` the shape (points, inputs), or (1, inputs) if all points share the inputs; `values` and
    /// `gradients` are those of [`batch`](Self::batch). The numbers are those of [`set_data`](Self::set_data) and
    /// [`value_and_grad`](Self::value_and_grad), bit for bit. The program's own data stay as they are.
    ///
    /// ```
    /// use ndarray::{Array1, Array2, array};
    /// use wengert::Program;
    ///
    /// // The squared error of a line at one sample.
    /// let mut f = Program::with_data(|p, d| (p[0] * d[0] + p[1] - d[1]).square(), &[0.0, 0.0], &[0.0, 0.0])?;
    /// let samples = array![[1.0, 1.0], [2.0, 0.0], [3.0, 5.0]];
    /// let (mut values, mut gradients) = (Array1::zeros(3), Array2::zeros((3, 2)));
    /// f.batch_data(array![[1.0, 0.0]].view(), samples.view(), values.view_mut(), gradients.view_mut())?;
    /// assert_eq!(values, array![0.0, 4.0, 4.0]);
    /// assert_eq!(gradients, array![[0.0, 0.0], [8.0, 4.0], [-12.0, -4.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a comparison comes out otherwise than recorded at some points. The results of all others are written.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit, or if there are several outputs.
    #[track_caller]
    pub fn batch_data(
        &mut self,
        x: ArrayView2<'_, F>,
        data: ArrayView2<'_, F>,
        values: ArrayViewMut1<'_, F>,
        gradients: ArrayViewMut2<'_, F>,
    ) -> Result<(), PointsFailed> {
        self.check_scalar("batch_data");
        let points = data.nrows();
        let shared = x.broadcast((points, self.inputs())).filter(|_| x.ncols() == self.inputs());
        let fits = gradients.dim() == (points, self.inputs()) && values.len() == points;
        let Some(at) = shared.filter(|_| fits && data.ncols() == self.data().len()) else {
            panic!(
                "batch_data: points of shape {:?}, data of {:?}, values of {:?} and gradients of {:?} for {} inputs and {} \
                 data; give (points, inputs) or (1, inputs), (points, data), (points) and (points, inputs)",
                x.shape(),
                data.shape(),
                values.shape(),
                gradients.shape(),
                self.inputs(),
                self.data().len()
            );
        };
        run(self, Points { x: at, data: Some(data) }, values, gradients)
    }
}

/// Values and gradients at all points: see [`Program::batch`].
fn run<F: BaseFloat>(
    program: &mut Program<F>,
    at: Points<'_, F>,
    values: ArrayViewMut1<'_, F>,
    gradients: ArrayViewMut2<'_, F>,
) -> Result<(), PointsFailed> {
    let points = values.len();
    let failures = on_threads(program, at, values, gradients);
    let Some((_, first)) = failures.first() else { return Ok(()) };
    let mut failed = vec![false; points];
    for &(point, _) in &failures {
        failed[point] = true;
    }
    Err(PointsFailed { failed, first: first.clone() })
}

#[cfg(not(feature = "parallel"))]
use part as on_threads;

/// Splits the points among several threads.
#[cfg(feature = "parallel")]
fn on_threads<F: BaseFloat>(
    program: &mut Program<F>,
    at: Points<'_, F>,
    mut values: ArrayViewMut1<'_, F>,
    mut gradients: ArrayViewMut2<'_, F>,
) -> Failures {
    /// The operations below which threads do not pay.
    const FEW: usize = 200_000;
    let points = values.len();
    let threads = team::threads().min(points);
    if threads < 2 || points.saturating_mul(program.operations()) < FEW {
        return part(program, at, values, gradients);
    }
    let each = points.div_ceil(threads);
    let mut parts: Vec<_> = values
        .axis_chunks_iter_mut(Axis(0), each)
        .zip(gradients.axis_chunks_iter_mut(Axis(0), each))
        .enumerate()
        .map(|(k, (values, gradients))| {
            (program.clone(), at.some(k * each..points.min((k + 1) * each)), values, gradients)
        })
        .collect();
    let failures = team::map(&mut parts, &|_, (program, at, values, gradients)| {
        part(program, *at, values.view_mut(), gradients.view_mut())
    });
    let shifted = |(k, list): (usize, Failures)| list.into_iter().map(move |(point, error)| (k * each + point, error));
    failures.into_iter().enumerate().flat_map(shifted).collect()
}

/// The points of one thread.
fn part<F: BaseFloat>(
    program: &mut Program<F>,
    Points { x, data }: Points<'_, F>,
    mut values: ArrayViewMut1<'_, F>,
    mut gradients: ArrayViewMut2<'_, F>,
) -> Failures {
    let (points, n) = x.dim();
    let mut failures = Vec::new();
    // The points that the lanes leave to a run of their own.
    let mut left = Vec::new();
    if let Some(lanes) = program.points(data.is_some()) {
        let width = lanes.width();
        for from in (0..points).step_by(width) {
            let these = from..points.min(from + width);
            lanes.set_lanes(0, x.slice(s![these.clone(), ..]));
            if let Some(data) = data {
                lanes.set_lanes(n, data.slice(s![these.clone(), ..]));
            }
            lanes.run(these.len());
            let bad = lanes.results(values.slice_mut(s![these.clone()]), gradients.slice_mut(s![these, ..]));
            left.extend(bad.iter().map(|lane| from + lane));
        }
    } else {
        left.extend(0..points);
    }
    if left.is_empty() {
        return failures;
    }
    let (mut point, mut gradient) = (vec![F::zero(); n], vec![F::zero(); n]);
    let own = data.map(|_| program.data().to_vec());
    let own = OwnData { program, own };
    let program = &mut *own.program;
    for i in left {
        let row = x.index_axis(Axis(0), i);
        let at = row.as_slice().unwrap_or_else(|| {
            copy(&mut point, row);
            &point
        });
        if let Some(data) = data {
            copy(program.data_mut(), data.index_axis(Axis(0), i));
        }
        // Where the branch changes, nothing is written.
        let mut to = gradients.index_axis_mut(Axis(0), i);
        let result = match to.as_slice_mut() {
            Some(to) => program.value_and_grad(at, to),
            None => program.value_and_grad(at, &mut gradient).inspect(|_| copy_to(to, &gradient)),
        };
        match result {
            Ok(value) => values[i] = value,
            Err(error) => failures.push((i, error)),
        }
    }
    failures
}

/// Gives a program its own data back on drop, also when a run panics.
struct OwnData<'a, F: BaseFloat> {
    program: &'a mut Program<F>,
    own: Option<Vec<F>>,
}

impl<F: BaseFloat> Drop for OwnData<'_, F> {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            self.program.data_mut().copy_from_slice(own);
        }
    }
}

fn copy<F: Copy>(to: &mut [F], from: ArrayView1<'_, F>) {
    to.iter_mut().zip(from).for_each(|(to, &x)| *to = x);
}

fn copy_to<F: Copy>(to: ArrayViewMut1<'_, F>, from: &[F]) {
    to.into_iter().zip(from).for_each(|(to, &x)| *to = x);
}
