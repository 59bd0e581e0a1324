//! The C reader, with its default objects (a tree of allocations) and with object functions that make nothing.

use super::Contestant;
use crate::digest::{Digest, Sink};
use crate::recv::Feed;
use crate::workload::Workload;
use std::ffi::{c_char, c_int, c_longlong, c_void};
use std::ptr::NonNull;

/// Opaque: only its address passes through this file.
#[repr(C)]
struct RawReader {
    private: [u8; 0],
}

/// The element count of `createArray` was an `int` before 1.0.
#[cfg(hiredis = "0")]
type Count = c_int;
#[cfg(hiredis = "1")]
type Count = usize;

#[repr(C)]
struct ObjectFunctions {
    create_string: extern "C" fn(*const c_void, *mut c_char, usize) -> *mut c_void,
    create_array: extern "C" fn(*const c_void, Count) -> *mut c_void,
    create_integer: extern "C" fn(*const c_void, c_longlong) -> *mut c_void,
    #[cfg(hiredis = "1")]
    create_double: extern "C" fn(*const c_void, f64, *mut c_char, usize) -> *mut c_void,
    create_nil: extern "C" fn(*const c_void) -> *mut c_void,
    #[cfg(hiredis = "1")]
    create_bool: extern "C" fn(*const c_void, c_int) -> *mut c_void,
    free_object: extern "C" fn(*mut c_void),
}

/// The default reply object.
#[repr(C)]
struct Reply {
    kind: c_int,
    integer: c_longlong,
    #[cfg(hiredis = "1")]
    double: f64,
    len: usize,
    text: *const u8,
    #[cfg(hiredis = "1")]
    verbatim_type: [c_char; 4],
    elements: usize,
    element: *const *const Reply,
}

unsafe extern "C" {
    fn redisReaderCreate() -> *mut RawReader;
    fn redisReaderCreateWithFunctions(functions: *mut ObjectFunctions) -> *mut RawReader;
    fn redisReaderFree(reader: *mut RawReader);
    fn redisReaderFeed(reader: *mut RawReader, bytes: *const c_char, len: usize) -> c_int;
    fn redisReaderGetReply(reader: *mut RawReader, reply: *mut *mut c_void) -> c_int;
    fn freeReplyObject(reply: *mut c_void);
}

/// What the no-op functions return: hiredis only compares it with null.
fn token() -> *mut c_void {
    NonNull::<c_void>::dangling().as_ptr()
}
extern "C" fn no_string(_: *const c_void, _: *mut c_char, _: usize) -> *mut c_void {
    token()
}
extern "C" fn no_array(_: *const c_void, _: Count) -> *mut c_void {
    token()
}
extern "C" fn no_integer(_: *const c_void, _: c_longlong) -> *mut c_void {
    token()
}
#[cfg(hiredis = "1")]
extern "C" fn no_double(_: *const c_void, _: f64, _: *mut c_char, _: usize) -> *mut c_void {
    token()
}
extern "C" fn no_nil(_: *const c_void) -> *mut c_void {
    token()
}
#[cfg(hiredis = "1")]
extern "C" fn no_bool(_: *const c_void, _: c_int) -> *mut c_void {
    token()
}
extern "C" fn no_free(_: *mut c_void) {}

pub struct Hiredis {
    reader: *mut RawReader,
    tree: bool,
}

impl Hiredis {
    pub fn tree() -> Self {
        // SAFETY: no precondition; a null result is caught by the assertion in `new`.
        Self::new(unsafe { redisReaderCreate() }, true)
    }

    pub fn no_objects() -> Self {
        let functions = Box::leak(Box::new(ObjectFunctions {
            create_string: no_string,
            create_array: no_array,
            create_integer: no_integer,
            #[cfg(hiredis = "1")]
            create_double: no_double,
            create_nil: no_nil,
            #[cfg(hiredis = "1")]
            create_bool: no_bool,
            free_object: no_free,
        }));
        // SAFETY: the table is valid for ever and has the layout of the header's major version.
        Self::new(unsafe { redisReaderCreateWithFunctions(functions) }, false)
    }

    fn new(reader: *mut RawReader, tree: bool) -> Self {
        assert!(!reader.is_null(), "hiredis could not make a reader");
        Self { reader, tree }
    }

    fn run(&mut self, feed: &mut Feed<'_>, mut each: impl FnMut(*mut c_void)) -> Result<u64, String> {
        let mut tops = 0;
        while let Some(chunk) = feed.next() {
            // SAFETY: the reader is alive, the chunk is readable for its length; hiredis copies it.
            let status = unsafe { redisReaderFeed(self.reader, chunk.as_ptr().cast(), chunk.len()) };
            if status != 0 {
                return Err("feed failed".into());
            }
            loop {
                let mut reply = std::ptr::null_mut();
                // SAFETY: the reader is alive and `reply` is a place for one pointer.
                let status = unsafe { redisReaderGetReply(self.reader, &mut reply) };
                if status != 0 {
                    return Err("protocol error".into());
                }
                if reply.is_null() {
                    break;
                }
                tops += 1;
                each(reply);
                if self.tree {
                    // SAFETY: the object came from the default functions and is freed once.
                    unsafe { freeReplyObject(reply) };
                }
            }
        }
        Ok(tops)
    }
}

/// Adds a default reply object to a digest.
fn walk(reply: *const c_void, digest: &mut Digest) {
    // SAFETY: the default functions made it, with the layout of the header's major version.
    let reply = unsafe { &*reply.cast::<Reply>() };
    match reply.kind {
        1 | 5 | 6 => {
            // SAFETY: strings, statuses and errors have `len` bytes at `text`.
            digest.text(unsafe { std::slice::from_raw_parts(reply.text, reply.len) });
        }
        2 | 9 => {
            digest.head(reply.elements as u64);
            for index in 0..reply.elements {
                // SAFETY: an array or map has `elements` valid children.
                walk(unsafe { *reply.element.add(index) }.cast(), digest);
            }
        }
        3 => digest.int(reply.integer),
        4 => digest.null(),
        #[cfg(hiredis = "1")]
        7 => digest.double(reply.double),
        8 => digest.boolean(reply.integer != 0),
        kind => panic!("hiredis made an object of kind {kind}"),
    }
}

impl Contestant for Hiredis {
    fn name(&self) -> &'static str {
        if self.tree { "hiredis, default objects" } else { "hiredis, no objects" }
    }
    fn makes(&self) -> &'static str {
        if self.tree { "owned tree" } else { "C callbacks that keep nothing" }
    }
    fn refuses(&self, workload: &Workload) -> Option<&'static str> {
        (cfg!(hiredis = "0") && workload.resp3).then_some("no RESP3 before 1.0")
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        if !self.tree {
            // Without objects there is nothing to look at: the tree of the same reader is checked instead.
            return Self::tree().check(feed);
        }
        let mut digest = Digest::default();
        self.run(feed, |reply| {
            walk(reply, &mut digest);
            digest.top();
        })?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        self.run(feed, |_| {}).expect("checked before")
    }
}

impl Drop for Hiredis {
    fn drop(&mut self) {
        // SAFETY: made once, freed once.
        unsafe { redisReaderFree(self.reader) };
    }
}
