//! A trace as a page for a browser: the graph, the table, and a slider through the forward pass and back.

use std::fmt::Write;

use super::table::Trace;
use crate::recording::expr::{Binding, Style, short};
use crate::recording::{Source, Step};

/// The page, with marks in the places of the data and of the printed table.
const PAGE: &str = include_str!("page.html");

/// More boxes than these cannot be read on a screen.
const MOST_BOXES: usize = 150;

/// A page of more steps is slow to open, and nobody moves through them one by one.
const MOST_STEPS: usize = 2_000;

impl Trace {
    /// The trace as a page for a browser: one file that loads nothing, with the graph, the table, and a slider that
    /// moves forward through the operations and then back through the sweep. Each step shows its operands, the numbers
    /// that flow, and the adjoints so far.
    ///
    /// The page works by keys (left, right, Home, End), by clicks on rows and boxes, in light and dark, and prints the
    /// whole table. An address such as `trace.html#3` opens it at a place.
    ///
    /// A page with more than 150 steps, inputs included, has no graph. More than 2,000 steps are not shown at all; the
    /// page then says so. [`Picture`](super::Picture) draws traces of any length, folded.
    ///
    /// ```no_run
    /// use wengert::trace;
    ///
    /// let page = trace(["w", "x"], |[w, x]| (w * x).sin(), [0.5, 2.0]).to_html();
    /// std::fs::write("trace.html", page)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn to_html(&self) -> String {
        let steps = self.recording.steps.len();
        let shown = steps <= MOST_STEPS;
        let notice = match steps {
            0..=MOST_BOXES => None,
            _ if shown => Some(format!("A graph of {steps} steps cannot be read: above {MOST_BOXES} it is left out.")),
            _ => Some(format!(
                "The trace has {steps} steps; a page shows at most {MOST_STEPS}. `println!(\"{{trace}}\")` prints them all, and `trace.picture().to_dot()` draws them folded."
            )),
        };
        let output = match self.output {
            Source::Step(i) if shown => i.to_string(),
            _ => "null".to_owned(),
        };
        let data = format!(
            "{{\"output\": {output}, \"graph\": {}, \"notice\": {}, \"steps\": [{}]}}",
            steps <= MOST_BOXES,
            notice.map_or_else(|| "null".to_owned(), |text| quoted(&text)),
            if shown { self.steps_as_json() } else { String::new() }
        );
        let text = if shown { escaped(&self.to_string()) } else { format!("{steps} steps: too many for a page.") };
        let (head, rest) = PAGE.split_once("/*TEXT*/").expect("a mark of the page");
        let (middle, tail) = rest.split_once("/*DATA*/").expect("a mark of the page");
        [head, &text, middle, &data, tail].concat()
    }

    /// The steps as the script of the page reads them. Numbers are texts, so that they look as in the table.
    fn steps_as_json(&self) -> String {
        let recording = &self.recording;
        let names = recording.step_names();
        let in_place = |&x: &f64| if x.is_sign_negative() { format!("({})", short(x)) } else { short(x) };
        let numbers: Vec<String> = recording.values.iter().map(in_place).collect();
        let live = recording.live(self.output);
        let sums = self.sums();
        let mut json = String::new();
        for (i, step) in recording.steps.iter().enumerate() {
            let operands = step.operands().iter().filter_map(|x| match x {
                Source::Step(i) => Some(i.to_string()),
                Source::Constant(_) => None,
            });
            let adds = self.contributions[i].iter().zip(&sums[i]).map(|(c, &sum)| {
                format!(
                    "{{\"to\": {}, \"partial\": {}, \"by\": {}, \"value\": {}, \"sum\": {}}}",
                    c.to,
                    quoted(&Style::Text.within(&c.partial, Binding::Product)),
                    quoted(&in_place(&recording.partial(i, c.place))),
                    quoted(&short(c.value)),
                    quoted(&short(sum))
                )
            });
            let _ = write!(
                json,
                "{}\n{{\"name\": {}, \"bar\": {}, \"text\": {}, \"numbers\": {}, \"value\": {}, \"adjoint\": {}, \"input\": {}, \"live\": {}, \"operands\": [{}], \"adds\": [{}]}}",
                if i == 0 { "" } else { "," },
                quoted(&names[i]),
                quoted(&Style::Text.bar(&names[i])),
                quoted(&recording.step_text(i, &names, Style::Text)),
                quoted(&recording.step_text(i, &numbers, Style::Text)),
                quoted(&short(recording.values[i])),
                quoted(&short(self.adjoints[i])),
                matches!(step, Step::Input(_)),
                live[i],
                operands.collect::<Vec<_>>().join(", "),
                adds.collect::<Vec<_>>().join(", ")
            );
        }
        json
    }

    /// For each contribution, the adjoint of its operand after it was added, in the order of the sweep.
    fn sums(&self) -> Vec<Vec<f64>> {
        let mut adjoints = vec![0.0; self.adjoints.len()];
        let mut sums = vec![Vec::new(); self.adjoints.len()];
        for (i, contributions) in self.contributions.iter().enumerate().rev() {
            for c in contributions {
                adjoints[c.to] += c.value;
                sums[i].push(adjoints[c.to]);
            }
        }
        sums
    }
}

/// A text as a string of JSON that may stand in a script: no `<` ends the script.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            _ => json.push(c),
        }
    }
    json.push('"');
    json
}

/// A text between tags, or the value of an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
