//! Histories, charts and progress bars.

use std::fs;

use wengert::watch::{Chart, ChartError, History, Progress};

#[test]
fn a_history_is_drawn_as_png_and_svg() {
    let folder = std::env::temp_dir().join(format!("wengert-charts-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut history = History::new();
    for epoch in 1..=20 {
        history.push("train loss", 2.0 / f64::from(epoch));
        history.push("test loss", if epoch == 7 { f64::NAN } else { 2.5 / f64::from(epoch) });
    }
    let chart = history.chart("A run", "epoch").y_label("nats").log_y().dots("least", [(20.0, 0.1)]).legend_left();
    let (svg, png) = (folder.join("run.svg"), folder.join("run.png"));
    chart.save(&svg).unwrap();
    chart.save(&png).unwrap();
    let text = fs::read_to_string(&svg).unwrap();
    for label in ["A run", "epoch", "nats", "train loss", "test loss", "least"] {
        // Without a font on the machine no text is drawn.
        assert!(text.contains(label) || !text.contains("<text"), "{label}");
    }
    // Each finite stretch is a line: one of the first curve, two of the other.
    assert!(text.matches("<polyline").count() >= 3);
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));

    assert!(matches!(chart.save(folder.join("run.gif")), Err(ChartError::Extension { .. })));
    assert!(matches!(chart.save(folder.join("no/run.svg")), Err(ChartError::Draw { .. })));
    let empty = Chart::new("Nothing").line("", [(f64::NAN, 1.0)]);
    assert_eq!(empty.save(&svg).unwrap_err().to_string(), r#"the chart "Nothing" has no finite point to draw"#);
    // A constant curve, and a range that the caller sets.
    Chart::new("").line("c", [(0.0, 5.0), (1.0, 5.0)]).y_range(0.0..9.0).save(&svg).unwrap();
    Chart::new("").dots("c", [(3.0, 0.0)]).save(&svg).unwrap();
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn progress_is_silent_without_a_terminal() {
    let progress = Progress::new("epoch {", 3);
    for step in 0..3 {
        progress.step(0.5, 1e-3);
        progress.println(format!("step {step}"));
    }
    progress.finish();
}
