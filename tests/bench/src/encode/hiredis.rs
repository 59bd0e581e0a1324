//! hiredis: one allocated string per command, copied into the output buffer.

use super::{Command, Encoder};
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn redisFormatCommandArgv(
        target: *mut *mut c_char,
        argc: c_int,
        argv: *const *const c_char,
        argvlen: *const usize,
    ) -> i64;
    fn redisFreeCommand(command: *mut c_char);
}

pub struct Hiredis;

impl Encoder for Hiredis {
    fn name(&self) -> &'static str {
        "hiredis redisFormatCommandArgv"
    }
    fn makes(&self) -> &'static str {
        "allocated string, then a copy of it"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        for command in commands {
            let (mut args, mut lens) = ([std::ptr::null::<c_char>(); 32], [0; 32]);
            for ((place, len), arg) in args.iter_mut().zip(&mut lens).zip(command) {
                *place = arg.as_ptr().cast();
                *len = arg.len();
            }
            let mut text = std::ptr::null_mut();
            // SAFETY: `argc` pointers and lengths are set (no workload has more than 32 arguments).
            let len =
                unsafe { redisFormatCommandArgv(&mut text, command.len() as c_int, args.as_ptr(), lens.as_ptr()) };
            // Before 1.0 the result is a C int.
            let len = usize::try_from(len as c_int).expect("hiredis formats a valid command");
            // SAFETY: hiredis returned `len` bytes at `text`, freed once after the copy.
            unsafe {
                out.extend_from_slice(std::slice::from_raw_parts(text.cast::<u8>(), len));
                redisFreeCommand(text);
            }
        }
    }
}
