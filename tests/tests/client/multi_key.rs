use slotwise_std::Value;

use crate::each;

#[test]
fn split_commands_are_merged() {
    each(3, 1, |_, client| {
        let keys: Vec<String> = (0..1_000).map(|n| format!("mk:{n}")).collect();
        let mut mset = vec!["MSET".to_owned()];
        mset.extend(keys.iter().flat_map(|key| [key.clone(), format!("v-{key}")]));
        assert!(client.command(&mset[..]).unwrap().is_ok());

        let command = |name: &str| -> Vec<String> { std::iter::once(name.to_owned()).chain(keys.clone()).collect() };
        let Value::Array(values) = client.command(&command("MGET")[..]).unwrap() else { panic!() };
        assert_eq!(values.len(), keys.len());
        for (key, value) in keys.iter().zip(&values) {
            assert_eq!(value.as_bytes(), Some(format!("v-{key}").as_bytes()));
        }
        assert_eq!(client.command(&command("EXISTS")[..]).unwrap(), Value::Integer(1_000));
        assert_eq!(client.command(&command("TOUCH")[..]).unwrap(), Value::Integer(1_000));
        assert_eq!(client.command(&["DBSIZE"]).unwrap(), Value::Integer(1_000));
        let Value::Array(found) = client.command(&["KEYS", "mk:*"]).unwrap() else { panic!() };
        assert_eq!(found.len(), 1_000);
        assert_eq!(client.command(&["DEL", "mk:0", "mk:0", "mk:1"]).unwrap(), Value::Integer(2));
        assert_eq!(client.command(&command("UNLINK")[..]).unwrap(), Value::Integer(998));
        assert_eq!(client.command(&["PING"]).unwrap(), Value::Simple("PONG".into()));
        let exists = client.command(&["SCRIPT", "EXISTS", "0000000000000000000000000000000000000000"]).unwrap();
        assert_eq!(exists, Value::Array(vec![Value::Integer(0)]));
        assert!(client.command(&["FLUSHALL"]).unwrap().is_ok());
    });
}

#[test]
fn a_wrong_type_in_one_part_says_what_became_of_the_others() {
    each(3, 0, |_, client| {
        client.command(&["RPUSH", "list", "x"]).unwrap();
        let error = client.command(&["MSETNX", "a", "1", "b", "2"]).unwrap_err();
        assert_eq!(error.name(), "cross_slot");
        // MGET gives nil for other types, so it succeeds everywhere.
        let Value::Array(values) = client.command(&["MGET", "list", "a"]).unwrap() else { panic!() };
        assert_eq!(values, [Value::Null, Value::Null]);
    });
}
