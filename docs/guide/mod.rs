// The pages of this folder as modules of documentation. On a forge the labels of a page lead to files. Here the same
// labels are defined before the page (labels.md), and of two definitions of a label Markdown takes the first: links lead
// to modules, and pictures are part of the text (what pictures/encode.py made of the files). Tests see the page alone, so
// that they name its lines.

macro_rules! pages {
    ($($name:ident: $file:literal $($picture:literal)?;)+) => {
        $(
            #[cfg_attr(not(doctest), doc = include_str!("labels.md"))]
            $(#[cfg_attr(not(doctest), doc = concat!("[", $picture, "]: <", include_str!(concat!("pictures/", $picture, ".uri")), ">\n"))])?
            #[doc = include_str!($file)]
            pub mod $name {}
        )+
    };
}

pages! {
    slope: "01-slope.md" "slope.svg";
    steps: "02-steps.md" "steps.svg";
    tangents: "03-tangents.md" "tangents.svg";
    rules: "04-rules.md";
    partials: "05-partials.md";
    cost: "06-cost.md";
    list: "07-list.md" "trace.png";
    descent: "08-descent.md" "descent.svg";
    scalars: "09-scalars.md";
    tensors: "10-tensors.md";
    training: "11-training.md" "training.svg";
    checking: "12-checking.md";
    saving: "13-saving.md";
    onwards: "14-onwards.md";
    calls: "calls.md";
    pytorch: "from-pytorch.md";
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
