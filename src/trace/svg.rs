//! Pictures as SVG. The crate `layout-rs` lays the graph out in layers (after Sugiyama, Tagawa and Toda,
//! "Methods for visual understanding of hierarchical system structures", IEEE Trans. Systems, Man,
//! and Cybernetics 11(2), 1981; Brandes and Köpf 2002); this file writes the SVG.

use std::fmt::Write;

use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;

use crate::trace::page::escaped;
use crate::trace::picture::{Graph, Picture, Shape};

const NODE_FONT: usize = 15;
const EDGE_FONT: usize = 12;

/// Begins a line that shows an adjoint. The layout engine passes texts through, so the mark tells the lines apart.
const ADJOINT: char = '\u{1}';

impl Picture<'_> {
    /// The picture as SVG: values in black, adjoints in red. Needs the feature `watch`.
    ///
    /// ```
    /// let picture = wengert::trace(["x"], |[x]| x.sin() * x, [0.5]);
    /// assert!(picture.picture().to_svg().contains("v1 = sin(x)"));
    /// ```
    pub fn to_svg(&self) -> String {
        let Graph { nodes, edges } = self.graph();
        let mut layout = VisualGraph::new(Orientation::TopToBottom);
        let handles: Vec<_> = nodes
            .iter()
            .map(|node| {
                let text = format!("{}\n{ADJOINT}{}", node.text, node.adjoint);
                let (shape, fill) = match node.shape {
                    Shape::Input => (ShapeKind::new_box(&text), "#eaf2fb"),
                    Shape::Operation => (ShapeKind::new_box(&text), "#ffffff"),
                    Shape::Output => (ShapeKind::new_box(&text), "#fdf3d8"),
                };
                let rounded = if node.shape == Shape::Input { 15 } else { 3 };
                let look = StyleAttr::new(color("#444444"), 1, Some(color(fill)), rounded, NODE_FONT);
                let lines = text.lines();
                let widest = lines.clone().map(|line| line.chars().count()).max().unwrap_or(0);
                let size = Point::new(widest as f64 * 8.5 + 20.0, lines.count() as f64 * 20.0 + 8.0);
                layout.add_node(Element::create(shape, look, Orientation::TopToBottom, size))
            })
            .collect();
        for edge in &edges {
            let text = match (edge.value.as_str(), edge.adjoint.as_str()) {
                ("", "") => String::new(),
                (value, adjoint) => format!("{value}\n{ADJOINT}{adjoint}"),
            };
            let mut arrow = Arrow::simple(&text);
            arrow.look = StyleAttr::new(color("#888888"), 1, None, 0, EDGE_FONT);
            layout.add_edge(arrow, handles[edge.ends[0]], handles[edge.ends[1]]);
        }
        let mut svg = Svg::default();
        layout.do_it(false, false, false, &mut svg);
        svg.finish()
    }
}

fn color(web: &str) -> Color {
    Color::fast(web)
}

/// The SVG so far: the layout engine calls its methods to draw.
#[derive(Default)]
struct Svg {
    body: String,
    /// The texts, which are written after the arrows so that they lie on top.
    texts: String,
    width: f64,
    height: f64,
}

impl Svg {
    /// Grows the picture so that it contains a point.
    fn cover(&mut self, x: f64, y: f64) {
        self.width = self.width.max(x + 10.0);
        self.height = self.height.max(y + 10.0);
    }

    fn finish(self) -> String {
        let Self { body, texts, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             font-family=\"DejaVu Sans, Verdana, sans-serif\">\n\
             <defs><marker id=\"tip\" markerWidth=\"9\" markerHeight=\"7\" refX=\"9\" refY=\"3.5\" orient=\"auto\">\
             <path d=\"M0 0L9 3.5L0 7z\" fill=\"#888888\"/></marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}{texts}</svg>\n"
        )
    }
}

impl RenderBackend for Svg {
    fn draw_rect(&mut self, xy: Point, size: Point, look: &StyleAttr, _: Option<String>, _: Option<ClipHandle>) {
        self.cover(xy.x + size.x, xy.y + size.y);
        let fill = look.fill_color.map_or_else(|| "none".to_owned(), |fill| fill.to_web_color());
        let _ = writeln!(
            self.body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{}\" fill=\"{fill}\" stroke=\"{}\"/>",
            xy.x,
            xy.y,
            size.x,
            size.y,
            look.rounded,
            look.line_color.to_web_color()
        );
    }

    fn draw_text(&mut self, middle: Point, text: &str, look: &StyleAttr) {
        let size = look.font_size as f64;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start_matches(ADJOINT).is_empty()).collect();
        let top = middle.y - (lines.len() as f64 - 1.0) * size * 0.65 + size * 0.35;
        for (i, line) in lines.into_iter().enumerate() {
            let y = top + i as f64 * size * 1.3;
            let text = line.trim_start_matches(ADJOINT);
            let fill = if line.starts_with(ADJOINT) { "#b3261e" } else { "#222222" };
            let half = text.chars().count() as f64 * size * 0.3;
            self.cover(middle.x + half, y);
            if look.font_size == EDGE_FONT {
                // A white background, because the label lies on its arrow.
                let _ = writeln!(
                    self.texts,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"white\"/>",
                    middle.x - half,
                    y - size * 0.9,
                    2.0 * half,
                    size * 1.2
                );
            }
            let _ = writeln!(
                self.texts,
                "<text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"middle\" fill=\"{fill}\">{}</text>",
                middle.x,
                escaped(text)
            );
        }
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _: bool,
        _: (bool, bool),
        look: &StyleAttr,
        _: Option<String>,
        _: &str,
    ) {
        let [start, rest @ ..] = path else { return };
        let Some(first) = rest.first() else { return };
        let mut d = format!("M{:.1} {:.1}C{:.1} {:.1},", start.0.x, start.0.y, start.1.x, start.1.y);
        let _ = write!(d, "{:.1} {:.1},{:.1} {:.1}", first.0.x, first.0.y, first.1.x, first.1.y);
        for (control, end) in &rest[1..] {
            let _ = write!(d, "S{:.1} {:.1},{:.1} {:.1}", control.x, control.y, end.x, end.y);
        }
        for (a, b) in path {
            self.cover(a.x.max(b.x), a.y.max(b.y));
        }
        let stroke = look.line_color.to_web_color();
        let _ = writeln!(self.body, "<path d=\"{d}\" fill=\"none\" stroke=\"{stroke}\" marker-end=\"url(#tip)\"/>");
    }

    // A picture has no other elements than boxes, texts and arrows.
    fn draw_line(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}
    fn draw_circle(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}
    fn create_clip(&mut self, _: Point, _: Point, _: usize) -> ClipHandle {
        0
    }
}
