//! The keys of any arguments are arguments; the route agrees with their slots; letter case of names does not matter.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use slotwise::command::{CommandError, FULL, Route, analyse, keys};
use slotwise::slot::Slot;

fuzz_target!(|data: &[u8]| {
    // The first two bytes choose a command that exists, so that most of the work is behind the name; what follows are
    // arguments, apart by 0xff.
    let Some((&[high, low], tail)) = data.split_first_chunk::<2>() else { return };
    let pick = usize::from(u16::from_be_bytes([high, low]));
    let mut args: Vec<Vec<u8>> = Vec::new();
    if let Some(command) = FULL.commands().nth(pick) {
        args.extend([Some(command.name()), command.subcommand()].into_iter().flatten().map(Vec::from));
    }
    args.extend(tail.split(|&byte| byte == 0xff).map(Vec::from));

    let found = match FULL.find(&args[..]) {
        Ok(found) => found,
        Err(why) => {
            assert_eq!(keys(&FULL, &args[..]).unwrap_err(), why);
            assert_eq!(analyse(&FULL, &args[..]).unwrap_err(), why);
            return;
        }
    };
    let routed = found.routed(&args[..]);
    assert_eq!(routed.is_ok(), found.takes(args.len()));
    let Ok(routed) = routed else { return };
    let places: Vec<usize> = routed.map(|key| key.index).collect();
    assert_eq!(routed.len(), places.len());
    assert!(places.iter().all(|&at| 0 < at && at < args.len()), "{places:?} of {}", args.len());
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len(), "a key comes twice: {places:?}");
    let real: Vec<usize> = found.keys(&args[..]).unwrap().map(|key| key.index).collect();
    assert!(real == places || real.is_empty());

    let slots: BTreeSet<Slot> = places.iter().map(|&at| Slot::of_key(&args[at])).collect();
    match found.analyse(&args[..]) {
        Ok(analysis) => {
            assert_eq!(analysis.key_count(), places.len());
            match analysis.route() {
                Route::Slot(slot) => assert!(slots.len() == 1 && slots.contains(&slot)),
                Route::Split => assert!(slots.len() > 1),
                _ => assert!(slots.is_empty()),
            }
            if let Ok(spec) = analysis.spec(1) {
                assert_eq!(spec.target.slot(), analysis.slot());
            }
        }
        Err(why) => assert!(why == CommandError::Arity || (why == CommandError::CrossSlot && slots.len() > 1)),
    }

    for word in args.iter_mut().take(2) {
        word.iter_mut().for_each(|byte| {
            *byte = if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        });
    }
    if found.subcommand().is_some() {
        let again: Vec<usize> = keys(&FULL, &args[..]).unwrap().map(|key| key.index).collect();
        assert_eq!(again, real);
    }
});
