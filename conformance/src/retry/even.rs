//! Whether draws are even over a range of whole numbers, judged so that an even one is taken for
//! uneven at most once in a million tests.

/// ln(2 / 10⁻⁶), of one false alarm in a million.
const LN_TWO_MILLION: f64 = 14.508_657_738_524_219;

/// What is uneven about `offsets`, each of which should be any of 0 to `width` with the same odds.
///
/// Two Kolmogorov–Smirnov tests, of which an even source fails each with odds of at most α (Massart
/// 1990; for whole numbers, too, however few): one in the order of size, and one with the even numbers before the
/// odd ones. The second sees combs, such as a sign taken from the lowest bit of the size leaves,
/// where the first sees a straight line.
pub(super) fn unevenness(offsets: &[u128], width: u128) -> Option<String> {
    let limit = (LN_TWO_MILLION / (2.0 * offsets.len() as f64)).sqrt();
    let evens = width / 2 + 1;
    let evens_first = |n: &u128| {
        if n.is_multiple_of(2) {
            n / 2
        } else {
            evens + n / 2
        }
    };
    let by_parity = offsets.iter().map(evens_first).collect();

    let says = |gap: Gap, what: &str| {
        let Gap { is, ought, .. } = gap;
        format!(
            "{:.1} % of the draws {what}, not {:.1} % ± {:.1} (Kolmogorov–Smirnov, α = 10⁻⁶)",
            is * 100.0,
            ought * 100.0,
            limit * 100.0
        )
    };
    let (plain, parity) = (widest(offsets.to_vec(), width), widest(by_parity, width));
    if plain.size() > limit {
        let what = format!("within {} ms of the shortest", plain.at);
        return Some(says(plain, &what));
    }
    if parity.size() > limit {
        let what = match parity.at.checked_sub(evens) {
            None => format!("even and within {} ms of the shortest", parity.at * 2),
            Some(odd) => format!("even, or within {} ms of the shortest", odd * 2 + 1),
        };
        return Some(says(parity, &what));
    }
    None
}

/// Up to a number, the share of draws there is and the share there should be.
struct Gap {
    at: u128,
    is: f64,
    ought: f64,
}

impl Gap {
    fn size(&self) -> f64 {
        (self.is - self.ought).abs()
    }
}

/// Where `numbers` are furthest from an even spread over 0 to `width`.
fn widest(mut numbers: Vec<u128>, width: u128) -> Gap {
    numbers.sort_unstable();
    let (drawn, possible) = (numbers.len() as f64, width as f64 + 1.0);
    let mut worst = Gap {
        at: 0,
        is: 0.0,
        ought: 0.0,
    };
    for (index, number) in numbers.iter().enumerate() {
        // Furthest just before a number that was drawn, or at it; equal ones count together.
        let is_first = *number > 0 && (index == 0 || numbers[index - 1] < *number);
        let before = is_first.then(|| Gap {
            at: *number - 1,
            is: index as f64 / drawn,
            ought: *number as f64 / possible,
        });
        let up_to = (numbers.get(index + 1) != Some(number)).then(|| Gap {
            at: *number,
            is: (index + 1) as f64 / drawn,
            ought: (*number as f64 + 1.0) / possible,
        });
        for gap in [before, up_to].into_iter().flatten() {
            if gap.size() > worst.size() {
                worst = gap;
            }
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use tideway_engine::{Rng, Seed};

    use super::*;

    fn draws(seed: u64, mut one: impl FnMut(&mut Rng) -> u64) -> Vec<u128> {
        let mut rng = Rng::new(&Seed::from_u64(seed));
        (0..4_096).map(|_| one(&mut rng).into()).collect()
    }

    #[test]
    fn even_draws_pass_whatever_the_seed_and_the_width() {
        for seed in 0..300 {
            for width in [1, 2, 9, 1_000, 2_592_000_000] {
                let offsets = draws(seed, |rng| rng.below(width + 1));
                let found = unevenness(&offsets, width.into());
                assert_eq!(found, None, "seed {seed}, width {width}");
            }
        }
    }

    #[test]
    fn a_lean_of_a_tenth_is_seen() {
        let lean = |rng: &mut Rng| {
            if rng.chance(100_000) {
                0
            } else {
                rng.below(1_000)
            }
        };
        let found = unevenness(&draws(1, lean), 999).expect("a tenth too many at the lower end");
        assert!(found.contains("within 0 ms of the shortest"), "{found}");
    }

    #[test]
    fn every_second_number_is_not_every_number() {
        let comb = draws(2, |rng| rng.below(500) * 2);
        let found = unevenness(&comb, 999).expect("no odd number");
        assert!(found.contains("% of the draws even"), "{found}");
    }

    #[test]
    fn a_number_never_drawn_is_missed() {
        assert!(unevenness(&draws(3, |rng| rng.below(9)), 9).is_some());
        assert!(unevenness(&draws(3, |_| 0), 1).is_some());
    }
}
