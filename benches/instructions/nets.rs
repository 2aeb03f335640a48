//! Training steps.

#[allow(unreachable_pub)]
#[path = "../nets/rows.rs"]
mod rows;

#[allow(dead_code, unreachable_pub)]
#[path = "../nets/suite.rs"]
mod suite;

use std::rc::Rc;

use super::Row;
use suite::{Model, NETS, Problem};

/// The rows of `cargo bench --bench training`, under the same names.
pub(super) fn training() -> Vec<Row> {
    type Make = fn(&Rc<Problem>) -> Box<dyn Model>;
    let idioms: [(&str, Make); 2] = [("plain", rows::plain), ("best", rows::best)];
    let mut rows = vec![];
    for net in &NETS {
        for (idiom, make) in idioms {
            rows.push(Row::new(format!("{}/{idiom}", net.name), move || {
                let mut model = make(&Rc::new(net.problem()));
                Box::new(move || model.step())
            }));
        }
    }
    rows
}
