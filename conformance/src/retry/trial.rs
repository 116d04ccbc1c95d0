//! The calls made to a policy, and what is asked of each answer. A panic is an answer, too.

use std::any::Any;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tideway_engine::jobs::retry::Policy;
use tideway_engine::{Rng, Seed};

use super::even::unevenness;
use super::flaw::{Call, RetryPolicyFlaw, Rule};

type Spread = RangeInclusive<Duration>;

/// A policy under test.
pub(super) struct Trial<'a, P: ?Sized> {
    policy: &'a P,
    cap: Duration,
    /// Previous delays: none, short, long, and one that no policy ever gave.
    prevs: [Duration; 5],
    /// Zero, one, half, all, and some in between.
    entropies: [u64; 8],
    draws: Vec<u64>,
}

/// The longest delay without jitter so far, after each of the previous delays.
pub(super) type Fixed = [Duration; 5];

impl<'a, P: Policy + ?Sized> Trial<'a, P> {
    pub(super) fn new(policy: &'a P) -> Result<Self, RetryPolicyFlaw> {
        let attempts = guarded(Call::Attempts, || policy.attempts())?;
        if attempts == 0 {
            return Err(Call::Attempts.flaw(Rule::OneAttempt, "1 or more", "0"));
        }
        let cap = guarded(Call::Cap, || policy.cap())?;
        let mut rng = Rng::new(&Seed::from_u64(super::SEED));
        let (zero, tick) = (Duration::ZERO, Duration::from_millis(1));
        let entropies = [0, 1, 1 << 63, u64::MAX];
        let [a, b, c, d] = entropies;
        Ok(Self {
            policy,
            cap,
            prevs: [zero, tick, cap / 3, cap, Duration::MAX],
            entropies: [a, b, c, d, rng.u64(), rng.u64(), rng.u64(), rng.u64()],
            draws: (0..super::DRAWS).map(|_| rng.u64()).collect(),
        })
    }

    /// What [`single`](Self::single) compares the first attempt with.
    pub(super) fn nothing(&self) -> Fixed {
        self.prevs.map(|_| Duration::ZERO)
    }

    /// Everything but evenness, for one attempt. `fixed` is of earlier attempts, and is kept up to date if
    /// nothing is wrong.
    pub(super) fn single(&self, attempt: u32, fixed: &mut Fixed) -> Result<(), RetryPolicyFlaw> {
        let mut next = *fixed;
        for (prev, longest) in self.prevs.into_iter().zip(&mut next) {
            let spread = self.spread(attempt, prev)?;
            for entropy in self.entropies {
                self.delay(attempt, prev, entropy, &spread)?;
            }
            if spread.start() == spread.end() {
                let delay = *spread.start();
                if delay < *longest {
                    let expected = format!("at least {longest:?}, as after an earlier attempt");
                    let call = Call::Spread(attempt, prev);
                    return Err(call.flaw(Rule::NeverHurries, expected, format!("{delay:?}")));
                }
                *longest = delay;
            }
        }
        *fixed = next;
        Ok(())
    }

    /// Whether the delays after one attempt are as even as the policy says.
    pub(super) fn even(&self, attempt: u32) -> Result<(), RetryPolicyFlaw> {
        for prev in [Duration::ZERO, self.cap] {
            let spread = self.spread(attempt, prev)?;
            let width = *spread.end() - *spread.start();
            if width.is_zero() {
                continue;
            }
            let mut offsets = Vec::with_capacity(self.draws.len());
            for entropy in &self.draws {
                let delay = self.delay(attempt, prev, *entropy, &spread)?;
                offsets.push((delay - *spread.start()).as_millis());
            }
            if let Some(uneven) = unevenness(&offsets, width.as_millis()) {
                let expected = format!("each millisecond of {spread:?} as likely as any other");
                return Err(Call::Draws(attempt, prev).flaw(Rule::Even, expected, uneven));
            }
        }
        Ok(())
    }

    fn spread(&self, attempt: u32, prev: Duration) -> Result<Spread, RetryPolicyFlaw> {
        let call = Call::Spread(attempt, prev);
        let spread = guarded(call, || self.policy.spread(attempt, prev))?;
        let again = guarded(call, || self.policy.spread(attempt, prev))?;
        let shown = || format!("{spread:?}");
        if again != spread {
            let actual = format!("{again:?} the second time");
            return Err(call.flaw(Rule::Repeatable, shown(), actual));
        }
        if spread.start() > spread.end() {
            return Err(call.flaw(Rule::Ordered, "start ≤ end", shown()));
        }
        if !is_whole(*spread.start()) || !is_whole(*spread.end()) {
            return Err(call.flaw(Rule::WholeMillis, "whole milliseconds", shown()));
        }
        if *spread.end() > self.cap {
            let expected = format!("nothing above the cap of {:?}", self.cap);
            return Err(call.flaw(Rule::WithinCap, expected, shown()));
        }
        Ok(spread)
    }

    fn delay(
        &self,
        attempt: u32,
        prev: Duration,
        entropy: u64,
        spread: &Spread,
    ) -> Result<Duration, RetryPolicyFlaw> {
        let call = Call::Delay(attempt, prev, entropy);
        let delay = guarded(call, || self.policy.delay(attempt, prev, entropy))?;
        let again = guarded(call, || self.policy.delay(attempt, prev, entropy))?;
        if again != delay {
            let actual = format!("{again:?} the second time");
            return Err(call.flaw(Rule::Repeatable, format!("{delay:?}"), actual));
        }
        if delay > self.cap {
            let expected = format!("nothing above the cap of {:?}", self.cap);
            return Err(call.flaw(Rule::WithinCap, expected, format!("{delay:?}")));
        }
        if !spread.contains(&delay) {
            let expected = format!("within {spread:?}, as spread says");
            return Err(call.flaw(Rule::WithinSpread, expected, format!("{delay:?}")));
        }
        if !is_whole(delay) {
            let actual = format!("{delay:?}");
            return Err(call.flaw(Rule::WholeMillis, "whole milliseconds", actual));
        }
        Ok(delay)
    }
}

fn is_whole(delay: Duration) -> bool {
    delay.subsec_nanos().is_multiple_of(1_000_000)
}

fn guarded<T>(call: Call, ask: impl FnOnce() -> T) -> Result<T, RetryPolicyFlaw> {
    // The policy is behind a shared reference and is not asked again, so nothing half-done is seen.
    catch_unwind(AssertUnwindSafe(ask)).map_err(|payload| {
        let actual = format!("a panic: {}", said(payload.as_ref()));
        call.flaw(Rule::Total, "an answer", actual)
    })
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied())
        .unwrap_or("without a text")
}
