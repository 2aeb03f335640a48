//! [`Picture`]: a trace as a graph, written for Graphviz or as SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::table::Trace;
use crate::number::Real;
use crate::recording::expr::{Style, short};
use crate::recording::{Source, Step};

/// The graph of a trace: an arrow leads from each operand to the step that uses the operand. The label of the arrow is
/// the operand's value and the contribution of the step to the operand's adjoint.
///
/// A graph with more nodes than [`max_nodes`](Self::max_nodes) (60 by default) is folded: each node stands for the
/// same number of consecutive steps, and the label of an arrow is the number of values that
/// pass between two nodes.
///
/// ```
/// use wengert::trace;
///
/// let trace = trace(["w", "x"], |[w, x]| (w * x).sin(), [0.5, 2.0]);
/// let dot = trace.picture().to_dot();
/// assert!(dot.starts_with("digraph"));
/// assert!(dot.contains(r#"label="v1 = w * x\n1\n"#));
/// ```
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    trace: &'a Trace,
    max_nodes: usize,
}

/// The kind of a node. A folded node is an `Output` if it contains the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Input,
    Operation,
    Output,
}

#[derive(Debug)]
pub(super) struct GraphNode {
    pub(super) shape: Shape,
    /// One or more lines.
    pub(super) text: String,
    pub(super) adjoint: String,
}

#[derive(Debug)]
pub(super) struct GraphEdge {
    pub(super) ends: [usize; 2],
    pub(super) value: String,
    pub(super) adjoint: String,
}

#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<GraphNode>,
    pub(super) edges: Vec<GraphEdge>,
}

impl Trace {
    /// The trace as a picture.
    pub fn picture(&self) -> Picture<'_> {
        Picture { trace: self, max_nodes: 60 }
    }
}

impl Picture<'_> {
    /// Folds the graph to at most this many nodes.
    ///
    /// # Panics
    ///
    /// If `max_nodes` is 0.
    #[track_caller]
    pub fn max_nodes(self, max_nodes: usize) -> Self {
        assert!(max_nodes > 0, "max_nodes: a picture has at least one node");
        Self { max_nodes, ..self }
    }

    /// The picture in DOT, the language of Graphviz.
    pub fn to_dot(&self) -> String {
        let escaped = |text: &str| text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let graph = self.graph();
        let mut dot = String::from("digraph trace {\n  rankdir=TB;\n  node [fontname=\"sans-serif\"];\n");
        for (i, node) in graph.nodes.iter().enumerate() {
            let shape = if node.shape == Shape::Input { "ellipse" } else { "box" };
            let pen = if node.shape == Shape::Output { ", penwidth=2" } else { "" };
            let text = escaped(format!("{}\n{}", node.text, node.adjoint).trim_end());
            let _ = writeln!(dot, "  n{i} [shape={shape}{pen}, label=\"{text}\"];");
        }
        for GraphEdge { ends: [from, to], value, adjoint } in &graph.edges {
            let label = escaped(format!("{value}\n{adjoint}").trim_end());
            let _ = writeln!(dot, "  n{from} -> n{to} [label=\"{label}\"];");
        }
        dot.push_str("}\n");
        dot
    }

    /// The nodes and edges, folded if there are more than `max_nodes` steps.
    pub(super) fn graph(&self) -> Graph {
        let steps = &self.trace.recording.steps;
        let fold = steps.len().div_ceil(self.max_nodes).max(1);
        let names = self.trace.recording.step_names();
        let firsts = (0..steps.len()).step_by(fold);
        let nodes = firsts.map(|first| self.node(first, fold.min(steps.len() - first), &names)).collect();
        let mut ends: BTreeMap<[usize; 2], Vec<(usize, usize, usize)>> = BTreeMap::new();
        for (i, step) in steps.iter().enumerate() {
            for (place, operand) in step.operands().iter().enumerate() {
                if let Source::Step(j) = *operand
                    && j as usize / fold != i / fold
                {
                    ends.entry([j as usize / fold, i / fold]).or_default().push((j as usize, i, place));
                }
            }
        }
        let edges = ends.into_iter().flat_map(|(ends, values)| self.edges(ends, &values, fold > 1));
        Graph { nodes, edges: edges.collect() }
    }

    /// The node for `len` steps, beginning with step `first`.
    fn node(&self, first: usize, len: usize, names: &[String]) -> GraphNode {
        let Trace { recording, adjoints, output, .. } = self.trace;
        let steps: Vec<Step> = (first..first + len).map(|i| recording.steps.get(i)).collect();
        let is_input = |step: &Step| matches!(step, Step::Input(_));
        let has_output = matches!(output, Source::Step(i) if (first..first + len).contains(&(*i as usize)));
        let shape = match has_output {
            true => Shape::Output,
            false if steps.iter().all(is_input) => Shape::Input,
            false => Shape::Operation,
        };
        if len == 1 {
            let text = recording.step_text(first, names, Style::Text);
            let text = if is_input(&steps[0]) { text } else { format!("{} = {text}", names[first]) };
            return GraphNode {
                shape,
                text: format!("{text}\n{}", short(recording.values[first])),
                adjoint: format!("{} = {}", Style::Text.bar(&names[first]), short(adjoints[first])),
            };
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for step in steps {
            *counts.entry(step.name()).or_default() += 1;
        }
        let counts: Vec<String> = counts.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
        let text = format!("{} … {}\n{}", names[first], names[first + len - 1], counts.join(", "));
        GraphNode { shape, text, adjoint: String::new() }
    }

    /// The arrows between two nodes: one for each operand, or a single one in a folded graph.
    ///
    /// An operand is given as the step that computed it, the step that uses it, and its place among the operands.
    fn edges(&self, ends: [usize; 2], operands: &[(usize, usize, usize)], folded: bool) -> Vec<GraphEdge> {
        if folded {
            let value = if operands.len() == 1 { String::new() } else { format!("{} values", operands.len()) };
            return vec![GraphEdge { ends, value, adjoint: String::new() }];
        }
        let edge = |&(from, to, place): &(usize, usize, usize)| {
            let partial = self.trace.recording.partial(to, place);
            GraphEdge {
                ends,
                value: short(self.trace.recording.values[from]),
                adjoint: short(Real::gated_mul(self.trace.adjoints[to], partial)),
            }
        };
        operands.iter().map(edge).collect()
    }
}
