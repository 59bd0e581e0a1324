//! Functions of the cluster-wide SCAN.

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
