use super::*;
use crate::rand::Rand;
use crate::time::{Duration, Instant};

const POLICY: RefreshPolicy = RefreshPolicy { idle: None, ..RefreshPolicy::DEFAULT };

fn ms(n: u64) -> Instant {
    Instant::from_micros(n * 1_000)
}

fn nodes(n: u16) -> Tables {
    let mut tables = Tables::new(usize::from(n), 64, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    for n in 0..n {
        let index = map.add_node(&primary(n, n + 1));
        map.add_range(range(n, n), index).unwrap();
    }
    map.finish().unwrap();
    tables
}

/// Advances to the machine's own timer and polls; the instant and the ask.
fn run(refresh: &mut Refresh, now: Instant, rand: &mut Rand, map: &Map<'_>) -> (Instant, Ask) {
    let mut now = now;
    for _ in 0..10 {
        if let Some(ask) = refresh.poll(now, rand, map, |_| true) {
            return (now, ask);
        }
        let timer = refresh.poll_timeout().unwrap();
        assert!(timer > now, "a timer in the past after a poll");
        now = timer;
    }
    panic!("no ask");
}

#[test]
fn one_flight_whatever_is_asked() {
    let tables = nodes(5);
    let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(1));
    assert_eq!(refresh.poll_timeout(), None);
    for _ in 0..100 {
        refresh.request(ms(10), Reason::Error);
    }
    let (at, _) = run(&mut refresh, ms(10), &mut rand, &tables.map());
    assert!(at <= ms(110));
    assert!(refresh.in_flight());
    for n in 0..100 {
        assert_eq!(refresh.poll(at + Duration::from_millis(n), &mut rand, &tables.map(), |_| true), None);
    }
    refresh.succeeded(at);
    assert!(!refresh.is_pending());
    assert_eq!((refresh.poll_timeout(), refresh.rounds()), (None, 1));
}

#[test]
fn a_request_during_a_round_makes_one_more() {
    let tables = nodes(5);
    let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(1));
    refresh.request(ms(0), Reason::Start);
    let (at, _) = run(&mut refresh, ms(0), &mut rand, &tables.map());
    assert_eq!(at, ms(0), "a start has no jitter");
    for _ in 0..50 {
        refresh.request(ms(1), Reason::Redirect(None));
    }
    refresh.succeeded(ms(2));
    let (at, _) = run(&mut refresh, ms(2), &mut rand, &tables.map());
    refresh.succeeded(at);
    assert!(!refresh.is_pending());
    assert_eq!(refresh.rounds(), 2);
}

#[test]
fn the_rate_is_one_a_second_with_a_burst_of_three() {
    let tables = nodes(3);
    for seed in 0..20 {
        let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(seed));
        let mut starts = vec![];
        let mut now = ms(0);
        while now < ms(30_000) {
            // A redirect every millisecond, an answer at once.
            refresh.request(now, Reason::Redirect(None));
            if refresh.poll(now, &mut rand, &tables.map(), |_| true).is_some() {
                starts.push(now);
                refresh.succeeded(now);
            }
            now = now + Duration::from_millis(1);
        }
        for (n, start) in starts.iter().enumerate() {
            let later = starts[n..].iter().take_while(|at| at.since(*start) < Duration::from_secs(10)).count();
            assert!(later <= 13, "{later} rounds in ten seconds");
        }
        assert!((30..=33).contains(&starts.len()), "{}", starts.len());
        assert!(starts[2] <= ms(400), "a burst of three is allowed");
    }
}

#[test]
fn starts_are_spread_by_the_seed() {
    let tables = nodes(3);
    let mut starts: Vec<_> = (0..200)
        .map(|seed| {
            let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(seed));
            refresh.request(ms(0), Reason::Redirect(None));
            run(&mut refresh, ms(0), &mut rand, &tables.map()).0.as_micros() / 10_000
        })
        .collect();
    starts.sort_unstable();
    // Ten windows of 10 ms for two hundred clients: none gets more than a quarter.
    for window in 0..10 {
        let count = starts.iter().filter(|at| **at == window).count();
        assert!((1..50).contains(&count), "{count} in window {window}");
    }
}

#[test]
fn a_round_asks_several_nodes_the_redirects_target_first() {
    let tables = nodes(5);
    for seed in 0..50 {
        let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(seed));
        refresh.request(ms(0), Reason::Redirect(Some(id(3))));
        let (mut now, first) = run(&mut refresh, ms(0), &mut rand, &tables.map());
        assert_eq!(first, Ask::Node(id(3)));
        let mut asked = vec![first];
        for _ in 0..2 {
            refresh.failed(now);
            let ask = refresh.poll(now, &mut rand, &tables.map(), |index| index.index() != 4).unwrap();
            assert!(!asked.contains(&ask) && ask != Ask::Node(id(4)) && ask != Ask::Seed);
            asked.push(ask);
            now = now + Duration::from_millis(1);
        }
        // Three nodes, then the round is over and the next one waits.
        refresh.failed(now);
        assert_eq!(refresh.poll(now, &mut rand, &tables.map(), |_| true), None);
        assert!(refresh.poll_timeout().unwrap() > now);
    }
}

#[test]
fn silence_counts_as_a_failure() {
    let tables = nodes(2);
    let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(5));
    refresh.request(ms(0), Reason::Start);
    let (_, first) = run(&mut refresh, ms(0), &mut rand, &tables.map());
    let (at, second) = run(&mut refresh, ms(0), &mut rand, &tables.map());
    assert_eq!(at, ms(2_000));
    assert_ne!(first, second);
    let (at, third) = run(&mut refresh, at, &mut rand, &tables.map());
    assert_eq!((at, third), (ms(4_000), Ask::Seed), "all nodes were asked: back to the seeds");
    // A late answer of a node that timed out changes nothing.
    refresh.failed(at);
    refresh.failed(at);
    assert!(refresh.is_pending());
}

#[test]
fn failed_rounds_come_more_and_more_seldom() {
    let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(5));
    refresh.request(ms(0), Reason::Start);
    let (mut now, mut asks) = (ms(0), 0);
    while now < ms(120_000) {
        let (at, ask) = run(&mut refresh, now, &mut rand, &Map::empty());
        assert_eq!(ask, Ask::Seed);
        refresh.failed(at);
        asks += 1;
        now = at;
    }
    // Without the doubling it would be 360.
    assert!((40..140).contains(&asks), "{asks}");
    refresh.request(now, Reason::Error);
    let (at, _) = run(&mut refresh, now, &mut rand, &Map::empty());
    refresh.succeeded(at);
    refresh.request(at, Reason::Error);
    let (again, _) = run(&mut refresh, at, &mut rand, &Map::empty());
    assert!(again.since(at) <= Duration::from_millis(1_100), "a good round resets the jitter");
}

#[test]
fn rounds_with_answers_that_are_to_be_confirmed_stay_close() {
    let tables = nodes(3);
    // Also after rounds that nobody answered.
    for silent in [0, 30] {
        let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(5));
        refresh.request(ms(0), Reason::Start);
        let mut now = ms(0);
        for _ in 0..silent {
            (now, _) = run(&mut refresh, now, &mut rand, &tables.map());
            refresh.failed(now);
        }
        let mut furthest = Duration::ZERO;
        for n in 0..60 {
            let (at, _) = run(&mut refresh, now, &mut rand, &tables.map());
            refresh.unconfirmed(at);
            furthest = if n < 4 { Duration::ZERO } else { furthest.max(at.since(now)) };
            now = at;
        }
        // The doubled jitter comes on top of nothing: rounds are a second apart anyhow.
        assert!((Duration::from_millis(600)..=Duration::from_millis(1_900)).contains(&furthest), "{furthest:?}");
    }
}

#[test]
fn refreshes_now_and_then_without_a_reason() {
    let tables = nodes(3);
    let (mut refresh, mut rand) = (Refresh::new(RefreshPolicy::DEFAULT), Rand::new(1));
    refresh.request(ms(0), Reason::Start);
    let (at, _) = run(&mut refresh, ms(0), &mut rand, &tables.map());
    refresh.succeeded(at);
    let (at, _) = run(&mut refresh, at, &mut rand, &tables.map());
    assert!((60_000..60_101).contains(&at.since(ms(0)).as_millis()), "{at:?}");
}

#[test]
fn a_machine_tells_its_state() {
    let tables = nodes(3);
    let (mut refresh, mut rand) = (Refresh::new(POLICY), Rand::new(2));
    let told = |refresh: &Refresh| (refresh.state_name(), refresh.is_pending(), refresh.in_flight(), refresh.rounds());
    assert_eq!(told(&refresh), ("idle", false, false, 0));
    refresh.request(ms(0), Reason::Unreachable);
    assert_eq!(told(&refresh), ("wanted", true, false, 0));
    assert_eq!(refresh.poll(ms(0), &mut rand, &tables.map(), |_| true), None);
    assert_eq!(told(&refresh), ("due", true, false, 0));
    let (at, _) = run(&mut refresh, ms(0), &mut rand, &tables.map());
    assert_eq!(told(&refresh), ("asked", true, true, 1));
    refresh.failed(at);
    assert_eq!(told(&refresh), ("next", true, false, 1));
    assert!(refresh.poll_timeout().is_some_and(|next| next <= at), "now");
    let (at, _) = run(&mut refresh, at, &mut rand, &tables.map());
    refresh.succeeded(at);
    assert_eq!(told(&refresh), ("idle", false, false, 1));
}
