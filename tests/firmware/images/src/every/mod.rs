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

mod addr;
mod cluster;
mod command;
mod connection;
mod ids;
mod pipeline;
mod pubsub;
mod rand;
mod resp;
mod resp_encode;
mod resp_number;
mod resp_reply;
mod resp_request;
mod scan;
mod server_error;
mod slot;
mod time;
mod topology;

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
