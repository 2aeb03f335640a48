//! Tables of a recording: forward values, adjoints, and the terms between them.

use wengert::trace;

#[test]
fn the_trace_of_two_layers() {
    let (x, y) = (0.7, 0.9);
    let table = trace(
        ["w1", "b1", "w2", "b2"],
        |[w1, b1, w2, b2]| (w2 * (w1 * x + b1) + b2 - y).powi(2),
        [0.5, -0.3, 1.2, 0.1],
    );
    assert_eq!(
        table.to_string(),
        "\
forward ↓      value   │ adjoint ↑     passes on        value
───────────────────────┼───────────────────────────────────────
w1              0.5    │ w̄1 = -1.2432
b1             -0.3    │ b̄1 = -1.776
w2              1.2    │ w̄2 = -0.074
b2              0.1    │ b̄2 = -1.48
v1 = w1 * 0.7   0.35   │ v̄1 = -1.776   w̄1 += v̄1 · 0.7   -1.2432
v2 = v1 + b1    0.05   │ v̄2 = -1.776   v̄1 += v̄2 · 1     -1.776
                       │               b̄1 += v̄2 · 1     -1.776
v3 = w2 * v2    0.06   │ v̄3 = -1.48    w̄2 += v̄3 · v2    -0.074
                       │               v̄2 += v̄3 · w2    -1.776
v4 = v3 + b2    0.16   │ v̄4 = -1.48    v̄3 += v̄4 · 1     -1.48
                       │               b̄2 += v̄4 · 1     -1.48
v5 = v4 - 0.9  -0.74   │ v̄5 = -1.48    v̄4 += v̄5 · 1     -1.48
v6 = v5^2       0.5476 │ v̄6 =  1       v̄5 += v̄6 · 2*v5  -1.48
"
    );
    let markdown = table.to_markdown();
    assert!(markdown.contains("\n| `v6 = v5^2` | `0.5476` | `v̄6 = 1` | `v̄5 += v̄6 · 2*v5` | `-1.48` |\n"), "{markdown}");
    assert!(markdown.contains("\n|  |  |  | `b̄2 += v̄4 · 1` | `-1.48` |\n"), "{markdown}");
    let latex = table.to_latex();
    let row =
        r"v_{6} = v_{5}^{2} & 0.5476 & \bar{v}_{6} = 1 & \bar{v}_{5} \mathrel{+}= \bar{v}_{6} \cdot 2 v_{5} & -1.48";
    assert!(latex.contains(row), "{latex}");
}

#[test]
fn a_cotangent_of_zero_stays_zero() {
    let table = trace(["x"], |[x]| x.sqrt() * 0.0, [0.0]);
    assert_eq!(table.gradient(), [0.0]);
}
