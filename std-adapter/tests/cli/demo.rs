//! `slotwise demo`.

use serde_json::Value;

use crate::slotwise;

#[test]
fn every_proof_holds_and_is_listed() {
    let run = slotwise(&["demo", "--json", "--moves", "20", "--seed", "5"], b"");
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.text());
    assert_eq!(run.lines().len(), 1);
    let object: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!(object["ok"], true, "{object}");
    assert_eq!(object["scan"]["different"], 100_000);
    assert_eq!(object["scan"]["proven"], 16_384);
    assert_eq!(object["moves"]["slots"], 20);
    assert!(object["pipelines"]["moved"].as_u64() > Some(0) && object["pipelines"]["ask"].as_u64() > Some(0));
    assert_eq!(object["pipelines"]["right"], object["pipelines"]["commands"]);
    assert_eq!(object["proofs"].as_array().map(Vec::len), Some(7));
}

#[test]
fn a_small_one_speaks_to_people() {
    let run = slotwise(&["demo", "--keys", "1000", "--moves", "3"], b"");
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.text());
    assert!(run.text().contains("Every proof holds."), "{}", run.text());
    assert!(!run.text().contains("FAILED"), "{}", run.text());
    let run = slotwise(&["demo", "--keys", "0"], b"");
    assert_eq!(run.code, 2);
}
