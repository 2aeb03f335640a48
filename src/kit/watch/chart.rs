//! [`Chart`]: lines and dots as PNG or SVG.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;

/// The colours of Okabe and Ito as red, green and blue; colour-blind eyes can tell them apart.
/// Needs the feature `watch`.
pub const COLOURS: [(u8, u8, u8); 6] =
    [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233)];

const INK: RGBColor = RGBColor(70, 70, 70);

/// Lines and dots over two axes, as PNG or SVG. Needs the feature `watch`.
///
/// Text needs a TrueType font, in an SVG only to be measured. The font is the file named in the environment variable
/// `FONT`, else one from the usual system folders. Without a font a chart is drawn without text.
///
/// ```
/// use wengert::watch::Chart;
///
/// let parabola = (-20..=20).map(|i| f64::from(i) / 10.0).map(|x| (x, x * x));
/// let chart = Chart::new("A parabola").x_label("x").line("x²", parabola).dots("minimum", [(0.0, 0.0)]);
/// # let folder = std::env::temp_dir().join(format!("wengert-doc-chart-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// chart.save(folder.join("parabola.svg"))?;
/// # assert!(std::fs::read_to_string(folder.join("parabola.svg"))?.contains("<circle"));
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chart {
    title: String,
    x_label: String,
    y_label: String,
    x_range: Option<Range<f64>>,
    y_range: Option<Range<f64>>,
    log: [bool; 2],
    legend: SeriesLabelPosition,
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    label: String,
    colour: RGBColor,
    kind: Mark,
    points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    Line,
    Dots,
}

/// The reason that a chart could not be drawn. Needs the feature `watch`.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChartError {
    /// The file's name ends neither in `.png` nor in `.svg`.
    #[non_exhaustive]
    Extension {
        /// The file.
        file: PathBuf,
    },
    /// There is no finite point to draw.
    #[non_exhaustive]
    Empty {
        /// The chart's title.
        title: String,
    },
    /// The file could not be written.
    #[non_exhaustive]
    Draw {
        /// The file.
        file: PathBuf,
        /// The message of the drawing library.
        reason: String,
    },
}

impl fmt::Display for ChartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension { file } => write!(f, "{}: a chart's file name must end in .png or .svg", file.display()),
            Self::Empty { title } => write!(f, "the chart {title:?} has no finite point to draw"),
            Self::Draw { file, reason } => write!(f, "{}: {reason}", file.display()),
        }
    }
}

impl Error for ChartError {}

impl Chart {
    /// Empty axes under a title.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: String::new(),
            y_label: String::new(),
            x_range: None,
            y_range: None,
            log: [false; 2],
            legend: SeriesLabelPosition::UpperRight,
            series: Vec::new(),
        }
    }

    /// Names the horizontal axis.
    #[must_use]
    pub fn x_label(self, label: impl Into<String>) -> Self {
        Self { x_label: label.into(), ..self }
    }

    /// Names the vertical axis.
    #[must_use]
    pub fn y_label(self, label: impl Into<String>) -> Self {
        Self { y_label: label.into(), ..self }
    }

    /// Sets the range of the horizontal axis; the default is the range of the points.
    #[must_use]
    pub fn x_range(self, range: Range<f64>) -> Self {
        Self { x_range: Some(range), ..self }
    }

    /// Sets the range of the vertical axis; the default is the range of the points.
    #[must_use]
    pub fn y_range(self, range: Range<f64>) -> Self {
        Self { y_range: Some(range), ..self }
    }

    /// Makes the horizontal axis logarithmic; points at 0 or below are left out.
    #[must_use]
    pub fn log_x(self) -> Self {
        Self { log: [true, self.log[1]], ..self }
    }

    /// Makes the vertical axis logarithmic; points at 0 or below are left out.
    #[must_use]
    pub fn log_y(self) -> Self {
        Self { log: [self.log[0], true], ..self }
    }

    /// Puts the legend into the upper left corner instead of the right one.
    #[must_use]
    pub fn legend_left(self) -> Self {
        Self { legend: SeriesLabelPosition::UpperLeft, ..self }
    }

    /// Adds a line through points, interrupted at points that are not finite.
    #[must_use]
    pub fn line(self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.series(label, Mark::Line, points)
    }

    /// Adds dots.
    #[must_use]
    pub fn dots(self, label: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.series(label, Mark::Dots, points)
    }

    /// Sets the colour of the last line or dots, as red, green and blue. By default the [`COLOURS`] take turns.
    #[must_use]
    pub fn colour(mut self, (red, green, blue): (u8, u8, u8)) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.colour = RGBColor(red, green, blue);
        }
        self
    }

    fn series(mut self, label: impl Into<String>, kind: Mark, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (red, green, blue) = COLOURS[self.series.len() % COLOURS.len()];
        let points = points.into_iter().collect();
        self.series.push(Series { label: label.into(), colour: RGBColor(red, green, blue), kind, points });
        self
    }

    /// Draws the chart into a file, as PNG or SVG according to the ending of its name.
    ///
    /// # Errors
    ///
    /// If the name ends neither in `.png` nor in `.svg`, an axis has neither a range nor a finite point to derive one
    /// from, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ChartError> {
        const SIZE: (u32, u32) = (860, 540);

        let path = path.as_ref();
        let ranges = self.ranges().ok_or_else(|| ChartError::Empty { title: self.title.clone() })?;
        let text = has_font();
        let drawn = match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => self.draw(&SVGBackend::new(path, SIZE).into_drawing_area(), ranges, 1, text),
            Some("png") => {
                let area = BitMapBackend::new(path, (2 * SIZE.0, 2 * SIZE.1)).into_drawing_area();
                self.draw(&area, ranges, 2, text)
            }
            _ => return Err(ChartError::Extension { file: path.into() }),
        };
        drawn.map_err(|error| ChartError::Draw { file: path.into(), reason: error.to_string() })
    }

    /// A point in drawing coordinates: exponents of ten on a logarithmic axis.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let on = |log: bool, v: f64| if log { v.log10() } else { v };
        (on(self.log[0], x), on(self.log[1], y))
    }

    /// The ranges of both axes in drawing coordinates; `None` if there is no point to derive one from.
    fn ranges(&self) -> Option<[Range<f64>; 2]> {
        let places = || {
            let points = self.series.iter().flat_map(|s| &s.points);
            points.map(|&p| self.place(p)).filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        let fitted = |log: bool, set: &Option<Range<f64>>, axis: fn((f64, f64)) -> f64| {
            if let Some(range) = set {
                return Some(if log { range.start.log10()..range.end.log10() } else { range.clone() });
            }
            let low = places().map(axis).reduce(f64::min)?;
            let high = places().map(axis).reduce(f64::max)?;
            // Leaves room around the points, also if they are all equal.
            let room = if high > low { 0.04 * (high - low) } else { low.abs().max(1.0) * 0.5 };
            Some(low - room..high + room)
        };
        Some([fitted(self.log[0], &self.x_range, |p| p.0)?, fitted(self.log[1], &self.y_range, |p| p.1)?])
    }

    fn draw<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, Shift>,
        [x, y]: [Range<f64>; 2],
        zoom: u32,
        text: bool,
    ) -> Result<(), Box<dyn Error>>
    where
        B::ErrorType: 'static,
    {
        root.fill(&WHITE)?;
        let font = |size: u32| ("sans-serif", size * zoom).into_font().color(&INK);
        let mut builder = ChartBuilder::on(root);
        builder.margin(16 * zoom);
        if text {
            builder.x_label_area_size(44 * zoom).y_label_area_size(66 * zoom).caption(&self.title, font(21));
        }
        let (x_tick, y_tick) = (tick(self.log[0], &x), tick(self.log[1], &y));
        let mut chart = builder.build_cartesian_2d(x, y)?;
        let mut mesh = chart.configure_mesh();
        mesh.axis_style(INK).bold_line_style(RGBColor(226, 226, 226)).light_line_style(WHITE);
        mesh.x_labels(9).y_labels(11);
        if text {
            mesh.x_label_formatter(&x_tick).y_label_formatter(&y_tick).label_style(font(13));
            mesh.x_desc(&self.x_label).y_desc(&self.y_label).axis_desc_style(font(15));
        }
        mesh.draw()?;
        for Series { label, colour, kind, points } in &self.series {
            let style = colour.stroke_width(2 * zoom);
            let places: Vec<(f64, f64)> = points.iter().map(|&p| self.place(p)).collect();
            let radius = 4 * zoom;
            // The finite stretches of a line; only the first has an entry in the legend.
            let is_finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
            let mut label = Some(label).filter(|label| text && !label.is_empty());
            let stretches = places.split(|p| !is_finite(p)).filter(|stretch| !stretch.is_empty());
            for stretch in stretches {
                let drawn = match kind {
                    Mark::Line => chart.draw_series(LineSeries::new(stretch.iter().copied(), style))?,
                    Mark::Dots => {
                        chart.draw_series(stretch.iter().map(|&p| Circle::new(p, radius, colour.filled())))?
                    }
                };
                if let Some(label) = label.take() {
                    let (length, kind, colour) = (i32::try_from(22 * zoom)?, *kind, *colour);
                    drawn.label(label).legend(move |(x, y)| match kind {
                        Mark::Line => PathElement::new([(x, y), (x + length, y)], style).into_dyn(),
                        Mark::Dots => Circle::new((x + length / 2, y), radius, colour.filled()).into_dyn(),
                    });
                }
            }
        }
        if text && self.series.iter().any(|s| !s.label.is_empty()) {
            chart
                .configure_series_labels()
                .position(self.legend.clone())
                .margin(12 * zoom)
                .legend_area_size(32 * zoom)
                .background_style(WHITE.mix(0.9))
                .border_style(RGBColor(200, 200, 200))
                .label_font(font(14))
                .draw()?;
        }
        root.present()?;
        Ok(())
    }
}

/// The format of an axis' numbers, with enough digits to tell its ticks apart.
fn tick(log: bool, range: &Range<f64>) -> impl Fn(&f64) -> String + use<> {
    let span = (range.end - range.start).abs();
    let digits = (1.0 - (span / 10.0).log10()).floor().clamp(0.0, 9.0) as usize;
    move |&v| match (log, v == v.round()) {
        (true, true) => format!("1e{v:.0}"),
        (true, false) => format!("{:.1e}", 10f64.powf(v)),
        (false, true) if span >= 2.0 && v.abs() < 1e6 => format!("{v:.0}"),
        (false, _) if v.abs() < 1e6 => format!("{v:.digits$}"),
        (false, _) => format!("{v:.1e}"),
    }
}

/// Registers a font of this machine with the drawing backends, once; false if there is none.
fn has_font() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let named = std::env::var_os("FONT").map(PathBuf::from);
        let folders = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "C:\\Windows\\Fonts"];
        let Some(file) = named.or_else(|| folders.iter().find_map(|folder| plain_font(Path::new(folder)))) else {
            return false;
        };
        // The backends borrow fonts for the rest of the program.
        let Ok(bytes) = std::fs::read(file) else { return false };
        plotters::style::register_font("sans-serif", FontStyle::Normal, bytes.leak()).is_ok()
    })
}

/// The file of a well-known upright sans-serif font in a folder or its subfolders.
fn plain_font(folder: &Path) -> Option<PathBuf> {
    const NAMES: [&str; 6] = [
        "DejaVuSans.ttf",
        "LiberationSans-Regular.ttf",
        "NotoSans-Regular.ttf",
        "Arial.ttf",
        "arial.ttf",
        "Helvetica.ttf",
    ];
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).collect();
    entries.sort();
    let is_plain = |p: &PathBuf| NAMES.iter().any(|n| p.ends_with(n));
    let found = entries.iter().find(|p| is_plain(p)).cloned();
    found.or_else(|| entries.iter().filter(|p| p.is_dir()).find_map(|p| plain_font(p)))
}
