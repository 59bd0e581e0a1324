//! The image `every` under `tests/firmware` names every public function of the core, so that linking it proves of each
//! that it cannot panic. This holds its list against the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Functions that are not in the image, each with the reason.
const LEFT_OUT: [(&str, &str); 2] = [
    ("Packed::", "evaluated at compile time only, where a panic fails the build"),
    ("Frame::double", "behind the feature `float`: parsing of floats can panic, which the feature's page says"),
];

/// A function as the sources define it: the type it belongs to, if any, and its name.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    owner: Option<String>,
    name: String,
    file: PathBuf,
}

#[test]
fn the_image_names_every_public_function() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = list_of(&top.join("tests/firmware/images/src/every"));
    // Storages whose generics are long have other names there.
    let list = without_generics(&list).replace("Tables::", "StaticStorage::").replace("Channels::", "StaticStorage::");
    let functions = public_functions(&top.join("core/src"));
    assert!(functions.len() > 500, "only {} public functions found", functions.len());
    let missing: Vec<String> = functions
        .iter()
        .map(|function| (path(function), function))
        .filter(|(path, _)| !LEFT_OUT.iter().any(|(start, _)| path.starts_with(start)))
        .filter(|(path, _)| !names(&list, path))
        .map(|(path, function)| format!("{path} ({})", function.file.display()))
        .collect();
    assert!(missing.is_empty(), "not under tests/firmware/images/src/every: {missing:#?}");
}

#[test]
fn a_function_that_is_not_named_is_found() {
    let list = without_generics("keep![Slot::new, Slot::<4, 8>::of_key::<[&str]>, crc16, hash_tagged];");
    for (path, is_there) in
        [("Slot::new", true), ("Slot::of_key", true), ("crc16", true), ("Slot::next", false), ("hash_tag", false)]
    {
        assert_eq!(names(&list, path), is_there, "{path}");
    }
}

/// The files of the list, one for each room, joined.
fn list_of(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn path(function: &Function) -> String {
    function.owner.as_ref().map_or(function.name.clone(), |owner| format!("{owner}::{}", function.name))
}

/// Whether the list has this path as a whole word.
fn names(list: &str, path: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    list.match_indices(path).any(|(at, _)| {
        let before = !path.starts_with("::") && list[..at].chars().next_back().is_some_and(is_part);
        let after = list[at + path.len()..].chars().next().is_some_and(is_part);
        !before && !after
    })
}

/// The text without `::<...>`.
fn without_generics(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((front, back)) = rest.split_once("::<") {
        out.push_str(front);
        let mut depth = 1;
        let end = back.find(|c: char| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0
        });
        rest = end.and_then(|end| back.get(end + 1..)).unwrap_or_default();
    }
    out + rest
}

/// Every `pub fn` of the core outside its tests and its feature for floats. The sources are formatted, so an `impl` and its end
/// stand at the beginning of their lines.
fn public_functions(folder: &Path) -> Vec<Function> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "tests" {
                found.extend(public_functions(&path));
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            read(text.split("\n#[cfg(test)]\nmod tests {").next().unwrap(), &path, &mut found);
        }
    }
    found
}

fn read(text: &str, path: &Path, found: &mut Vec<Function>) {
    let mut owner = None;
    for line in text.lines() {
        if line.starts_with("impl") {
            owner = if line.ends_with('}') { None } else { owner_of(line) };
        } else if line.starts_with('}') {
            owner = None;
        }
        // An owner whose generics take lines of their own is named on the last of them.
        if line.starts_with("> ") {
            owner = owner_of(&format!("impl{line}"));
        }
        let words = line.trim_start();
        let Some(rest) = words.strip_prefix("pub fn ").or_else(|| words.strip_prefix("pub const fn ")) else {
            continue;
        };
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // In a macro, the owner is a parameter: a function of that name is enough.
        let macros = line.starts_with(' ') && owner.is_none();
        let owner = if macros { Some(String::new()) } else { owner.clone() };
        found.push(Function { owner, name, file: path.to_path_buf() });
    }
}

/// The type of `impl<...> Type<...> {` and of `impl<...> Trait for Type`.
fn owner_of(line: &str) -> Option<String> {
    let line = line.strip_prefix("impl")?;
    let mut depth = 0;
    let end = line.find(|c: char| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0 && c != '>'
    })?;
    let line = line.get(end..)?.trim_start();
    let line = line.split_once(" for ").map_or(line, |(_, owner)| owner);
    let name: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}
