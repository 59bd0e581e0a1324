//! Functions of the writing of RESP.

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
