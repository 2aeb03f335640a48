// The pages of this folder as modules of documentation. On a forge the labels of a page lead to files. Here the same
// labels are defined before the page (labels.md), and of two definitions of a label Markdown takes the first: links lead
// to modules, and pictures are part of the text (what pictures/encode.py made of the files). Tests see the page alone, so
// that they name its lines. A page whose programs need a feature is tested where the feature is on.

macro_rules! pages {
    ($($name:ident: $file:literal $([$picture:literal])? $(if $feature:literal)?;)+) => {
        $(
            $(#[cfg(any(not(doctest), feature = $feature))])?
            #[cfg_attr(not(doctest), doc = include_str!("labels.md"))]
            $(#[cfg_attr(not(doctest), doc = concat!("[", $picture, "]: <", include_str!(concat!("pictures/", $picture, ".uri")), ">\n"))])?
            #[doc = include_str!($file)]
            pub mod $name {}
        )+
    };
}

pages! {
    slope: "01-slope.md" ["slope.svg"] if "watch";
    steps: "02-steps.md" ["steps.svg"] if "watch";
    tangents: "03-tangents.md" ["tangents.svg"] if "watch";
    rules: "04-rules.md";
    partials: "05-partials.md";
    cost: "06-cost.md";
    list: "07-list.md" ["trace.png"];
    descent: "08-descent.md" ["descent.svg"] if "watch";
    scalars: "09-scalars.md";
    tensors: "10-tensors.md";
    training: "11-training.md" ["training.svg"] if "watch";
    checking: "12-checking.md";
    saving: "13-saving.md" if "io";
    onwards: "14-onwards.md";
    calls: "calls.md";
    pytorch: "from-pytorch.md" if "io";
    jax: "from-jax.md";
    sympy: "from-sympy.md";
    codipack: "from-codipack.md";
    compare: "../COMPARE.md";
    pending: "notes-pending-weights.md";
    slots: "notes-slots.md";
    records: "notes-records.md";
    programs: "notes-programs.md";
    checker: "notes-checker.md";
}
