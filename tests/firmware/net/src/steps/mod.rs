//! The steps, in order. Each checks by value what it claims, and a line of the log says so.

mod basics;
mod cancel;
mod dead;
mod moves;
mod news;
pub mod scan;
mod shut;
mod stream;

use slotwise::time::Duration;

use crate::rig::{Failed, Rig};
use crate::{Orders, ensure};

type Step = fn(&mut Rig, &Orders) -> Result<(), Failed>;

const STEPS: [(&str, Step); 13] = [
    ("join", basics::join),
    ("pipeline", basics::pipeline),
    ("scan", scan::scan),
    ("subscribe", news::subscribe),
    ("tokens", stream::tokens),
    ("ask", moves::ask),
    ("moved", moves::moved),
    ("cancel", cancel::every_stage),
    ("dead-node", dead::dead_node),
    ("zero-window", shut::zero_window),
    ("overflow", moves::overflow),
    ("subscribed-still", news::still),
    ("shutdown", basics::shutdown),
];

/// Takes all steps; the first that fails is the last.
pub fn all(rig: &mut Rig, orders: &Orders) -> Result<(), Failed> {
    for (number, (name, step)) in STEPS.iter().enumerate() {
        let began = rig.now();
        defmt::info!("step {=usize} {=str}", number + 1, name);
        step(rig, orders)?;
        ensure!(rig.app.broken.is_none(), "a callback that must not come");
        let took = rig.now().since(began);
        defmt::info!("PASS {=usize} {=str} {=u64} ms", number + 1, name, took.as_millis());
    }
    defmt::info!("ALL {=usize} STEPS PASSED", STEPS.len());
    Ok(())
}

/// Longer than any answer takes on a machine that is busy.
const LONG: Duration = Duration::from_secs(30);
