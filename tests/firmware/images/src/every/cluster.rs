//! Functions of the engine.

use super::*;
use slotwise::cluster::*;

type Tables = StaticStorage<2, 8, 32, 2, 8, 4>;

pub(super) fn keep() {
    keep![
        Config::new,
        CloseReason::name,
        <ConnectionError as fmt::Display>::fmt,
        <SubmitError as fmt::Display>::fmt,
        Cluster::<Tables>::new,
        Cluster::<Tables>::handle_connected,
        Cluster::<Tables>::handle_connect_failed,
        Cluster::<Tables>::handle_disconnected,
        Cluster::<Tables>::handle_written,
        Cluster::<Tables>::handle_input,
        Cluster::<Tables>::handle_timeout,
        Cluster::<Tables>::connect,
        Cluster::<Tables>::refresh,
        Cluster::<Tables>::submit,
        Endpoint::announced,
        Env::new,
        Env::with_endpoints,
        Cluster::<Tables>::cancel,
        Cluster::<Tables>::shutdown,
        Cluster::<Tables>::poll_transmit,
        Cluster::<Tables>::poll_event,
        Cluster::<Tables>::poll_timeout,
        Cluster::<Tables>::dial_target,
        Cluster::<Tables>::map,
        Cluster::<Tables>::node,
        Cluster::<Tables>::commands_live,
        Cluster::<Tables>::refreshes,
        Cluster::<Tables>::map_asked,
        Cluster::<Tables>::last_rejection,
        Cluster::<Tables>::is_drained,
        Cluster::<Tables>::memory_used,
        Cluster::<Tables>::storage,
        Tables::new,
    ];
}
