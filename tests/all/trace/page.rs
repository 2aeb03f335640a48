//! The page of a trace: what it says at each place, in a browser where there is one.

use std::path::PathBuf;
use std::process::Command;

use wengert::trace::{Trace, trace, trace_of};

fn two_layers() -> Trace {
    let (x, y) = (0.7, 0.9);
    trace(["w1", "b1", "w2", "b2"], |[w1, b1, w2, b2]| (w2 * (w1 * x + b1) + b2 - y).powi(2), [0.5, -0.3, 1.2, 0.1])
}

#[test]
fn the_page_loads_nothing() {
    let page = two_layers().to_html();
    assert!(page.contains("default-src 'none'"));
    let addresses: Vec<&str> = page.match_indices("http").map(|(i, _)| &page[i..i + 26]).collect();
    assert_eq!(
        addresses,
        ["http-equiv=\"Content-Securi", "http://www.w3.org/2000/svg"],
        "an address beside the name of SVG"
    );
    assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("import "));
}

#[test]
fn names_cannot_leave_their_strings() {
    let names = ["</script><b id=x>", "\"];\\\u{2028}", "/*DATA*/"];
    let page = trace(names, |[a, b, c]| a * b * c, [1.0, 2.0, 3.0]).to_html();
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains(r#""name": "\u003c/script\u003e\u003cb id=x\u003e""#), "{page}");
    assert!(page.contains(r#""name": "\"];\\\u2028""#), "{page}");
    assert!(page.contains("&lt;b id=x&gt;"));
}

#[test]
fn adjoints_add_up_in_the_order_of_the_sweep() {
    let page = trace(["x"], |[x]| x * x + 2.0 * x, [3.0]).to_html();
    // v1 = x * x, v2 = 2 * x, v3 = v1 + v2: first 2 from v2, then 3 and 3 from v1.
    assert!(page.contains(r#""by": "2", "value": "2", "sum": "2""#), "{page}");
    assert!(page.contains(r#""by": "3", "value": "3", "sum": "5""#), "{page}");
    assert!(page.contains(r#""by": "3", "value": "3", "sum": "8""#), "{page}");
}

fn chain(steps: usize) -> Trace {
    trace_of(&["x"], |x| (0..steps).fold(x[0], |y, _| y.sin()), &[0.5])
}

#[test]
fn long_traces_say_what_is_left_out() {
    assert!(chain(149).to_html().contains(r#""graph": true, "notice": null"#));
    let page = chain(150).to_html();
    assert!(page.contains(r#""graph": false, "notice": "A graph of 151 steps cannot be read"#));
    let page = chain(2_000).to_html();
    assert!(page.contains("The trace has 2001 steps; a page shows at most 2000."));
    assert!(page.len() < 40_000, "{}", page.len());
}

/// A browser of the Chromium family: the file named in `CHROME`, else one of the usual names.
fn browser() -> Option<PathBuf> {
    let usual = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].map(PathBuf::from);
    let named = std::env::var_os("CHROME").map(PathBuf::from);
    named
        .into_iter()
        .chain(usual)
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// The document that a browser makes of a page, after its scripts have run. `None` where there is no browser.
fn opened(name: &str, page: &str, place: &str) -> Option<String> {
    let Some(browser) = browser() else {
        eprintln!("no browser: {name} is not tested (install chromium, or name one in CHROME)");
        return None;
    };
    let folder = std::env::temp_dir().join(format!("wengert-page-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("trace.html");
    std::fs::write(&file, page).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}{place}", file.display()))
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The text of the element that says what happens at a place.
fn said(document: &str) -> String {
    let (_, rest) = document.split_once("<section id=\"says\"").unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    let (inner, _) = rest.split_once("</section>").unwrap();
    let mut text = String::new();
    let mut in_tag = false;
    for c in inner.chars() {
        match c {
            '<' => in_tag = true,
            '>' => (in_tag, text) = (false, text + " "),
            _ if !in_tag => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("&lt;", "<").replace("&gt;", ">")
}

#[test]
fn a_browser_shows_each_place() {
    let page = two_layers().to_html();
    for (place, text) in [
        ("", "The inputs have their values. w1 = 0.5, b1 = -0.3, w2 = 1.2, b2 = 0.1"),
        ("#2", "Forward, operation 2 of 6 v2 = v1 + b1 = 0.35 + (-0.3) = 0.05"),
        ("#7", "The turn: a change of the result changes the result by as much. v̄6 = 1"),
        (
            "#8",
            "Back: v6 = v5^2 passes its adjoint on, times the partial of each operand v̄5 += v̄6 · 2*v5 = 1 · (-1.48) = -1.48 (so far -1.48)",
        ),
        (
            "#14",
            "The gradient: every partial derivative, by one sweep. ∂/∂w1 = -1.2432, ∂/∂b1 = -1.776, ∂/∂w2 = -0.074, ∂/∂b2 = -1.48",
        ),
        (
            "#99",
            "The gradient: every partial derivative, by one sweep. ∂/∂w1 = -1.2432, ∂/∂b1 = -1.776, ∂/∂w2 = -0.074, ∂/∂b2 = -1.48",
        ),
    ] {
        let Some(document) = opened(&format!("place{}", &place.replace('#', "-")), &page, place) else { return };
        assert_eq!(said(&document), text, "at {place:?}");
        assert_eq!(document.matches("<rect").count(), 10, "four inputs and six operations");
    }
}

#[test]
fn keys_clicks_and_the_slider_move_the_page() {
    let acts = "
        const key = name => document.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
        const visited = [];
        const note = () => visited.push(document.body.dataset.place);
        key('ArrowRight'); key('ArrowRight'); note();
        key('ArrowLeft'); note();
        key('End'); key('ArrowRight'); note();
        key('Home'); key('ArrowLeft'); note();
        document.getElementById('next').click(); note();
        document.querySelectorAll('tbody tr')[9].click(); note();
        document.querySelectorAll('svg g')[9].dispatchEvent(new MouseEvent('click')); note();
        const slider = document.getElementById('place');
        slider.value = 5; slider.dispatchEvent(new Event('input')); note();
        dispatchEvent(new Event('beforeprint')); note();
        dispatchEvent(new Event('afterprint')); note();
        document.title = visited.join(' ');
    ";
    let page = two_layers().to_html().replace("</script>", &format!("{acts}</script>"));
    let Some(document) = opened("keys", &page, "") else { return };
    assert!(document.contains("<title>2 1 14 0 1 6 8 5 14 5</title>"), "{:?}", document.split("<style>").next());
}

#[test]
fn a_browser_shows_unusual_traces() {
    let constant = trace(["x"], |_| 2.0.into(), [1.0]).to_html();
    let Some(document) = opened("constant", &constant, "#9") else { return };
    assert_eq!(said(&document), "The inputs have their values. x = 1");

    let names = trace(["<b>", "&amp;"], |[a, b]| a / b, [1.0, 0.0]).to_html();
    let document = opened("names", &names, "#1").unwrap();
    assert_eq!(said(&document).replace("&amp;", "&"), "Forward, operation 1 of 1 v1 = <b> / &amp; = 1 / 0 = inf");

    let long = opened("long", &chain(300).to_html(), "").unwrap();
    assert!(long.contains("A graph of 301 steps cannot be read") && !long.contains("<svg"));
    let longest = opened("longest", &chain(3_000).to_html(), "").unwrap();
    assert!(longest.contains("a page shows at most 2000") && !longest.contains("<tbody>"));
}
