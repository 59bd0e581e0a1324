//! A redirect that is taken for well formed prints back to the very line it was read from; one that is not says why;
//! and no line proves more for a script than for a plain command.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::server_error::{ErrorKind, Executed, RedirectTarget, RetryWhere, ServerError};

fuzz_target!(|data: &[u8]| {
    for code in ["", "MOVED ", "ASK ", "REDIRECT ", "EXECABORT x because of: "] {
        let line = [code.as_bytes(), data].concat();
        check(&line);
    }
});

fn check(line: &[u8]) {
    let error = ServerError::parse(line);
    assert_eq!(error.text(), line);
    assert!(line.starts_with(error.code()));
    let is_redirect = matches!(error.kind(), ErrorKind::Moved | ErrorKind::Ask);
    if is_redirect {
        assert_ne!(error.redirect().is_some(), error.redirect_error().is_some());
    } else {
        assert!(error.redirect().is_none());
    }
    if let Some(redirect) = error.redirect() {
        let code = if redirect.is_ask() { "ASK" } else { "MOVED" };
        let endpoint = match redirect.target() {
            RedirectTarget::SameHost { port } => {
                assert_ne!(port, 0);
                format!(":{port}")
            }
            // The port behind `?` is checked but not kept.
            RedirectTarget::Unknown => {
                let (_, port) = std::str::from_utf8(line).unwrap().rsplit_once(':').unwrap();
                assert_ne!(port.parse::<u16>().unwrap(), 0);
                format!("?:{port}")
            }
            RedirectTarget::Addr(addr) => {
                assert_ne!(addr.port(), 0);
                assert!(!addr.host().is_empty() && !addr.host().contains(['@', '/', ' ', '?', '[', ']', '\r', '\n']));
                format!("{}:{}", addr.host(), addr.port())
            }
        };
        assert_eq!(format!("{code} {} {endpoint}", redirect.slot()).as_bytes(), line);
    }

    let (plain, script) = (error.class(), error.class_for(true));
    assert_ne!(script.executed, Executed::No, "a script's text is no proof");
    if error.from_script() {
        assert_eq!((plain.executed, plain.retry), (Executed::Partly, RetryWhere::Never));
    }
    // Only what surely did not run may be tried again.
    assert!(plain.retry == RetryWhere::Never || plain.executed == Executed::No);
    assert!(matches!(script.retry, RetryWhere::Never | RetryWhere::Redirect));
    if plain.retry == RetryWhere::Redirect {
        assert!(error.target().is_some_and(|target| target != RedirectTarget::Unknown));
    }
    if let Some(inner) = error.inner() {
        assert!(line.ends_with(inner.text()) && inner.inner().is_none());
    }
    assert!(!error.to_string().contains(['\r', '\n']));
}
