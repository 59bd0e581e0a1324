//! Functions of subscriptions.

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
