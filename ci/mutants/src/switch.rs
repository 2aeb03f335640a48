//! Writes all mutants of a source into one copy of it, as switches that an environment variable sets.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::find::{Form, Site, sites};

/// A mutant: variant `variant` (from 1) of a site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Mutant {
    pub(crate) site: usize,
    pub(crate) variant: usize,
}

/// A site and the file it is in.
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) site: Site,
}

/// The sites of all files, and the sources.
pub(crate) struct Switches {
    pub(crate) places: Vec<Place>,
    sources: BTreeMap<String, String>,
    /// What stands where in the written files: the switch of a site, or one of its mutants.
    written: BTreeMap<String, Vec<(Range<usize>, usize, usize)>>,
    /// Mutants that the compiler rejects.
    pub(crate) dropped: HashSet<Mutant>,
}

impl Switches {
    /// Reads the files, whose names are relative to `root`.
    pub(crate) fn read(root: &Path, files: &[String], with_literals: impl Fn(&str) -> bool) -> Self {
        let (mut places, mut sources) = (Vec::new(), BTreeMap::new());
        for file in files {
            let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let found = sites(&source, with_literals(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            places.extend(found.into_iter().map(|site| {
                let line = source[..site.range.start].matches('\n').count() + 1;
                Place { file: file.clone(), line, site }
            }));
            sources.insert(file.clone(), source);
        }
        Self { places, sources, written: BTreeMap::new(), dropped: HashSet::new() }
    }

    /// All mutants, dropped ones included.
    pub(crate) fn mutants(&self) -> impl Iterator<Item = Mutant> + '_ {
        let variants = |site: usize| 1..=self.places[site].site.variants.len();
        (0..self.places.len()).flat_map(move |site| variants(site).map(move |variant| Mutant { site, variant }))
    }

    fn kept(&self, site: usize) -> Vec<usize> {
        let all = 1..=self.places[site].site.variants.len();
        all.filter(|&variant| !self.dropped.contains(&Mutant { site, variant })).collect()
    }

    /// Writes the files, with every mutant that is not dropped, into `copy`.
    pub(crate) fn write(&mut self, copy: &Path) {
        let mut written = BTreeMap::new();
        for (file, source) in &self.sources {
            let ids: Vec<usize> = (0..self.places.len()).filter(|&id| self.places[id].file == *file).collect();
            let mut writer =
                Writer { switches: self, source, ids: &ids, next: 0, text: String::new(), map: Vec::new() };
            writer.up_to(0, source.len());
            let (text, map) = (writer.text, writer.map);
            let path = copy.join(file);
            if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                fs::write(&path, &text).expect("the copy is written");
            }
            written.insert(file.clone(), map);
        }
        self.written = written;
    }

    /// Drops the mutants at a place of a written file that the compiler does not like: one variant, or those of the
    /// innermost switch. False if no mutant stands there.
    pub(crate) fn drop_at(&mut self, file: &str, at: Range<usize>) -> bool {
        let Some(map) = self.written.get(file) else { return false };
        let holds = |range: &Range<usize>| range.start <= at.start && at.end <= range.end;
        let innermost = map.iter().filter(|(range, ..)| holds(range)).min_by_key(|(range, ..)| range.len());
        let inside = || map.iter().filter(|(range, ..)| at.start <= range.start && range.end <= at.end);
        let found: Vec<(usize, usize)> = match innermost {
            Some(&(_, site, variant)) => vec![(site, variant)],
            None => inside().filter(|(_, _, variant)| *variant == 0).map(|&(_, site, _)| (site, 0)).take(1).collect(),
        };
        found.into_iter().fold(false, |any, (site, variant)| self.drop_variants(site, variant) | any)
    }

    /// Drops the last switch that ends in front of a position of a written file.
    pub(crate) fn drop_last_before(&mut self, file: &str, at: usize) -> bool {
        let Some(map) = self.written.get(file) else { return false };
        let before = map.iter().filter(|(range, _, variant)| *variant == 0 && range.end <= at && !range.is_empty());
        let Some(&(_, site, _)) = before.max_by_key(|(range, ..)| range.end) else { return false };
        self.drop_variants(site, 0)
    }

    /// Drops a mutant, or with 0 all mutants of a site.
    fn drop_variants(&mut self, site: usize, variant: usize) -> bool {
        let variants = if variant == 0 { self.kept(site) } else { vec![variant] };
        variants.into_iter().fold(false, |any, variant| self.dropped.insert(Mutant { site, variant }) | any)
    }
}

struct Writer<'a> {
    switches: &'a Switches,
    source: &'a str,
    /// The sites of the file, outer ones before inner ones.
    ids: &'a [usize],
    next: usize,
    text: String,
    map: Vec<(Range<usize>, usize, usize)>,
}

impl Writer<'_> {
    /// Writes the source from `from` to `end` with its switches.
    fn up_to(&mut self, mut from: usize, end: usize) {
        while let Some(&id) = self.ids.get(self.next) {
            let site = &self.switches.places[id].site;
            if site.range.end > end {
                break;
            }
            self.text.push_str(&self.source[from..site.range.start]);
            self.next += 1;
            let start = self.text.len();
            self.switch(id, site);
            self.map.push((start..self.text.len(), id, 0));
            from = site.range.end;
        }
        self.text.push_str(&self.source[from..end]);
    }

    fn switch(&mut self, id: usize, site: &Site) {
        let kept = self.switches.kept(id);
        let active = format!("::wengert::mutant::active({id})");
        match site.form {
            _ if kept.is_empty() => self.up_to(site.range.start, site.range.end),
            Form::Arm => {
                self.text.push_str(&format!(" if {active} == 0"));
                let start = self.text.len() - active.len();
                self.map.push((start..self.text.len(), id, kept[0]));
            }
            Form::Expression | Form::Body => {
                let is_body = site.form == Form::Body;
                self.text.push_str(&format!("{}match {active} {{ 0 => ", if is_body { " " } else { "(" }));
                if is_body {
                    self.text.push_str("{}");
                } else {
                    self.up_to(site.range.start, site.range.end);
                }
                for (i, variant) in kept.iter().enumerate() {
                    let pattern = if i + 1 == kept.len() { "_".to_owned() } else { variant.to_string() };
                    self.text.push_str(&format!(", {pattern} => "));
                    let start = self.text.len();
                    self.text.push_str(if is_body { "return " } else { "" });
                    self.text.push_str(&site.variants[variant - 1].0);
                    self.map.push((start..self.text.len(), id, *variant));
                }
                self.text.push_str(if is_body { " }\n" } else { " })" });
            }
        }
    }
}

/// The module that the switches call.
pub(crate) fn module(sites: usize) -> String {
    include_str!("mutant.rs.in").replace("SITES", &sites.max(1).to_string())
}
