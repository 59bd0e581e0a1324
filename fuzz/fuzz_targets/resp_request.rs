//! The request side: what the encoder writes is read back, any bytes give the same requests and the same error
//! however they are cut, and more or fewer spans change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::resp::Args;
use slotwise::resp::encode::encode;
use slotwise::resp::request::{RequestError, RequestLimits, Requests};
use slotwise_fuzz::Plan;

fuzz_target!(|data: &[u8]| {
    let Some((plan, input)) = Plan::split(data) else { return };
    let limits = RequestLimits { arguments: if plan.tiny { 3 } else { 1 << 20 }, ..RequestLimits::DEFAULT };
    let limits = RequestLimits { unauthenticated: plan.choice & 1 != 0, ..limits };
    let whole = read::<512>(input, [input.len()].into_iter(), limits);
    assert_eq!(read::<512>(input, plan.cuts(input.len()), limits), whole);
    // With few spans inline commands may not fit, multibulks always do.
    let few = read::<2>(input, plan.cuts(input.len()), limits);
    if !matches!(few.1, Some(RequestError::NoRoom { .. })) {
        assert_eq!(few, whole);
    }

    let mut stream = Vec::new();
    for (args, _) in &whole.0 {
        let mut out = vec![0; args.iter().map(|arg| arg.len() + 32).sum::<usize>() + 32];
        let len = encode(&args[..], &mut out).expect("enough room");
        stream.extend(&out[..len]);
    }
    let again = read::<512>(&stream, plan.cuts(stream.len()), RequestLimits::DEFAULT);
    assert_eq!(again.1, None);
    assert!(again.0.iter().map(|(args, _)| args).eq(whole.0.iter().map(|(args, _)| args)));
});

/// The requests with where each ended, and the error.
type Outcome = (Vec<(Vec<Vec<u8>>, usize)>, Option<RequestError>);

fn read<const A: usize>(input: &[u8], cuts: impl Iterator<Item = usize>, limits: RequestLimits) -> Outcome {
    let mut requests = Box::new(Requests::<A, 4096>::new(limits));
    let mut out = Vec::new();
    let mut start = 0;
    for end in cuts {
        loop {
            let parsed = match requests.read(&input[start..end]) {
                Ok(parsed) => parsed,
                Err(error) => return (out, Some(error)),
            };
            start += parsed.consumed;
            let Some(request) = parsed.request else { break };
            let args: Vec<Vec<u8>> = request.iter().map(<[u8]>::to_vec).collect();
            assert_eq!(args.len(), request.count());
            // Beyond the spans this is quadratic.
            if args.len() <= A.max(64) {
                assert!(args.iter().enumerate().all(|(index, arg)| request.arg(index) == Some(arg)));
            }
            assert_eq!(request.arg(args.len()), None);
            out.push((args, start));
        }
    }
    (out, None)
}
