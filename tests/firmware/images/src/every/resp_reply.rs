//! Functions of the writing of replies.

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
