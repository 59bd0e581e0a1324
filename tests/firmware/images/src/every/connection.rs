//! Functions of one connection.

use super::*;
use slotwise::connection::*;

pub(super) fn keep() {
    keep![
        BackoffPolicy::ceiling,
        Backoff::new,
        Backoff::attempts,
        Backoff::next_delay,
        Backoff::reset,
        ControlFrame::args,
        ControlFrame::encoded_len,
        ControlFrame::encode,
        ControlFrame::carries_secret,
        <ControlArgs as slotwise::resp::Args>::count,
        <ControlArgs as slotwise::resp::Args>::arg,
        Steps::contains,
        Steps::is_empty,
        Handshake::new,
        Handshake::with_read_only,
        Handshake::poll,
        Handshake::replies_awaited,
        Handshake::is_ready,
        Handshake::on_token,
        Zone::of,
        Liveness::dialling,
        Liveness::on_connected,
        Liveness::on_ready,
        Liveness::on_bytes,
        Liveness::on_work,
        Liveness::on_probe,
        Liveness::poll,
        Liveness::poll_timeout,
        HandshakeError::name,
        HandshakeError::needs_settings,
        HandshakeError::unsolicited,
        <HandshakeError as fmt::Display>::fmt,
        Secret::new,
        Secret::expose,
        Settings::check,
        <SettingsError as fmt::Display>::fmt,
    ];
}
