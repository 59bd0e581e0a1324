//! What callers were told, against what servers did.

use std::collections::BTreeMap;

use slotwise::command::Access;
use slotwise::pipeline::{Outcome, may_resend};

use crate::sim::client::{End, Request, Served};

/// I1: whether a server gave this reply to the request, on that link.
#[must_use]
pub fn gave(served: &[Served], link: u32, hash: u64) -> bool {
    served.iter().any(|served| served.link == link && served.hash == hash)
}

/// Whether a command is a script that says something else than what it did.
#[must_use]
pub fn is_lying(request: &Request) -> bool {
    const LIE: &[u8] = b"error_reply";
    request.spec.script_like && request.wire.windows(LIE.len()).any(|part| part == LIE)
}

/// I3: whether the end of a request tells the truth about its executions so far.
///
/// # Errors
/// What is wrong.
pub fn truth(request: &Request) -> Result<(), String> {
    let Some((end, _)) = request.end else { return Ok(()) };
    let repeats = may_resend(&request.spec);
    let scripted = is_lying(request);
    if request.tainted {
        // An adversary had it as well, and can say anything of what it did with it; honest servers ran it once at most.
        let runs = request.served.iter().filter(|served| served.ran && !served.hostile).count();
        let right = runs <= 1 || repeats || scripted;
        return if right { Ok(()) } else { Err(format!("ended as {end:?} and honest servers ran it {runs} times")) };
    }
    let runs = request.served.iter().filter(|served| served.ran).count();
    let right = match end {
        // A script runs, and what it wanted to do is refused.
        End::Error { .. } if request.spec.script_like && !scripted => runs <= 1 || repeats,
        End::Done { .. } => runs >= 1 && (runs == 1 || repeats || scripted),
        // A script can say anything after it ran, even the truth; then it runs again.
        End::Error { .. } if scripted => true,
        End::Error { refusal: true, .. } => runs == 0 || repeats,
        // Some errors come from running, some from looking at the words.
        End::Error { refusal: false, .. } => runs <= 1 || repeats,
        End::Failed(Outcome::NotSent | Outcome::Rejected, _) => runs == 0 || scripted,
        End::Failed(Outcome::MaybeExecuted, _) => runs <= 1 || repeats || scripted,
        End::Failed(Outcome::ReplyLost, _) => runs >= 1,
        End::Confirmed => true,
    };
    if right { Ok(()) } else { Err(format!("ended as {end:?} and ran {runs} times")) }
}

/// I2: commands of one domain on one slot run in submission order, but for those that say that they were delayed. Where
/// reads may go to replicas, only the others are looked at; nor are those that an adversary had. In strict order domains do not
/// matter, and saying so does not help.
#[must_use]
pub fn order(requests: &[Request], reads: bool, strict: bool) -> Option<String> {
    // By slot and domain, going backwards: the earliest execution among the later submissions.
    let mut later: BTreeMap<(u16, u16), (u64, usize)> = BTreeMap::new();
    for (tag, request) in requests.iter().enumerate().rev() {
        let Some(slot) = request.spec.target.slot() else { continue };
        let elsewhere = reads && request.spec.access == Access::Read;
        if request.spec.blocking || request.spec.subscribe || request.tainted || elsewhere {
            continue;
        }
        let key = (slot.get(), if strict { 0 } else { request.spec.domain });
        let told = match request.end {
            Some((End::Done { resent } | End::Error { resent, refusal: false }, _)) => strict || !resent,
            _ => false,
        };
        let ran = request.served.iter().filter(|served| served.ran);
        if told
            && let Some((first, by)) = later.get(&key)
            && let Some(answered) = ran.clone().find(|served| request.answer.is_none_or(|hash| hash == served.hash))
            && answered.order > *first
        {
            return Some(format!("command {tag} ran after {by}, which was submitted later, and says nothing of it"));
        }
        let mine = ran.map(|served| served.order).min();
        if let Some(mine) = mine.filter(|mine| later.get(&key).is_none_or(|(first, _)| mine < first)) {
            later.insert(key, (mine, tag));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::check::witness::RequestNotes;
    use crate::sim::client::Owner;
    use slotwise::command::{CommandSpec, RetryPermission, Target};
    use slotwise::ids::CommandId;
    use slotwise::pipeline::Reason;
    use slotwise::slot::Slot;

    fn served(order: u64, ran: bool) -> Served {
        Served {
            order,
            at: 0,
            node: 0,
            link: 0,
            hash: order,
            flat: None,
            ran,
            redirect: false,
            strange: false,
            hostile: false,
        }
    }

    fn request(end: End, runs: &[u64]) -> Request {
        let spec = CommandSpec::new(Target::Slot(Slot::masked(7)), Access::Write, 10);
        Request {
            spec,
            id: CommandId::new(0, 0),
            owner: Owner::Work,
            wire: Vec::new(),
            submitted: 0,
            sends: 1,
            handed: true,
            end: Some((end, 1)),
            served: runs.iter().map(|order| served(*order, true)).collect(),
            answer: None,
            text: Vec::new(),
            tainted: false,
            cancelled: false,
            notes: RequestNotes::default(),
        }
    }

    const DONE: End = End::Done { resent: false };

    #[test]
    fn a_reply_of_another_request_is_noticed() {
        let one = request(DONE, &[4]);
        assert!(gave(&one.served, 0, 4));
        assert!(!gave(&one.served, 0, 5));
        assert!(!gave(&one.served, 1, 4), "another connection's");
    }

    #[test]
    fn lies_about_executions_are_noticed() {
        let lost = |outcome| End::Failed(outcome, Reason::ConnectionLost);
        let refused = End::Error { resent: false, refusal: true };
        let error = End::Error { resent: false, refusal: false };
        let right: [(End, &[u64]); 9] = [
            (DONE, &[1]),
            (refused, &[]),
            (error, &[1]),
            (lost(Outcome::NotSent), &[]),
            (lost(Outcome::Rejected), &[]),
            (lost(Outcome::MaybeExecuted), &[]),
            (lost(Outcome::MaybeExecuted), &[1]),
            (lost(Outcome::ReplyLost), &[1]),
            (End::Confirmed, &[1]),
        ];
        for (end, runs) in right {
            assert_eq!(truth(&request(end, runs)), Ok(()), "{end:?} {runs:?}");
        }
        let wrong: [(End, &[u64]); 8] = [
            (DONE, &[]),
            (DONE, &[1, 2]),
            (refused, &[1]),
            (error, &[1, 2]),
            (lost(Outcome::NotSent), &[1]),
            (lost(Outcome::Rejected), &[1]),
            (lost(Outcome::MaybeExecuted), &[1, 2]),
            (lost(Outcome::ReplyLost), &[]),
        ];
        for (end, runs) in wrong {
            assert!(truth(&request(end, runs)).is_err(), "{end:?} {runs:?}");
            let mut allowed = request(end, runs);
            allowed.spec.retry = RetryPermission::Always;
            assert_eq!(truth(&allowed).is_ok(), runs.len() == 2 || end == refused, "{end:?} {runs:?}, twice allowed");
        }
    }

    #[test]
    fn an_inversion_that_nobody_admits_is_noticed() {
        let fine = [request(DONE, &[1]), request(DONE, &[2]), request(DONE, &[3])];
        assert_eq!(order(&fine, false, false), None);
        let late = |resent| [request(End::Done { resent }, &[5]), request(DONE, &[2]), request(DONE, &[6])];
        assert!(order(&late(false), false, false).is_some() && order(&late(false), true, false).is_some());
        assert_eq!(order(&late(true), false, false), None);
        assert!(order(&late(true), false, true).is_some(), "strict order has none");
        let mut elsewhere = late(false);
        elsewhere[0].spec.target = Target::Slot(Slot::masked(8));
        assert_eq!(order(&elsewhere, false, false), None);
        let mut other_domain = late(false);
        other_domain[0].spec.domain = 1;
        assert_eq!(order(&other_domain, false, false), None);
        let mut reads = late(false);
        reads[0].spec.access = Access::Read;
        assert!(order(&reads, false, false).is_some());
        assert_eq!(order(&reads, true, false), None);
    }
}
