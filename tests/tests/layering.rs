//! A module of the core imports only from its own room or from a lower layer, rooms have no import cycles, and files stay
//! short: read off the source text, so that the shape of the crate cannot rot unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layer of each room, as the table in the core's crate page has it.
const LAYERS: [(&str, u8); 16] = [
    ("time", 0),
    ("rand", 0),
    ("limits", 0),
    ("ids", 0),
    ("addr", 0),
    ("fmt", 0),
    ("resp", 1),
    ("slot", 1),
    ("command", 2),
    ("server_error", 2),
    ("topology", 3),
    ("pipeline", 4),
    ("scan", 4),
    ("pubsub", 4),
    ("connection", 5),
    ("cluster", 6),
];

/// Longest file; tests beside the code and generated files are not counted.
const MAX_LINES: usize = 500;

/// One source file: its path under `src` and its text.
struct Source {
    path: String,
    text: String,
}

fn layer(room: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == room).map(|(_, layer)| *layer)
}

/// The room of a file: its folder under `src`, or its own name.
fn room(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Takes comments, texts and character literals out, so that only code is left. Line breaks stay.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            out.extend(rest[..end].chars().filter(|&c| c == '\n'));
            at += end;
        } else if let Some(hashes) = raw_text(&text[..at], rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').unwrap_or(0) + 1;
            let end = rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len());
            out.extend(rest[..end].chars().filter(|&c| c == '\n'));
            at += end;
        } else if byte == b'"' {
            let mut end = at + 1;
            while bytes.get(end).is_some_and(|&byte| byte != b'"') {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let end = (end + 1).min(bytes.len());
            out.extend(text[at..end].chars().filter(|&c| c == '\n'));
            at = end;
        } else if byte == b'\'' && rest.len() > 2 && (bytes[at + 1] == b'\\' || bytes.get(at + 2) == Some(&b'\'')) {
            // A character; a lifetime has no closing quote two bytes on.
            let close = rest[2..].find('\'').map_or(rest.len(), |end| end + 3);
            at += close;
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Number of hashes where a raw text (`r"..."`, `br#"..."#`) begins.
fn raw_text(before: &str, rest: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let rest = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The rooms named by `crate::room` or `crate::{room::..., room}` in a piece of code.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let word = |text: &str| -> String { text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect() };
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            named.insert(word(rest));
            continue;
        }
        // The first word after the opening brace and after every comma at its depth.
        let (mut depth, mut fresh) = (0, false);
        for (index, c) in rest.char_indices() {
            match c {
                '{' => {
                    depth += 1;
                    fresh = depth == 1;
                }
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                ',' => fresh = depth == 1,
                c if fresh && !c.is_whitespace() => {
                    named.insert(word(&rest[index..]));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    named.remove("");
    named
}

/// Leaves out `#[cfg(test)] mod name { ... }` and the file's other test-only items: tests may look anywhere.
fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]\nmod ").map_or(code, |at| &code[..at])
}

/// Tests beside the code.
fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

fn is_generated(text: &str) -> bool {
    text.lines().take(5).any(|line| line.to_ascii_lowercase().contains("generated"))
}

/// Everything that is wrong with these files, one line each.
fn violations(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for Source { path, text } in sources {
        let lines = text.lines().count();
        if lines > MAX_LINES && !is_test_file(path) && !is_generated(text) {
            wrong.push(format!("{path}: {lines} lines, {MAX_LINES} at most"));
        }
        let from = room(path);
        if from == "lib" || is_test_file(path) {
            continue;
        }
        let Some(own) = layer(from) else {
            wrong.push(format!("{path}: room {from} has no layer"));
            continue;
        };
        let code = code_only(text);
        for to in rooms_named(without_tests(&code)) {
            if to == from {
                continue;
            }
            match layer(&to) {
                None => wrong.push(format!("{path}: crate::{to} is no room")),
                Some(theirs) if theirs > own => {
                    wrong.push(format!("{path}: layer {own} imports {to} of layer {theirs}"));
                }
                Some(_) => {
                    edges.entry(from).or_default().insert(to);
                }
            }
        }
    }
    wrong.extend(cycle(&edges));
    wrong
}

/// One import cycle between rooms, if there is any.
fn cycle(edges: &BTreeMap<&str, BTreeSet<String>>) -> Option<String> {
    fn visit(room: &str, edges: &BTreeMap<&str, BTreeSet<String>>, path: &mut Vec<String>) -> Option<String> {
        if let Some(at) = path.iter().position(|seen| seen == room) {
            return Some(format!("import cycle: {} -> {room}", path[at..].join(" -> ")));
        }
        path.push(room.into());
        let found = edges.get(room).into_iter().flatten().find_map(|next| visit(next, edges, path));
        path.pop();
        found
    }
    edges.keys().find_map(|room| visit(room, edges, &mut Vec::new()))
}

fn core_src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

fn collect(folder: &Path, root: &Path, out: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, root, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let path = path.strip_prefix(root).expect("under the root").to_string_lossy().replace('\\', "/");
            out.push(Source { path, text });
        }
    }
}

#[test]
fn the_core_keeps_its_layers() {
    let mut sources = Vec::new();
    collect(&core_src(), &core_src(), &mut sources);
    assert!(sources.len() > 20, "only {} files found", sources.len());
    let rooms: BTreeSet<&str> = sources.iter().map(|source| room(&source.path)).collect();
    for (name, _) in LAYERS {
        assert!(rooms.contains(name), "room {name} has no file");
    }
    let wrong = violations(&sources);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_layers_are_those_of_the_crate_page() {
    let page = fs::read_to_string(core_src().join("lib.rs")).expect("the crate page");
    let mut listed = BTreeSet::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split(" | ");
        let Some(number) = cells.next().and_then(|cell| cell.trim().parse::<u8>().ok()) else { continue };
        for name in cells.next().unwrap_or_default().split('`').filter(|part| layer(part).is_some()) {
            assert_eq!(layer(name), Some(number), "{name}");
            listed.insert(name.to_owned());
        }
    }
    // `fmt` is private and stands on no page.
    assert_eq!(listed.len(), LAYERS.len() - 1, "{listed:?}");
}

fn one(path: &str, text: &str) -> Vec<String> {
    violations(&[Source { path: path.into(), text: text.into() }])
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for text in [
        "use crate::cluster::Cluster;",
        "use crate::{limits::Limits, cluster};",
        "use crate::{\n    limits::{A, B},\n    cluster::Cluster,\n};",
        "fn f() -> crate::cluster::Config { todo }",
        "fn f<'a>(x: &'a u8, c: char) -> bool { c == '\"' || crate::cluster::yes() }",
        "const T: &str = \"a \\\" text\"; use crate::cluster::X;",
        "const T: &str = r#\"a \" text\"#; use crate::cluster::X;",
    ] {
        assert_eq!(one("resp/frame.rs", text), ["resp/frame.rs: layer 1 imports cluster of layer 6"], "{text}");
    }
    assert_eq!(one("resp/frame.rs", "use crate::nowhere::X;"), ["resp/frame.rs: crate::nowhere is no room"]);
    assert_eq!(one("attic/mod.rs", ""), ["attic/mod.rs: room attic has no layer"]);
}

#[test]
fn what_is_no_import_is_left_alone() {
    for text in [
        "//! See [`crate::cluster`].\nuse crate::limits::Limits;",
        "const T: &str = \"use crate::cluster::X;\";",
        "/* use crate::cluster::X; */",
        "use crate::resp::Token;",
        "#[cfg(test)]\nmod tests { use crate::cluster::X; }",
        "use some_crate::cluster::X;",
    ] {
        assert!(one("resp/frame.rs", text).is_empty(), "{text}: {:?}", one("resp/frame.rs", text));
    }
    assert!(one("resp/tests.rs", "use crate::cluster::X;").is_empty());
}

#[test]
fn a_cycle_between_rooms_of_one_layer_is_found() {
    let file = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let wrong = violations(&[
        file("pipeline/mod.rs", "use crate::scan::A;"),
        file("scan/mod.rs", "use crate::pubsub::B;"),
        file("pubsub/mod.rs", "use crate::pipeline::C;"),
    ]);
    assert_eq!(wrong, ["import cycle: pipeline -> scan -> pubsub -> pipeline"]);
}

#[test]
fn a_long_file_is_found() {
    let long = "\n".repeat(MAX_LINES + 1);
    assert_eq!(one("resp/frame.rs", &long), ["resp/frame.rs: 501 lines, 500 at most"]);
    assert!(one("resp/tests.rs", &long).is_empty());
    assert!(one("command/data.rs", &format!("//! Generated by a tool.\n{long}")).is_empty());
}
