//! What the caller was told against what the servers ran.

use std::collections::BTreeMap;

use slotwise::pipeline::{Outcome, may_resend};

use crate::run::{End, Request, Run};

/// Refusals that prove that a plain command did not run.
const REFUSALS: [&str; 6] = ["MOVED ", "ASK ", "TRYAGAIN ", "CLUSTERDOWN ", "LOADING ", "EXECABORT "];

pub(crate) fn name(request: &Request) -> String {
    match &request.end {
        None => "none".into(),
        Some(End::Done { .. }) => "done".into(),
        Some(End::Error { .. }) => "error".into(),
        Some(End::Confirmed) => "confirmed".into(),
        Some(End::Failed(outcome)) => outcome.name().into(),
    }
}

pub(crate) fn all(run: &Run) {
    for (tag, request) in &run.requests {
        truth(run, *tag, request);
        let most = u32::from(run.config().max_hops) + u32::from(run.config().max_attempts) + 2;
        assert!(request.sends <= most, "command {tag} was sent {} times", request.sends);
    }
    order(run);
    let seconds = run.now / 1_000_000 + 1;
    let questions = run.model.topology_questions;
    assert!(questions <= (seconds + 4) * 3, "{questions} topology questions in {seconds} s");
    // Per node: at most one dial a back-off, whose first ceilings sum up fast; leases and subscribers have their own.
    let nodes = run.model.nodes.len() as u64;
    assert!(run.dials <= nodes * 40 + seconds * nodes * 3, "{} dials in {seconds} s to {nodes} nodes", run.dials);
}

fn truth(run: &Run, tag: u64, request: &Request) {
    let runs = run.model.runs(tag);
    let repeats = may_resend(&request.spec);
    let scripted = request.kind == "forge";
    match request.end.as_ref().expect("every command has ended") {
        End::Done { .. } => {
            assert!(runs >= 1, "command {tag} was answered and never ran");
            assert!(runs == 1 || repeats, "command {tag} ran {runs} times");
        }
        End::Confirmed => assert!(runs == 1, "subscription {tag} ran {runs} times"),
        End::Error { text } if REFUSALS.iter().any(|refusal| text.starts_with(refusal)) && !scripted => {
            assert!(runs == 0 || repeats, "command {tag} was refused with {text} and ran {runs} times");
        }
        // A script may say anything, even the truth; then it is run again.
        End::Error { .. } => assert!(scripted || repeats || runs <= 1, "command {tag} ran {runs} times"),
        End::Failed(outcome @ (Outcome::NotSent | Outcome::Rejected)) => {
            assert!(runs == 0 || scripted, "command {tag} ended as {outcome:?} and ran {runs} times");
        }
        End::Failed(Outcome::MaybeExecuted) => {
            assert!(runs <= 1 || repeats || scripted, "command {tag} ran {runs} times");
        }
        End::Failed(Outcome::ReplyLost) => assert!(runs >= 1, "command {tag} lost its reply and never ran"),
    }
}

/// Commands of one slot run in submission order, but for those that say that they were sent again; in strict order all
/// of them do.
fn order(run: &Run) {
    let mut last: BTreeMap<(u16, u16), (u64, u64)> = BTreeMap::new();
    for (tag, request) in &run.requests {
        let Some(slot) = request.spec.target.slot() else { continue };
        let plain = matches!(request.kind, "write");
        let told = match request.end {
            Some(End::Done { resent }) => !resent || run.config().strict_order,
            _ => false,
        };
        if !plain || !told {
            continue;
        }
        let ran = run.model.ledger[tag].first().expect("it ran").order;
        let key = (slot.get(), request.spec.domain);
        if let Some((before, earlier)) = last.get(&key) {
            assert!(
                *earlier < ran,
                "command {tag} ran after {before} was submitted and before it ran, and neither was sent again"
            );
        }
        last.insert(key, (*tag, ran));
    }
}
