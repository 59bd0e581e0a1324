//! Every public function of the core, by its address: what is referred to is linked as it stands, so an image with this in
//! it proves that none of them can panic, whatever its arguments. A test in `tests/` holds the list against the sources.

use core::fmt;
use core::hint::black_box;

/// Keeps functions in the image.
macro_rules! keep {
    ($($function:expr),* $(,)?) => {
        $(black_box($function as *const ());)*
    };
}

/// Keeps a value, and what made it.
fn used<T>(value: T) {
    black_box(value);
}

/// Keeps all of them.
pub fn keep() {
    addr::keep();
    cluster::keep();
    command::keep();
    connection::keep();
    ids::keep();
    pipeline::keep();
    pubsub::keep();
    rand::keep();
    resp::keep();
    resp_encode::keep();
    resp_number::keep();
    resp_reply::keep();
    resp_request::keep();
    scan::keep();
    server_error::keep();
    slot::keep();
    time::keep();
    topology::keep();
}

mod addr {
    use super::*;
    use slotwise::addr::*;

    pub(super) fn keep() {
        keep![
            <AddrError as fmt::Display>::fmt,
            NodeAddr::new,
            NodeAddr::host,
            NodeAddr::port,
            NodeAddr::parse,
            <NodeAddr as fmt::Display>::fmt,
            split,
            parse_port,
            host,
        ];
    }
}

mod cluster {
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
}

mod command {
    use super::*;
    use slotwise::command::*;

    pub(super) fn keep() {
        keep![
            analyse::<[&str]>,
            Command::analyse::<[&str]>,
            Analysis::command,
            Analysis::name,
            Analysis::route,
            Analysis::access,
            Analysis::read_only,
            Analysis::blocking,
            Analysis::script_like,
            Analysis::merge,
            Analysis::needs_guard,
            Analysis::subscribe_class,
            Analysis::not_shared,
            Analysis::allowed_in_multi,
            Analysis::key_count,
            Analysis::slot,
            Analysis::spec,
            Analysis::spec_for,
            CommandError::name,
            <CommandError as fmt::Display>::fmt,
            Extension::new,
            Extension::read,
            Extension::added,
            Extension::left_out,
            Extension::finish,
            KeyFlags::kind,
            KeyFlags::is_key,
            KeyFlags::writes,
            KeyFlags::accesses,
            KeyFlags::updates,
            KeyFlags::inserts,
            KeyFlags::deletes,
            KeyFlags::variable,
            keys::<[&str]>,
            <Keys as Iterator>::next,
            Command::keys::<[&str]>,
            Command::routed::<[&str]>,
            Route::name,
            Route::slot,
            RequestPolicy::name,
            ResponsePolicy::name,
            CommandSpec::new,
            CommandSpec::with_tag,
            CommandSpec::with_domain,
            CommandSpec::with_retry,
            CommandSpec::with_timeout,
            CommandSpec::with_streamed,
            Target::slot,
            Table::find::<[&str]>,
            Table::len,
            Table::is_empty,
            Table::size,
            Command::name,
            Command::subcommand,
            Command::arity,
            Command::takes,
            Command::read_only,
            Command::writes,
            Command::may_block,
            Command::script_like,
            Command::allowed_in_multi,
            Command::request_policy,
            Command::response_policy,
            Command::key_specs,
            <Command as fmt::Display>::fmt,
            with_closures,
        ];
    }

    fn with_closures(table: &'static Table<'static>) {
        Table::commands(table).for_each(used);
    }
}

mod connection {
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
}

mod ids {
    use super::*;
    use slotwise::ids::*;

    pub(super) fn keep() {
        keep![
            NodeId::from_bytes,
            NodeId::as_bytes,
            NodeId::parse,
            NodeId::derived,
            NodeId::is_derived,
            <NodeId as fmt::Display>::fmt,
            CommandId::new,
            CommandId::index,
            CommandId::generation,
            ConnId::new,
            ConnId::index,
            ConnId::generation,
        ];
    }
}

mod pipeline {
    use super::*;
    use slotwise::pipeline::*;

    pub(super) fn keep() {
        keep![
            Elements::new,
            Elements::place,
            Elements::begun,
            Answer::of,
            PartState::executed,
            PartState::is_failure,
            <MergeError as fmt::Display>::fmt,
            Merge::<[PartState; 2]>::new,
            Merge::<[PartState; 2]>::answer,
            Merge::<[PartState; 2]>::columns::<core::array::IntoIter<Option<i64>, 2>>,
            Merge::<[PartState; 2]>::fail,
            Merge::<[PartState; 2]>::is_finished,
            Merge::<[PartState; 2]>::finish,
            Merge::<[PartState; 2]>::partial,
            Merge::<[PartState; 2]>::states,
            Merge::<[PartState; 2]>::tally,
            Outcome::as_str,
            Outcome::name,
            <Outcome as fmt::Display>::fmt,
            Reason::name,
            <Reason as fmt::Display>::fmt,
            <Failure as fmt::Display>::fmt,
            <PlanError as fmt::Display>::fmt,
            Plan::<[Link; 4], [Lane; 2]>::new,
            Plan::<[Link; 4], [Lane; 2]>::clear,
            Plan::<[Link; 4], [Lane; 2]>::len,
            Plan::<[Link; 4], [Lane; 2]>::is_empty,
            Plan::<[Link; 4], [Lane; 2]>::push,
            Plan::<[Link; 4], [Lane; 2]>::pop,
            Plan::<[Link; 4], [Lane; 2]>::put_back,
            Plan::<[Link; 4], [Lane; 2]>::waiting,
            Plan::<[Link; 4], [Lane; 2]>::commands,
            Plan::<[Link; 4], [Lane; 2]>::links_mut,
            Plan::<[Link; 4], [Lane; 2]>::lanes_mut,
            <LaneCommands as Iterator>::next,
            <Refused<u8> as fmt::Display>::fmt,
            Reorder::<[Option<u8>; 4]>::new,
            Reorder::<[Option<u8>; 4]>::held,
            Reorder::<[Option<u8>; 4]>::taken,
            Reorder::<[Option<u8>; 4]>::clear::<u8>,
            Reorder::<[Option<u8>; 4]>::put::<u8>,
            Reorder::<[Option<u8>; 4]>::ready::<u8>,
            Reorder::<[Option<u8>; 4]>::first_missing::<u8>,
            Reorder::<[Option<u8>; 4]>::take_next::<u8>,
            Reorder::<[Option<u8>; 4]>::get::<u8>,
            decide,
            may_resend,
            Shape::of,
            Shape::merge,
            Shape::step,
            Shape::keys,
            <SplitError as fmt::Display>::fmt,
            split::<[&str]>,
            Layout::view::<[&str]>,
            Split::<[&str]>::layout,
            Split::<[&str]>::len,
            Split::<[&str]>::keys,
            Split::<[&str]>::shape,
            Split::<[&str]>::part,
            Split::<[&str]>::position,
            PartView::<[&str]>::slot,
            PartView::<[&str]>::keys,
            PartView::<[&str]>::position,
            <PartView<[&str]> as slotwise::resp::Args>::count,
            <PartView<[&str]> as slotwise::resp::Args>::arg,
            with_closures,
        ];
    }

    fn with_closures(
        plan: &Plan<[Link; 4], [Lane; 2]>,
        reorder: &Reorder<[Option<u8>; 4]>,
        split: &Split<'_, [&str]>,
        part: &PartView<'_, [&str]>,
    ) {
        Plan::<[Link; 4], [Lane; 2]>::lanes(plan).for_each(used);
        Reorder::<[Option<u8>; 4]>::prefix::<u8>(reorder).for_each(used);
        Split::<[&str]>::parts(split).for_each(used);
        PartView::<[&str]>::positions(part).for_each(used);
    }
}

mod pubsub {
    use super::*;
    use slotwise::pubsub::*;

    type Channels = StaticStorage<2, 2, 32>;

    pub(super) fn keep() {
        keep![
            Kind::name,
            ChannelId::index,
            Reconciler::<Channels>::on_push,
            Reconciler::<Channels>::on_command_done,
            Reconciler::<Channels>::on_lost,
            Reconciler::<Channels>::on_alive,
            Reconciler::<Channels>::on_map,
            Push::read,
            Push::is_known,
            Reconciler::<Channels>::new,
            Reconciler::<Channels>::want,
            Reconciler::<Channels>::unwant,
            Reconciler::<Channels>::poll,
            Reconciler::<Channels>::poll_timeout,
            Reconciler::<Channels>::args,
            Reconciler::<Channels>::poll_event,
            Reconciler::<Channels>::wants_refresh,
            Reconciler::<Channels>::find,
            Reconciler::<Channels>::name,
            Reconciler::<Channels>::state,
            Reconciler::<Channels>::is_settled,
            Reconciler::<Channels>::counts,
            Reconciler::<Channels>::memory_used,
            SubTicket::to_bits,
            SubTicket::from_bits,
            <SubArgs as slotwise::resp::Args>::count,
            <SubArgs as slotwise::resp::Args>::arg,
            Channels::new,
            <Full as fmt::Display>::fmt,
            with_closures,
        ];
    }

    fn with_closures(reconciler: &mut Reconciler<Channels>, args: &SubArgs<'_>) {
        Reconciler::<Channels>::grow(reconciler, |_| {});
        Reconciler::<Channels>::wanted(reconciler).for_each(used);
        SubArgs::channels(args).for_each(used);
    }
}

mod rand {
    use super::*;
    use slotwise::rand::*;

    pub(super) fn keep() {
        keep![Rand::new, Rand::next_u32, Rand::below, Rand::jitter,];
    }
}

mod resp {
    use super::*;
    use slotwise::resp::*;

    pub(super) fn keep() {
        keep![
            <[&str] as slotwise::resp::Args>::count,
            <[&str] as slotwise::resp::Args>::arg,
            <[&str; 2] as slotwise::resp::Args>::count,
            <[&str; 2] as slotwise::resp::Args>::arg,
            <&[&str] as slotwise::resp::Args>::count,
            <&[&str] as slotwise::resp::Args>::arg,
            <Children as Iterator>::next,
            <Attributes as Iterator>::next,
            <Pushes as Iterator>::next,
            RespError::kind,
            RespError::offset,
            RespError::shifted,
            <RespError as fmt::Display>::fmt,
            RespErrorKind::name,
            <RespErrorKind as fmt::Display>::fmt,
            FrameState::new,
            FrameState::scan,
            FrameState::at_boundary,
            FrameState::looked,
            Frames::<8>::new,
            Frames::<8>::scan,
            Frames::<8>::set_limits,
            Frame::new_checked,
            Frame::from_extent,
            Frame::raw,
            Frame::kind,
            Frame::token,
            Frame::too_deep,
            Frame::is_error,
            Frame::is_null,
            Frame::null,
            Frame::is_push,
            Frame::bytes,
            Frame::error,
            Frame::integer,
            Frame::boolean,
            Frame::format,
            Frame::len,
            Frame::children,
            Frame::walk,
            Frame::attributes,
            Frame::pushes,
            TokenState::new,
            TokenState::with_whole,
            TokenState::at_boundary,
            TokenState::offset,
            TokenState::failed,
            TokenState::reader,
            TokenReader::next,
            TokenReader::consumed,
            TokenReader::at_boundary,
            TokenReader::depth,
            TokenReader::out_of_band,
            TokenReader::in_attribute,
            Tokens::<8>::new,
            Tokens::<8>::with_whole,
            Tokens::<8>::reader,
            Tokens::<8>::at_boundary,
            Tokens::<8>::offset,
            Tokens::<8>::set_limits,
            Walk::skip_children,
            <Walk as Iterator>::next,
        ];
    }
}

mod resp_encode {
    use super::*;
    use slotwise::resp::encode::*;

    pub(super) fn keep() {
        keep![
            <EncodeError as fmt::Display>::fmt,
            encoded_len::<[&str]>,
            encode::<[&str]>,
            scratch_len::<[&str]>,
            segments::<[&str]>,
            <Segments<[&str]> as Iterator>::next,
        ];
    }
}

mod resp_number {
    use super::*;
    use slotwise::resp::number::*;

    pub(super) fn keep() {
        keep![parse_u64, parse_i64, Decimal::unsigned, Decimal::signed, Decimal::as_bytes,];
    }
}

mod resp_reply {
    use super::*;
    use slotwise::resp::reply::*;

    pub(super) fn keep() {
        keep![
            SliceSink::new,
            SliceSink::written,
            ReplyWriter::<SliceSink<'_>>::new,
            ReplyWriter::<SliceSink<'_>>::simple,
            ReplyWriter::<SliceSink<'_>>::error,
            ReplyWriter::<SliceSink<'_>>::integer,
            ReplyWriter::<SliceSink<'_>>::bulk,
            ReplyWriter::<SliceSink<'_>>::null,
            ReplyWriter::<SliceSink<'_>>::null_array,
            ReplyWriter::<SliceSink<'_>>::boolean,
            ReplyWriter::<SliceSink<'_>>::double,
            ReplyWriter::<SliceSink<'_>>::big_number,
            ReplyWriter::<SliceSink<'_>>::verbatim,
            ReplyWriter::<SliceSink<'_>>::array,
            ReplyWriter::<SliceSink<'_>>::map,
            ReplyWriter::<SliceSink<'_>>::set,
            ReplyWriter::<SliceSink<'_>>::push,
            ReplyWriter::<SliceSink<'_>>::attribute,
        ];
    }
}

mod resp_request {
    use super::*;
    use slotwise::resp::request::*;

    pub(super) fn keep() {
        keep![
            split_inline,
            <UnbalancedQuotes as fmt::Display>::fmt,
            <Words as Iterator>::next,
            Word::len,
            Word::plain,
            <RequestError as fmt::Display>::fmt,
            Request::raw,
            Request::is_inline,
            Request::get,
            <Request as slotwise::resp::Args>::count,
            <Request as slotwise::resp::Args>::arg,
            RequestState::new,
            RequestState::read,
            Requests::<4, 64>::new,
            Requests::<4, 64>::read,
            Requests::<4, 64>::set_limits,
            with_closures,
        ];
    }

    fn with_closures(word: &Word<'_>, request: &Request<'_>) {
        Word::bytes(word).for_each(used);
        Request::iter(request).for_each(used);
    }
}

mod scan {
    use super::*;
    use slotwise::resp::Frame;
    use slotwise::scan::*;
    use slotwise::time::Instant;
    use slotwise::topology::Map;

    pub(super) fn keep() {
        keep![
            Why::name,
            Ended::name,
            Certificate::proven,
            Certificate::scope,
            Certificate::ended,
            Certificate::counts,
            Certificate::unproven,
            Certificate::check,
            <Unproven as Iterator>::next,
            <Incomplete as fmt::Display>::fmt,
            ClusterScan::<[Walk; 1]>::inline,
            ClusterScan::<[Walk; 1]>::new,
            ClusterScan::<[Walk; 1]>::poll,
            ClusterScan::<[Walk; 1]>::poll_timeout,
            ClusterScan::<[Walk; 1]>::wants_refresh,
            ClusterScan::<[Walk; 1]>::on_failed,
            ClusterScan::<[Walk; 1]>::on_lost,
            ClusterScan::<[Walk; 1]>::set_count,
            ClusterScan::<[Walk; 1]>::cancel,
            ClusterScan::<[Walk; 1]>::is_done,
            ClusterScan::<[Walk; 1]>::certificate,
            ClusterScan::<[Walk; 1]>::save,
            ClusterScan::<[Walk; 1]>::restore,
            ClusterScan::<[Walk; 1]>::memory_used,
            ClusterScan::<[Walk; 1]>::active_walks,
            Cursor::new,
            Cursor::parse,
            Cursor::at_slot,
            Cursor::slot,
            Cursor::is_end,
            Cursor::get,
            <BadCursor as fmt::Display>::fmt,
            ScanOptions::new,
            ScanOptions::pattern,
            ScanOptions::type_name,
            ScanOptions::count,
            ScanOptions::adapt,
            ScanOptions::coverage,
            ScanOptions::per_node,
            fixed_slot,
            ScanError::name,
            <ScanError as fmt::Display>::fmt,
            Ticket::to_bits,
            Ticket::from_bits,
            Ticket::walk,
            ScanRequest::args,
            <ScanArgs as slotwise::resp::Args>::count,
            <ScanArgs as slotwise::resp::Args>::arg,
            <TokenTooLong as fmt::Display>::fmt,
            <RestoreError as fmt::Display>::fmt,
            <UnlinkError as fmt::Display>::fmt,
            UnlinkBatch::new,
            UnlinkBatch::push,
            UnlinkBatch::command,
            UnlinkBatch::rewind,
            UnlinkBatch::clear,
            UnlinkBatch::len,
            UnlinkBatch::is_empty,
            UnlinkCommand::slot,
            <UnlinkCommand as slotwise::resp::Args>::count,
            <UnlinkCommand as slotwise::resp::Args>::arg,
            Walk::new,
            with_closures,
        ];
    }

    fn with_closures(
        scan: &mut ClusterScan<[Walk; 1]>,
        now: Instant,
        ticket: Ticket,
        frame: &Frame<'_>,
        map: &Map<'_>,
        command: &UnlinkCommand<'_>,
    ) {
        used(ClusterScan::<[Walk; 1]>::on_reply(scan, now, ticket, frame, map, |key| used(key)));
        used(ClusterScan::<[Walk; 1]>::on_token(scan, now, ticket, &frame.token(), &mut [], map, |key| used(key)));
        UnlinkCommand::keys(command).for_each(used);
    }
}

mod server_error {
    use super::*;
    use slotwise::server_error::*;

    pub(super) fn keep() {
        keep![
            Executed::name,
            RetryWhere::name,
            ErrorKind::name,
            ServerError::parse,
            ServerError::kind,
            ServerError::code,
            ServerError::text,
            ServerError::from_script,
            ServerError::redirect,
            ServerError::redirect_error,
            ServerError::target,
            ServerError::inner,
            ServerError::class,
            ServerError::class_for,
            <ServerError as fmt::Display>::fmt,
            Redirect::slot,
            Redirect::target,
            Redirect::is_ask,
            RedirectError::name,
            <RedirectError as fmt::Display>::fmt,
        ];
    }
}

mod slot {
    use super::*;
    use slotwise::slot::*;

    pub(super) fn keep() {
        keep![
            crc16,
            Slot::new,
            Slot::masked,
            Slot::of_key,
            Slot::get,
            Slot::index,
            Slot::next,
            <Slot as fmt::Display>::fmt,
            SlotRange::new,
            SlotRange::one,
            SlotRange::first,
            SlotRange::last,
            SlotRange::len,
            SlotRange::contains,
            SlotRange::overlaps,
            SlotRange::intersection,
            SlotRange::iter,
            <SlotRange as fmt::Display>::fmt,
            <SlotRangeIter as Iterator>::next,
            SlotSet::new,
            SlotSet::insert,
            SlotSet::remove,
            SlotSet::contains,
            SlotSet::insert_range,
            SlotSet::remove_range,
            SlotSet::contains_range,
            SlotSet::clear,
            SlotSet::len,
            SlotSet::is_empty,
            SlotSet::is_full,
            SlotSet::union,
            SlotSet::subtract,
            SlotSet::intersect,
            SlotSet::intersects,
            SlotSet::first,
            SlotSet::next_from,
            SlotSet::next_absent,
            SlotSet::count_in,
            SlotSet::insert_from,
            SlotSet::remove_from,
            SlotSet::nth,
            SlotSet::ranges,
            SlotSet::as_words,
            SlotSet::from_words,
            <SlotSetRanges as Iterator>::next,
            hash_tag,
            tag_for,
            with_closures,
        ];
    }

    fn with_closures(set: &SlotSet) {
        SlotSet::iter(set).for_each(used);
    }
}

mod time {
    use super::*;
    use slotwise::time::*;

    pub(super) fn keep() {
        keep![
            Duration::from_micros,
            Duration::from_millis,
            Duration::from_secs,
            Duration::as_micros,
            Duration::as_millis,
            Duration::saturating_mul,
            Duration::saturating_add,
            Instant::from_micros,
            Instant::as_micros,
            Instant::since,
        ];
    }
}

mod topology {
    use super::*;
    use slotwise::rand::Rand;
    use slotwise::time::Instant;
    use slotwise::topology::*;

    pub(super) fn keep() {
        keep![
            MapMut::new,
            MapMut::map,
            MapMut::reborrow,
            MapMut::clear,
            MapMut::add_node,
            MapMut::add_range,
            MapMut::finish,
            MapMut::copy_from,
            MapMut::enrich,
            Freshness::new,
            Freshness::note_moved,
            Freshness::judge,
            digest,
            MapHead::new,
            MapHead::version,
            MapHead::follow,
            MapParts::reborrow,
            MapParts::map,
            Map::new,
            Map::empty,
            Map::owner,
            Map::node,
            Map::node_count,
            Map::find,
            Map::find_addr,
            Map::addr,
            Map::endpoint,
            Map::ip,
            Map::hostname,
            Map::zone,
            Map::shard,
            Map::runs,
            Map::runs_from,
            Map::covered,
            Map::version,
            Map::is_empty,
            Map::overflowed,
            Map::has_epochs,
            Shard::primary,
            moved,
            moved_to,
            MapMut::patch,
            NodeIndex::index,
            NodeIndex::new,
            Role::name,
            Role::parse,
            Health::name,
            Node::id,
            Node::role,
            Node::is_primary,
            Node::primary,
            Node::epoch,
            Node::port,
            Node::health,
            Node::is_myself,
            Node::is_routable,
            Node::is_readable,
            Node::is_refused,
            <Runs as Iterator>::next,
            Context::new,
            Context::tls,
            Context::replicas,
            Reader::new,
            Reader::token,
            Reader::token_with_marks,
            Reader::feed,
            Refresh::new,
            Refresh::request,
            Refresh::succeeded,
            Refresh::failed,
            Refresh::poll_timeout,
            Refresh::is_pending,
            Refresh::in_flight,
            Refresh::rounds,
            Refresh::state_name,
            Rejection::name,
            <Rejection as fmt::Display>::fmt,
            StaticMap::<4, 16, 64>::new,
            StaticMap::<4, 16, 64>::map,
            StaticMap::<4, 16, 64>::apply,
            StaticMap::<4, 16, 64>::apply_with_marks,
            StaticMap::<4, 16, 64>::moved,
            with_closures,
        ];
    }

    fn with_closures(
        refresh: &mut Refresh,
        now: Instant,
        map: &Map<'_>,
        rand: &mut Rand,
        at: NodeIndex,
        built: &mut MapMut<'_>,
        shard: &Shard<'_>,
    ) {
        used(Refresh::poll(refresh, now, rand, map, |index| black_box(index).index() > 0));
        MapMut::refuse(built, |addr| black_box(addr).port() == 0);
        Map::nodes(map).for_each(used);
        Map::replicas(map, at).for_each(used);
        Map::all_replicas(map, at).for_each(used);
        Map::shards(map).for_each(used);
        Map::ranges(map).for_each(used);
        Map::uncovered(map).for_each(used);
        Shard::replicas(shard).for_each(used);
        Shard::slots(shard).for_each(used);
    }
}
