//! I6: messages in order, none twice, none lost without a word.

use crate::sim::subscribing::Heard;

/// What is wrong with a message after what was heard before.
#[must_use]
pub fn gap(before: Heard, number: Option<u64>) -> Option<String> {
    let Some(number) = number else { return Some("a message that nobody published".to_owned()) };
    match before.last {
        Some(last) if number == last => Some(format!("message {number} came twice")),
        Some(last) if number < last => Some(format!("message {number} came after {last}")),
        Some(last) if number > last + 1 && !before.gap => {
            Some(format!("message {number} came after {last}, and no gap was announced"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_repeats_and_strangers_are_noticed() {
        let heard = |last, gap| Heard { last, gap };
        assert_eq!(gap(heard(None, false), Some(7)), None);
        assert_eq!(gap(heard(Some(6), false), Some(7)), None);
        assert_eq!(gap(heard(Some(3), true), Some(7)), None);
        assert!(gap(heard(Some(3), false), Some(7)).is_some());
        assert!(gap(heard(Some(7), true), Some(7)).is_some());
        assert!(gap(heard(Some(8), true), Some(7)).is_some());
        assert!(gap(heard(None, false), None).is_some());
    }
}
