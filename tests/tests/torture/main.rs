//! Steady load on a real cluster of three primaries and three replicas, from four clients, while nodes are killed,
//! restarted, paused, failed over, cut off and relieved of slots.
//!
//! Every write puts its caller and number into a list, so that the servers' own record of what ran can be held against
//! what callers were told. `SLOTWISE_TORTURE_SECONDS` sets how long (20 unless set; the full run is 300).

mod check;
mod faults;
mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use slotwise_tests::real::{Cluster, ServerKind};

#[test]
fn callers_are_told_the_truth() {
    let seconds = std::env::var("SLOTWISE_TORTURE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let kinds = match std::env::var("SLOTWISE_TORTURE_KIND").as_deref() {
        Ok("valkey9") => ServerKind::Valkey9,
        Ok("redis8") => ServerKind::Redis8,
        _ => ServerKind::Redis7,
    };
    let Some(mut cluster) = Cluster::start(kinds, 3, 1) else { return };
    let admin = cluster.admin();
    let url = format!("redis://{}", admin.seeds().join(","));
    load::prepare(&url);
    let start = Instant::now();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..load::CALLERS)
        .map(|caller| {
            let (url, stop) = (url.clone(), Arc::clone(&stop));
            std::thread::spawn(move || load::run(&url, caller, start, &stop))
        })
        .collect();
    let faults = faults::run(&mut cluster, start, seconds);
    stop.store(true, Ordering::Relaxed);
    let told: Vec<load::Told> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let faults = faults.unwrap_or_else(|error| panic!("the script could not go on: {error}"));
    admin.wait_agreed().unwrap();
    check::check(&url, &admin, &told, &faults);
}
