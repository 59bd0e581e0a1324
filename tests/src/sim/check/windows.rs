//! I7: how often something happens within a window of time.

/// How many of the events of a kind lie at or after a time; the times ascend.
#[must_use]
pub fn recent<T: PartialEq>(events: &[(u64, T)], from: u64, of: &T) -> usize {
    events.iter().rev().take_while(|(at, _)| *at >= from).filter(|(_, kind)| kind == of).count()
}

/// The most events in any window of that length; the times ascend.
#[must_use]
pub fn densest(times: &[u64], window: u64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (at, time) in times.iter().enumerate() {
        while times[first] + window <= *time {
            first += 1;
        }
        most = most.max(at + 1 - first);
    }
    most
}

/// A token bucket seen from outside: so many at once, and one more per interval.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When it would be empty, if every event took an interval.
    ahead: u64,
}

impl Bucket {
    /// Whether one more event fits into a bucket of that size at that time; takes it.
    pub fn take(&mut self, now: u64, size: u64, interval: u64) -> bool {
        self.ahead = self.ahead.max(now) + interval;
        self.ahead - now <= size * interval
    }
}

/// Delays before dials that followed failures, by how many failures there were and by quarters of the longest delay
/// there may be.
pub type Delays = [[u64; 4]; 8];

/// Notes a delay after so many failures; longer ones than there may be say that nobody wanted a connection.
pub fn note_delay(delays: &mut Delays, failures: usize, delay: u64, ceiling: u64) {
    if let Some(row) = delays.get_mut(failures.saturating_sub(1))
        && delay < ceiling
    {
        row[(delay * 4 / ceiling.max(1)) as usize] += 1;
    }
}

/// What is wrong with the delays of many runs: they must grow with the failures, and be spread over all there may be.
#[must_use]
pub fn back_off(delays: &Delays) -> Option<String> {
    for (row, failures) in delays.iter().zip(1..) {
        let sum: u64 = row.iter().sum();
        // A tenth of an even share is left to chance, and to commands that come later than the delay is over.
        if sum >= 200
            && let Some(quarter) = row.iter().position(|count| *count * 40 < sum)
        {
            let least = quarter + 1;
            return Some(format!("after {failures} failures quarter {least} of the delays is missing: {row:?}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storms_are_counted() {
        let events = [(1, 'a'), (5, 'a'), (6, 'b'), (9, 'a')];
        assert_eq!(recent(&events, 5, &'a'), 2);
        assert_eq!(recent(&events, 0, &'b'), 1);
        assert_eq!(densest(&[1, 2, 3, 100, 101], 10), 3);
        assert_eq!(densest(&[1, 50, 99], 10), 1);
        assert_eq!(densest(&[], 10), 0);
    }

    #[test]
    fn a_bucket_holds_a_burst_and_then_one_per_interval() {
        let mut bucket = Bucket::default();
        assert!((0..3).all(|_| bucket.take(1_000, 3, 100)));
        assert!(!bucket.take(1_000, 3, 100));
        let mut bucket = Bucket::default();
        assert!((0..50).all(|n| bucket.take(n * 100, 3, 100)));
        assert!(!(0..50).all(|n| bucket.take(n * 90, 3, 100)));
    }

    #[test]
    fn delays_that_do_not_grow_or_are_not_spread_are_noticed() {
        let mut even: Delays = [[0; 4]; 8];
        for failures in 1..=8 {
            for step in 0..400 {
                let ceiling = 50_000 << failures;
                note_delay(&mut even, failures, ceiling * step / 400, ceiling);
                note_delay(&mut even, failures, ceiling, ceiling);
            }
        }
        assert_eq!(even[0], [100; 4]);
        assert_eq!(back_off(&even), None);
        let (mut flat, mut same): (Delays, Delays) = ([[0; 4]; 8], [[0; 4]; 8]);
        for step in 0..400 {
            note_delay(&mut flat, 5, step * 100, 800_000);
            note_delay(&mut same, 5, 700_000, 800_000);
        }
        assert!(back_off(&flat).is_some() && back_off(&same).is_some());
    }
}
