//! Whatever a COMMAND reply says, the extended table stays within its memory, finds what it took, and names only
//! arguments as keys; what the base table knows is not overruled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::command::{Entry, Extension, ExtensionStorage, FULL, KeySpec};
use slotwise::limits::Limits;
use slotwise::resp::{Frame, Status};

fuzz_target!(|data: &[u8]| {
    let Some((&[room, count], reply)) = data.split_first_chunk::<2>() else { return };
    let Ok(Status::Complete((frame, _))) = Frame::new_checked(reply, &Limits::DEFAULT) else { return };
    let room = usize::from(room);
    let (mut names, mut entries) = (vec![0; room * 4], vec![Entry::EMPTY; room / 8]);
    let (mut buckets, mut specs) = (vec![0; room / 4], vec![KeySpec::EMPTY; room / 16]);
    let storage =
        ExtensionStorage { names: &mut names, entries: &mut entries, buckets: &mut buckets, specs: &mut specs };
    let mut extension = Extension::new(storage, &FULL);
    extension.read(&frame);
    let added = extension.added();
    assert!(added <= room / 8);
    extension.read(&frame);
    let table = extension.finish();
    assert!(table.len() >= added);

    for command in table.commands() {
        let mut args: Vec<&[u8]> = vec![command.name().as_bytes()];
        args.extend(command.subcommand().map(str::as_bytes));
        assert!(command.subcommand().is_none() || table.find(&args[..]).is_ok(), "{command}");
        args.extend([&b"2"[..], b"a", b"STORE", b"b"].iter().cycle().take(usize::from(count)));
        if let Ok(keys) = command.routed(&args[..]) {
            assert!(keys.take(1000).all(|key| key.index < args.len()), "{command}");
        }
    }
    for command in FULL.commands().filter(|command| command.subcommand().is_none()) {
        let mut args = vec![command.name(); usize::from(command.arity().unsigned_abs())];
        args[0] = command.name();
        if let Ok(known) = FULL.find(&args[..]) {
            let found = table.find(&args[..]).expect("the base is still asked");
            assert_eq!(found.read_only(), known.read_only());
        }
    }
});
