//! I7: how often something happens within a window of time.

/// How many of the events at an address lie at or after a time.
#[must_use]
pub fn recent(events: &[(u64, (String, u16))], from: u64, addr: &(String, u16)) -> usize {
    events.iter().rev().take_while(|(at, _)| *at >= from).filter(|(_, of)| of == addr).count()
}

/// The most events in any window of that length; the times ascend.
#[must_use]
pub fn densest(times: &[u64], window: u64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (at, time) in times.iter().enumerate() {
        while times[first] + window < *time {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storms_are_counted() {
        let (a, b) = (("a".to_owned(), 1), ("b".to_owned(), 1));
        let events = [(1, a.clone()), (5, a.clone()), (6, b.clone()), (9, a.clone())];
        assert_eq!(recent(&events, 5, &a), 2);
        assert_eq!(recent(&events, 0, &b), 1);
        assert_eq!(densest(&[1, 2, 3, 100, 101], 10), 3);
        assert_eq!(densest(&[1, 50, 99], 10), 1);
        assert_eq!(densest(&[], 10), 0);
    }
}
