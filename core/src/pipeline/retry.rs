//! What to do with an error reply, decided on evidence: what the server said, what the command is, what was tried.

use crate::command::{Access, CommandSpec, RetryPermission, Target};
use crate::server_error::{ErrorKind, Executed, Redirect, RedirectTarget, RetryWhere, ServerError};
use crate::slot::Slot;

/// What happens to a command after an error reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Decision<'a> {
    /// The error is the command's reply.
    Deliver {
        /// Whether the error shows that the map is out of date.
        refresh: bool,
    },
    /// The slot has another owner: change the map, run the command there.
    Moved(RedirectTarget<'a>),
    /// Run the command there, this once, behind ASKING; the map stays.
    Ask(RedirectTarget<'a>),
    /// Try again after a while, routed anew.
    Later {
        /// Whether the error shows that the map is out of date.
        refresh: bool,
    },
}

/// How often a command was sent again so far, and how often it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Budget {
    /// Redirects followed.
    pub hops: u8,
    /// Redirects that may be followed.
    pub max_hops: u8,
    /// Delayed retries made.
    pub attempts: u8,
    /// Delayed retries that may be made.
    pub max_attempts: u8,
}

/// Decides on an error reply at the top level of `spec`'s answer.
///
/// A redirect is obeyed only for a keyed command and only when its slot is that command's slot. A command is sent
/// again only on proof that it did not run.
pub fn decide<'a>(error: &ServerError<'a>, spec: &CommandSpec, budget: Budget, follow: bool) -> Decision<'a> {
    let class = error.class_for(spec.script_like);
    if let Some(redirect) = error.redirect() {
        let (slot, target, ask) = match redirect {
            Redirect::Moved { slot, target } => (slot, target, false),
            Redirect::Ask { slot, target } => (slot, target, true),
        };
        let fits = keyed(spec) == Some(slot);
        let allowed = follow && fits && budget.hops < budget.max_hops && !error.from_script();
        return match (allowed, ask) {
            (false, _) => Decision::Deliver { refresh: fits && !spec.script_like },
            (true, true) => Decision::Ask(target),
            (true, false) => Decision::Moved(target),
        };
    }
    let later = match class.retry {
        RetryWhere::Delay => true,
        // The node that the caller names is no primary, and will hardly become one meanwhile.
        RetryWhere::OtherNode => error.kind() != ErrorKind::ReadOnly || !matches!(spec.target, Target::Node(_)),
        RetryWhere::Never | RetryWhere::Redirect => false,
    };
    if later && class.executed == Executed::No && budget.attempts < budget.max_attempts {
        return Decision::Later { refresh: class.refresh };
    }
    Decision::Deliver { refresh: class.refresh }
}

/// The slot of a command that is routed by a key.
const fn keyed(spec: &CommandSpec) -> Option<Slot> {
    match spec.target {
        Target::Slot(slot) => Some(slot),
        _ => None,
    }
}

/// Whether a command of which bytes left, and no answer came, may be sent again.
#[must_use]
pub fn may_resend(spec: &CommandSpec) -> bool {
    match spec.retry {
        RetryPermission::IfNotExecuted => false,
        RetryPermission::IfReadOnly => spec.access == Access::Read && !spec.script_like,
        RetryPermission::Always => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;

    const FRESH: Budget = Budget { hops: 0, max_hops: 5, attempts: 0, max_attempts: 5 };

    fn spec(slot: u16) -> CommandSpec {
        CommandSpec { target: Target::Slot(Slot::masked(slot)), ..CommandSpec::new(Target::AnyNode, Access::Write, 1) }
    }

    fn on(line: &[u8], spec: &CommandSpec, budget: Budget) -> &'static str {
        match decide(&ServerError::parse(line), spec, budget, true) {
            Decision::Deliver { refresh: false } => "deliver",
            Decision::Deliver { refresh: true } => "deliver and refresh",
            Decision::Moved(_) => "moved",
            Decision::Ask(_) => "ask",
            Decision::Later { refresh: false } => "later",
            Decision::Later { refresh: true } => "later and refresh",
        }
    }

    #[test]
    fn redirects_need_the_right_slot_and_a_budget() {
        assert_eq!(on(b"MOVED 7 127.0.0.1:7001", &spec(7), FRESH), "moved");
        assert_eq!(on(b"ASK 7 127.0.0.1:7001", &spec(7), FRESH), "ask");
        assert_eq!(on(b"MOVED 8 127.0.0.1:7001", &spec(7), FRESH), "deliver");
        let keyless = CommandSpec { target: Target::AnyNode, ..CommandSpec::new(Target::AnyNode, Access::Write, 1) };
        assert_eq!(on(b"MOVED 7 127.0.0.1:7001", &keyless, FRESH), "deliver");
        let spent = Budget { hops: 5, ..FRESH };
        assert_eq!(on(b"MOVED 7 127.0.0.1:7001", &spec(7), spent), "deliver and refresh");
        let error = ServerError::parse(b"MOVED 7 127.0.0.1:7001");
        assert_eq!(decide(&error, &spec(7), FRESH, false), Decision::Deliver { refresh: true });
    }

    #[test]
    fn only_proof_of_non_execution_allows_a_retry() {
        assert_eq!(on(b"TRYAGAIN Multiple keys request during rehashing of slot", &spec(7), FRESH), "later");
        assert_eq!(on(b"CLUSTERDOWN Hash slot not served", &spec(7), FRESH), "later and refresh");
        assert_eq!(on(b"WRONGTYPE Operation against a key", &spec(7), FRESH), "deliver");
        let script = CommandSpec { script_like: true, ..spec(7) };
        assert_eq!(on(b"TRYAGAIN Multiple keys request during rehashing of slot", &script, FRESH), "deliver");
        let spent = Budget { attempts: 5, ..FRESH };
        assert_eq!(on(b"TRYAGAIN Multiple keys request during rehashing of slot", &spec(7), spent), "deliver");
    }

    #[test]
    fn a_replica_that_the_caller_names_is_not_asked_for_writes_again() {
        let read_only = b"READONLY You can't write against a read only replica.";
        let master_down = b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
        let keyless = CommandSpec::new(Target::AnyPrimary, Access::Write, 1);
        let there = CommandSpec { target: Target::Node(NodeId::from_bytes([7; 20])), ..keyless };
        assert_eq!(on(read_only, &spec(7), FRESH), "later and refresh");
        assert_eq!(on(read_only, &keyless, FRESH), "later and refresh");
        assert_eq!(on(read_only, &there, FRESH), "deliver and refresh");
        assert_eq!(on(master_down, &there, FRESH), "later and refresh");
    }

    #[test]
    fn resending_what_may_have_run() {
        let read = CommandSpec { access: Access::Read, ..spec(1) };
        assert!(may_resend(&read));
        assert!(!may_resend(&CommandSpec { script_like: true, ..read }));
        assert!(!may_resend(&spec(1)));
        assert!(may_resend(&CommandSpec { retry: RetryPermission::Always, ..spec(1) }));
        assert!(!may_resend(&CommandSpec { retry: RetryPermission::IfNotExecuted, ..read }));
    }
}
