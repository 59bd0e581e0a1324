//! Functions of the request side of RESP.

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
