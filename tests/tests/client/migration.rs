use slotwise_std::Client;

use crate::each;
use crate::workload::Workload;

#[test]
fn results_stay_right_while_slots_move_key_by_key() {
    each(3, 1, |cluster, client| {
        let admin = cluster.admin();
        // 200 slots from the first primary to the second, and the client's map goes stale 200 times.
        let from = admin.primaries().start;
        let slots: Vec<u16> = (0..16_384).filter(|slot| admin.owner(*slot) == Some(from)).take(200).collect();
        let moves = slots.iter().map(|slot| (*slot, from + 1)).collect();
        let work = Workload::new(3).fill(10_000, 400, false);
        let migrator = admin.migrator(moves, 100);
        let (mut rounds, mut resent) = (0, 0);
        while !migrator.is_finished() || rounds == 0 {
            wipe(client, 400);
            let results = client.run(&work.batch).unwrap();
            resent += work.check(&results);
            rounds += 1;
        }
        let report = migrator.join();
        assert_eq!(report.moved, 200, "{report:?}");
        assert!(resent > 0, "nothing was redirected in {rounds} rounds");
        println!("{:?}: {rounds} rounds of 10,000 commands, {resent} redirected or repeated", admin.kind());
    });
}

#[test]
fn split_commands_follow_moving_slots() {
    each(3, 0, |cluster, client| {
        let admin = cluster.admin();
        let keys: Vec<String> = (0..300).map(|n| format!("mv:{n}")).collect();
        let mut mset = vec!["MSET".to_owned()];
        mset.extend(keys.iter().flat_map(|key| [key.clone(), key.clone()]));
        client.command(&mset[..]).unwrap();
        let mget: Vec<String> = std::iter::once("MGET".to_owned()).chain(keys.clone()).collect();
        let from = admin.primaries().start + 2;
        let moves = (0..16_384).filter(|slot| admin.owner(*slot) == Some(from)).take(200).map(|slot| (slot, from - 1));
        let migrator = admin.migrator(moves.collect(), 200);
        let mut rounds = 0;
        while !migrator.is_finished() || rounds == 0 {
            let values = client.command(&mget[..]).unwrap();
            let values = values.as_slice().unwrap();
            assert!(keys.iter().zip(values).all(|(key, value)| value.as_bytes() == Some(key.as_bytes())));
            rounds += 1;
        }
        let report = migrator.join();
        assert_eq!(report.moved, 200, "{report:?}");
    });
}

#[test]
fn atomic_migration_is_followed() {
    use slotwise_tests::real::{Cluster, ServerKind};
    let Some(cluster) = Cluster::start(ServerKind::Valkey9, 3, 0) else { return };
    let admin = cluster.admin();
    let mut client = Client::connect(&format!("redis://{}", admin.seeds()[0])).unwrap();
    let work = Workload::new(11).fill(10_000, 300, true);
    work.check(&client.run(&work.batch).unwrap());
    let from = admin.owner(0).unwrap();
    let to = admin.primaries().find(|node| *node != from).unwrap();
    let mover = {
        let admin = admin.clone();
        std::thread::spawn(move || admin.move_slots_atomically(0, 199, to))
    };
    // Not FLUSHALL: the server gives up an atomic migration whose slots are flushed (seen on Valkey 9.1).
    let mut rounds = 0;
    while !mover.is_finished() || rounds < 2 {
        wipe(&mut client, 300);
        work.check(&client.run(&work.batch).unwrap());
        rounds += 1;
    }
    mover.join().unwrap().unwrap();
    assert_eq!(admin.owner(0), Some(to));
    wipe(&mut client, 300);
    work.check(&client.run(&work.batch).unwrap());
}

/// Key by key, each where it is. FLUSHALL would not do while slots move: it reaches the primaries one after the other,
/// and a key that leaves a node before it and comes to the other after it lives on.
fn wipe(client: &mut Client, keys: u64) {
    assert!(client.run(&Workload::wipe(keys)).unwrap().iter().all(|result| result.is_ok()));
}
