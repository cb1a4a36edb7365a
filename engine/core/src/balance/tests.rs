use proptest::prelude::*;
use rand::SeedableRng;

use super::{Rng, *};

fn member(in_flight: u32, weight: u32) -> Member {
    Member {
        in_flight,
        weight,
        available: true,
    }
}

fn away() -> Member {
    Member {
        in_flight: 0,
        weight: 1,
        available: false,
    }
}

fn available(members: &[Member]) -> usize {
    members.iter().filter(|member| member.available).count()
}

fn with_members(dispatch: Dispatch, members: usize) -> Balancer {
    let mut balancer = Balancer::new(dispatch);
    (0..members).for_each(|at| balancer.joined(at));
    balancer
}

/// The next picks, as letters.
fn picks(balancer: &mut Balancer, members: &[Member], count: usize) -> String {
    let mut rng = Rng::seed_from_u64(1);
    (0..count)
        .map(
            |_| match balancer.pick(members, available(members), &mut rng) {
                Some(at) => (b'a' + at as u8) as char,
                None => '-',
            },
        )
        .collect()
}

/// Picks many times and tests that the counts fit the shares: χ² stays within 5 standard deviations above its
/// mean.
#[track_caller]
fn check_shares(dispatch: Dispatch, members: &[Member], shares: &[f64]) {
    const PICKS: u32 = 50_000;
    let mut balancer = with_members(dispatch, members.len());
    let mut rng = Rng::seed_from_u64(42);
    let mut counts = vec![0_u32; members.len()];
    for _ in 0..PICKS {
        counts[balancer
            .pick(members, available(members), &mut rng)
            .unwrap()] += 1;
    }
    let total: f64 = shares.iter().sum();
    let mut chi_square = 0.0;
    let mut cells = 0;
    for (&count, share) in counts.iter().zip(shares) {
        let expected = share / total * f64::from(PICKS);
        if expected == 0.0 {
            assert_eq!(count, 0, "{counts:?}");
        } else {
            chi_square += (f64::from(count) - expected).powi(2) / expected;
            cells += 1;
        }
    }
    let freedom = f64::from(cells - 1);
    assert!(
        chi_square <= freedom + 5.0 * (2.0 * freedom).sqrt(),
        "χ² {chi_square}, counts {counts:?}"
    );
}

#[test]
fn round_robin_takes_turns_and_skips() {
    let mut balancer = with_members(Dispatch::RoundRobin, 3);
    let all = [member(0, 1), member(9, 1), member(0, 1)];
    assert_eq!(picks(&mut balancer, &all, 5), "abcab");
    assert_eq!(
        picks(&mut balancer, &[member(0, 1), member(0, 1), away()], 3),
        "aba"
    );
    assert_eq!(picks(&mut balancer, &[away(), away(), away()], 1), "-");
    assert_eq!(picks(&mut balancer, &all, 2), "bc");
}

#[test]
fn round_robin_keeps_its_place_when_members_come_and_go() {
    let members = [member(0, 1); 4];
    let mut balancer = with_members(Dispatch::RoundRobin, 3);
    assert_eq!(picks(&mut balancer, &members[..3], 2), "ab");
    balancer.left(0); // a b c → b c, and c is next
    assert_eq!(picks(&mut balancer, &members[..2], 1), "b");
    balancer.joined(2); // at the end, just when the round is over: its turn
    assert_eq!(picks(&mut balancer, &members[..3], 2), "ca");
    balancer.joined(0);
    assert_eq!(picks(&mut balancer, &members[..4], 4), "cdab");
    balancer.left(3);
    assert_eq!(picks(&mut balancer, &members[..3], 2), "ca");
}

#[test]
fn smooth_round_robin_interleaves() {
    let mut balancer = with_members(Dispatch::WeightedRoundRobin, 3);
    let members = [member(0, 5), member(0, 1), member(0, 1)];
    assert_eq!(picks(&mut balancer, &members, 14), "aabacaaaabacaa");
    let without_b = [member(0, 5), away(), member(0, 1)];
    assert_eq!(picks(&mut balancer, &without_b, 6), "aaacaa");
    assert_eq!(picks(&mut balancer, &members, 7), "aabacaa");
}

#[test]
fn least_connections_breaks_ties_at_random() {
    let members = [
        member(2, 1),
        member(1, 1),
        away(),
        member(1, 9),
        member(3, 1),
        member(1, 1),
    ];
    check_shares(
        Dispatch::LeastConnections,
        &members,
        &[0., 1., 0., 1., 0., 1.],
    );
}

#[test]
fn weighted_least_connections_compares_per_weight() {
    let members = [
        member(2, 1),
        member(3, 2),
        member(9, 6),
        away(),
        member(1, 0),
        member(5, 3),
        member(1, 1),
    ];
    check_shares(
        Dispatch::WeightedLeastConnections,
        &members,
        &[0., 0., 0., 0., 1., 0., 1.],
    );
    let big = [member(u32::MAX, u32::MAX), member(u32::MAX - 1, u32::MAX)];
    check_shares(Dispatch::WeightedLeastConnections, &big, &[0., 1.]);
}

#[test]
fn random_is_uniform_over_the_available() {
    check_shares(
        Dispatch::Random,
        &[member(5, 1), member(0, 9), member(1, 1)],
        &[1., 1., 1.],
    );
    check_shares(
        Dispatch::Random,
        &[away(), member(0, 9), away(), member(1, 1), away()],
        &[0., 1., 0., 1., 0.],
    );
}

/// Of n members with different loads, the k-th lightest (from 0) is the lightest of d with probability
/// C(n−1−k, d−1) / C(n, d).
#[test]
fn power_of_d_samples_distinct_members() {
    let choose = |n: u32, k: u32| {
        (0..k)
            .map(|i| f64::from(n.saturating_sub(i)) / f64::from(i + 1))
            .product::<f64>()
    };
    let loads = [7, 3, 9, 1, 4, 8, 2, 6];
    let members: Vec<Member> = loads.iter().map(|&load| member(load, 1)).collect();
    for d in [1, 2, 3, 8, 255] {
        let shares: Vec<f64> = loads
            .iter()
            .map(|&load| {
                let lighter = loads.iter().filter(|&&other| other < load).count() as u32;
                choose(7 - lighter, u32::from(d).min(8) - 1)
            })
            .collect();
        check_shares(Dispatch::PowerOf(d), &members, &shares);
    }
}

#[test]
fn power_of_d_breaks_ties_at_random_and_skips_the_unavailable() {
    let members = [
        member(0, 1),
        away(),
        member(0, 1),
        member(1, 1),
        away(),
        member(1, 1),
    ];
    // Of the 6 pairs of the 4 available, only one has no idle member.
    check_shares(
        Dispatch::PowerOf(2),
        &members,
        &[2.5, 0., 2.5, 0.5, 0., 0.5],
    );
    check_shares(Dispatch::PowerOf(0), &members, &[1., 0., 1., 1., 0., 1.]);
}

#[test]
fn join_idle_queue_prefers_idle_members() {
    let members = [
        member(3, 1),
        member(0, 1),
        away(),
        member(1, 1),
        member(0, 1),
    ];
    check_shares(Dispatch::JoinIdleQueue, &members, &[0., 1., 0., 0., 1.]);
    let busy = [member(3, 1), away(), member(1, 1), member(9, 1)];
    check_shares(Dispatch::JoinIdleQueue, &busy, &[1., 0., 1., 1.]);
}

/// Golden: a release must not change what a seed gives.
#[test]
fn picks_of_a_seed_never_change() {
    let members = [
        member(1, 1),
        member(0, 1),
        member(2, 4),
        away(),
        member(0, 1),
        member(1, 2),
    ];
    let line = |dispatch| {
        format!(
            "{dispatch:?}: {}\n",
            picks(&mut with_members(dispatch, 6), &members, 24)
        )
    };
    let kinds = [
        Dispatch::LeastConnections,
        Dispatch::WeightedLeastConnections,
        Dispatch::Random,
        Dispatch::PowerOf(2),
        Dispatch::PowerOf(3),
        Dispatch::JoinIdleQueue,
    ];
    expect_test::expect![[r#"
        LeastConnections: eebebeeebbebbbbbebeebebb
        WeightedLeastConnections: eebebeeebbebbbbbebeebebb
        Random: eaaebfbbbecceeeebfeaacfb
        PowerOf(2): ebebfeeeebeafbeafbbbebae
        PowerOf(3): ebebbeeebafeebabebbbbbae
        JoinIdleQueue: ebebbeeebeeebeeebbebebbe
    "#]]
    .assert_eq(&kinds.map(line).concat());
}

#[test]
fn bounded_numbers_are_fair() {
    // With a bound of 3/4 of the range, multiplication alone would give every third number twice as often.
    const BOUND: usize = 3 << 62;
    let mut rng = Rng::seed_from_u64(7);
    let mut thirds = [0_i32; 3];
    for _ in 0..30_000 {
        thirds[below(&mut rng, BOUND) % 3] += 1;
    }
    assert!(
        thirds.iter().all(|third| (third - 10_000).abs() < 4 * 82),
        "{thirds:?}"
    );
    assert_eq!(below(&mut rng, 1), 0);
}

fn any_dispatch() -> impl Strategy<Value = Dispatch> {
    prop_oneof![
        Just(Dispatch::RoundRobin),
        Just(Dispatch::WeightedRoundRobin),
        Just(Dispatch::LeastConnections),
        Just(Dispatch::WeightedLeastConnections),
        Just(Dispatch::Random),
        (0..6_u8).prop_map(Dispatch::PowerOf),
        Just(Dispatch::JoinIdleQueue),
    ]
}

fn any_member() -> impl Strategy<Value = Member> {
    (0..4_u32, 0..4_u32, any::<bool>()).prop_map(|(in_flight, weight, available)| Member {
        in_flight,
        weight,
        available,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Join(prop::sample::Index, Member),
    Leave(prop::sample::Index),
    Change(prop::sample::Index, Member),
    Pick,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (any::<prop::sample::Index>(), any_member()).prop_map(|(at, member)| Step::Join(at, member)),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        2 => (any::<prop::sample::Index>(), any_member()).prop_map(|(at, member)| Step::Change(at, member)),
        4 => Just(Step::Pick),
    ]
}

proptest! {
    #[test]
    fn picks_an_available_member_if_there_is_one(
        dispatch in any_dispatch(),
        steps in prop::collection::vec(any_step(), 0..60),
        seed: u64,
    ) {
        let mut balancer = Balancer::new(dispatch);
        let mut members: Vec<Member> = vec![];
        let mut rng = Rng::seed_from_u64(seed);
        for step in steps {
            match step {
                Step::Join(at, member) => {
                    let at = at.index(members.len() + 1);
                    members.insert(at, member);
                    balancer.joined(at);
                }
                Step::Leave(at) if !members.is_empty() => {
                    let at = at.index(members.len());
                    members.remove(at);
                    balancer.left(at);
                }
                Step::Change(at, member) if !members.is_empty() => {
                    let at = at.index(members.len());
                    members[at] = member;
                }
                Step::Leave(_) | Step::Change(..) => {}
                Step::Pick => {
                    let picked = balancer.pick(&members, available(&members), &mut rng);
                    prop_assert_eq!(picked.is_some(), available(&members) > 0);
                    prop_assert!(picked.is_none_or(|at| members[at].available));
                }
            }
            if let Balancer::WeightedRoundRobin(balancer) = &balancer {
                prop_assert_eq!(balancer.credit.iter().sum::<i64>(), 0);
                prop_assert!(balancer.credit.iter().all(|credit| credit.abs() < 1000));
            }
            if let Balancer::Sampled(balancer) = &balancer {
                let mut order = balancer.order.clone();
                order.sort_unstable();
                prop_assert!(order.iter().copied().eq(0..members.len() as u32));
            }
        }
    }

    #[test]
    fn smooth_round_robin_gives_each_its_weight_in_every_round(weights in prop::collection::vec(1..9_u32, 1..6)) {
        let members: Vec<Member> = weights.iter().map(|&weight| member(0, weight)).collect();
        let mut balancer = with_members(Dispatch::WeightedRoundRobin, members.len());
        let round: usize = weights.iter().map(|&weight| weight as usize).sum();
        for _ in 0..2 {
            let picked = picks(&mut balancer, &members, round);
            for (letter, &weight) in (b'a'..).zip(&weights) {
                prop_assert_eq!(picked.bytes().filter(|&byte| byte == letter).count(), weight as usize);
            }
        }
    }
}
