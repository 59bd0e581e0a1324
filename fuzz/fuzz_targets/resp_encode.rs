//! What is encoded is read back as the same arguments, and segments are the same bytes as the encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::limits::Limits;
use slotwise::resp::encode::{EncodeError, encode, encoded_len, scratch_len, segments};
use slotwise::resp::{Frame, Status};
use slotwise_fuzz::Plan;

fuzz_target!(|data: &[u8]| {
    let Some((plan, input)) = Plan::split(data) else { return };
    // Arguments are what stands between bytes 0xff.
    let args: Vec<&[u8]> = input.split(|&byte| byte == 0xff).collect();
    let args = if plan.tiny && input.is_empty() { Vec::new() } else { args };
    let Ok(needed) = encoded_len(&args[..]) else {
        assert_eq!(encode(&args[..], &mut [0; 64]), Err(EncodeError::Empty));
        return;
    };
    let needed = usize::try_from(needed).unwrap();
    let mut out = vec![0; needed];
    assert_eq!(encode(&args[..], &mut out), Ok(needed));
    let short = usize::from(plan.choice) % needed;
    assert_eq!(
        encode(&args[..], &mut out.clone()[..short]),
        Err(EncodeError::BufferTooSmall { needed: needed as u64 })
    );

    let min_borrow = usize::from(plan.choice);
    let scratch = usize::try_from(scratch_len(&args[..], min_borrow).unwrap()).unwrap();
    let mut memory = vec![0; scratch];
    let pieces = segments(&args[..], &mut memory, min_borrow).expect("enough memory");
    assert_eq!(pieces.collect::<Vec<_>>().concat(), out);
    assert!(segments(&args[..], &mut vec![0; scratch - 1], min_borrow).is_err());

    let Ok(Status::Complete((frame, len))) = Frame::new_checked(&out, &Limits::DEFAULT) else { panic!("a value") };
    assert_eq!(len, needed);
    assert!(frame.children().filter_map(|child| child.bytes()).eq(args.iter().copied()));
});
