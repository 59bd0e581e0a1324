//! The scenarios: every script in `tests/scenarios` holds, but for those that `OPEN` names, each with its reason.

use std::collections::BTreeMap;
use std::path::PathBuf;

use slotwise_tests::sim::script;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Scripts that are known to fail, and why.
fn open() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("OPEN")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).map(|(name, why)| (name.into(), why.into())).collect()
}

#[test]
fn every_scenario_holds() {
    let open = open();
    let mut failures = Vec::new();
    let mut count = 0;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "sim")) {
        count += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let result = script::run(&std::fs::read_to_string(path).unwrap(), None);
        match (result, open.get(&name)) {
            (Ok(_), None) => println!("{name}: holds"),
            (Err(_), Some(why)) => println!("{name}: open: {why}"),
            (Ok(_), Some(_)) => failures.push(format!("{name} holds now: take it off the list in OPEN")),
            (Err(error), None) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count >= 30, "{count} scenarios");
}

/// The large one is run by hand: what every run of the tests shows of the small one holds for its acts, too.
#[test]
fn the_large_storm_is_the_small_one_with_more_clients() {
    let acts = |path: &str| {
        let text = std::fs::read_to_string(folder().join(path)).unwrap();
        let acts = text.lines().filter(|line| !line.starts_with('#'));
        acts.map(|line| line.replace("2000", "400")).collect::<Vec<_>>()
    };
    let large = acts("large/s24-two-thousand-clients.sim");
    assert_eq!(large, acts("s24-refresh-storm.sim"));
}

#[test]
fn a_scenario_is_the_same_every_time() {
    let text = std::fs::read_to_string(folder().join("s07-split-and-merge.sim")).unwrap();
    let hashes = [(); 2].map(|()| script::run(&text, None).unwrap().hash);
    assert_eq!(hashes[0], hashes[1]);
}
