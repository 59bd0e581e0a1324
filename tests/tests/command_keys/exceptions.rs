//! Where a server is no oracle, and why.

use slotwise_tests::real::ServerKind;

use crate::cases::{Case, Expect};
use crate::report::Report;

/// Why a server's answer differs from the keys, which are then checked against the hand-made expectation alone.
struct Exception {
    id: &'static str,
    reason: &'static str,
    applies: fn(ServerKind, &Case) -> bool,
}

/// The id of the exception for arguments that are routed like keys and are none.
pub(crate) const NOT_KEY: &str = "not-key";

const EXCEPTIONS: &[Exception] = &[
    Exception {
        id: NOT_KEY,
        reason: "channels and cursors are no keys to GETKEYS, yet decide the route; the route test asks for MOVED",
        applies: |_, _| false,
    },
    Exception {
        id: "geo-two-stores",
        reason: "with STORE and STOREDIST Valkey names only the last, Redis both; the core names both",
        applies: |kind, case| {
            kind == ServerKind::Valkey9
                && case.command().starts_with("GEORADIUS")
                && ["STORE", "STOREDIST"].iter().all(|word| case.has(word))
        },
    },
    Exception {
        id: "zrank-withscore",
        reason: "ZRANK and ZREVRANK have taken WITHSCORE since Redis 7.2; 7.0 calls the fourth argument one too many",
        applies: |kind, case| {
            kind == ServerKind::Redis7
                && ["ZRANK", "ZREVRANK"].contains(&case.command().as_str())
                && case.args.len() > 3
        },
    },
    Exception {
        id: "module-arity",
        reason: "the server leaves the number of arguments to the module; the core refuses what the module would",
        applies: |kind, case| {
            kind == ServerKind::Redis8 && case.expect == Expect::Arity && case.command().starts_with('V')
        },
    },
];

/// The exception that covers this case on this server.
pub(crate) fn find(kind: ServerKind, case: &Case) -> Option<&'static str> {
    EXCEPTIONS.iter().find(|exception| (exception.applies)(kind, case)).map(|exception| exception.id)
}

/// The reason of an exception.
pub(crate) fn reason(id: &str) -> &'static str {
    EXCEPTIONS.iter().find(|exception| exception.id == id).map_or("", |exception| exception.reason)
}

/// Exceptions that nothing needed.
pub(crate) fn unused(report: &Report) -> Vec<&'static str> {
    EXCEPTIONS.iter().map(|exception| exception.id).filter(|id| !report.used(id)).collect()
}
