//! The generated table is what the generator writes, and what live servers say of their commands extends it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use slotwise::command::{Entry, Extension, ExtensionStorage, FULL, KeyRef, KeySpec, Table, keys};
use slotwise::limits::Limits;
use slotwise::resp::{Frame, Status};
use slotwise_tests::real::{Cluster, ServerKind};

#[test]
fn committed_table_is_what_the_generator_writes() {
    let output = Command::new(env!("CARGO_BIN_EXE_gen-commands")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

slotwise::command_table! {
    /// Next to nothing, so that nearly all comes from the server.
    static LITTLE = ["GET", "CONFIG|GET", "XREAD"];
}

/// Commands whose keys no specification names in full; only the generated table knows their grammar.
const LEFT_OUT: [&str; 3] = ["SORT", "SORT_RO", "MIGRATE"];

/// Lines that both tables must read alike.
const LINES: [&str; 14] = [
    "mget a b c",
    "mset a 1 b 2",
    "set a 1",
    "blpop a b 0",
    "object encoding a",
    "xgroup create a g $",
    "eval s 2 a b c",
    "zunionstore d 2 a b",
    "lmpop 1 a left",
    "bitop and d a b c",
    "xreadgroup group g c streams a b > >",
    "georadius a 1 2 3 m store b",
    "xinfo stream a",
    "config set a b",
];

#[test]
fn table_read_from_live_servers() {
    for kind in ServerKind::ALL {
        let Some(cluster) = Cluster::start(kind, 1, 0) else { continue };
        for protocol in ["2", "3"] {
            let reply = command_reply(cluster.port(0), protocol);
            let Ok(Status::Complete((frame, _))) = Frame::new_checked(&reply, &Limits::DEFAULT) else {
                panic!("COMMAND is no reply")
            };
            let (mut names, mut entries) = (vec![0; 8192], vec![Entry::EMPTY; 500]);
            let (mut buckets, mut specs) = (vec![0; 1500], vec![KeySpec::EMPTY; 255]);
            let storage =
                ExtensionStorage { names: &mut names, entries: &mut entries, buckets: &mut buckets, specs: &mut specs };
            let mut extension = Extension::new(storage, &LITTLE);
            extension.read(&frame);
            let (added, left_out) = (extension.added(), extension.left_out());
            println!("{kind:?} RESP{protocol}: {added} commands read, {left_out} left out");
            assert!(added > 300 && left_out == LEFT_OUT.len(), "{kind:?}: {added}, {left_out}");
            extension.read(&frame);
            assert_eq!(extension.added(), added, "a second reading adds nothing");
            check(&extension.finish());
        }
    }
}

fn check(table: &Table<'_>) {
    for line in LINES {
        let args: Vec<_> = line.split(' ').collect();
        let read =
            |table: &Table<'_>| keys(table, args.as_slice()).map(|keys| keys.map(|key| key.index).collect::<Vec<_>>());
        assert_eq!(read(table), read(&FULL), "{line}");
    }
    for name in LEFT_OUT {
        assert!(table.find(&[name, "a"]).is_err(), "{name}");
    }
    let mut compared = 0;
    for command in table.commands() {
        let name: Vec<_> = [Some(command.name()), command.subcommand()].into_iter().flatten().collect();
        let mut args: Vec<&str> = name.clone();
        args.resize(usize::from(command.arity().unsigned_abs()), "1");
        let Ok(known) = FULL.find(args.as_slice()) else { continue };
        // A keyword search and a grammar may differ on such arguments.
        if known.key_specs().len() == 3 || name == ["XREADGROUP"] {
            continue;
        }
        // Where this server is older than the table, its command may take fewer arguments.
        let (Ok(found), Ok(expected)) = (command.routed(args.as_slice()), known.routed(args.as_slice())) else {
            continue;
        };
        let index = |key: KeyRef| key.index;
        assert!(found.map(index).eq(expected.map(index)), "{command}");
        assert_eq!((command.read_only(), command.writes()), (known.read_only(), known.writes()), "{command}");
        // WAIT is only flagged so since Redis 7.2.
        assert!(known.may_block() || !command.may_block(), "{command}");
        compared += 1;
    }
    assert!(compared > 290, "only {compared} compared");
}

/// The bytes of a reply to COMMAND.
fn command_reply(port: u16, protocol: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut buffer = vec![0; 1 << 16];
    let mut read = |stream: &mut TcpStream| {
        let mut reply = Vec::new();
        while !matches!(Frame::new_checked(&reply, &Limits::DEFAULT).unwrap(), Status::Complete(_)) {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "closed");
            reply.extend_from_slice(&buffer[..count]);
        }
        reply
    };
    stream.write_all(format!("*2\r\n$5\r\nHELLO\r\n$1\r\n{protocol}\r\n").as_bytes()).unwrap();
    read(&mut stream);
    stream.write_all(b"*1\r\n$7\r\nCOMMAND\r\n").unwrap();
    read(&mut stream)
}
