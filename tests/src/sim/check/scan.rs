//! I5: what a scan vouches for.

use slotwise::slot::{Slot, SlotSet};

/// A key that was present throughout, was not returned, and whose slot the scan vouches for.
#[must_use]
pub fn lost(missing: &[Vec<u8>], proven: &SlotSet) -> Option<String> {
    let lost = missing.iter().find(|key| proven.contains(Slot::of_key(key)));
    lost.map(|key| key.escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_of_a_proven_slot_is_noticed_and_one_of_another_slot_is_not() {
        let missing = [b"a".to_vec(), b"b".to_vec()];
        assert_eq!(lost(&missing, &SlotSet::FULL).as_deref(), Some("a"));
        let mut some = SlotSet::FULL;
        some.remove(Slot::of_key(b"a"));
        assert_eq!(lost(&missing, &some).as_deref(), Some("b"));
        some.remove(Slot::of_key(b"b"));
        assert_eq!(lost(&missing, &some), None);
        assert_eq!(lost(&[], &SlotSet::FULL), None);
    }
}
