//! Functions of the slot map.

use super::*;
use slotwise::rand::Rand;
use slotwise::time::Instant;
use slotwise::topology::*;

pub(super) fn keep() {
    keep![
        MapDiff::between,
        MapDiff::of_moved,
        MapDiff::changes,
        MapDiff::count,
        MapDiff::is_cut,
        MapDiff::map,
        <MapDiff as fmt::Debug>::fmt,
        <MapChangeIter as Iterator>::next,
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
        Freshness::set_quorum,
        Freshness::keep_redirects,
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
        Refresh::unconfirmed,
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
