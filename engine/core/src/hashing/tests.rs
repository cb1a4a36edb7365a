use expect_test::expect;
use proptest::prelude::*;

use super::*;

const KINDS: [HashKind; 6] = [
    HashKind::Ring { vnodes: 100 },
    HashKind::BoundedRing {
        vnodes: 100,
        epsilon: 0.25,
    },
    HashKind::Jump,
    HashKind::Rendezvous,
    HashKind::Maglev { table: 2003 },
    HashKind::MultiProbe { probes: 21 },
];

/// Nodes of one cluster, with a name of their own in each.
fn cluster(number: usize, weights: &[u32]) -> Vec<(String, u32)> {
    weights
        .iter()
        .enumerate()
        .map(|(at, &weight)| (format!("{number}/node-{at}"), weight))
        .collect()
}

fn placement(kind: HashKind, nodes: &[(String, u32)]) -> Placement {
    let nodes: Vec<(&[u8], u32)> = nodes
        .iter()
        .map(|(name, weight)| (name.as_bytes(), *weight))
        .collect();
    Placement::new(kind, &nodes)
}

fn participants(nodes: &[(String, u32)]) -> Vec<Node> {
    (0..)
        .zip(nodes)
        .map(|(index, (name, weight))| Node {
            index,
            seed: hash(name.as_bytes()),
            weight: *weight,
        })
        .collect()
}

fn keys(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(|number| hash(&number.to_le_bytes()))
}

/// Where unbounded keys go.
fn place(placement: &Placement, key: u64) -> usize {
    placement.place(key, |_| 0).unwrap()
}

fn counts(placement: &Placement, nodes: usize, keys: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut counts = vec![0; nodes];
    keys.for_each(|key| counts[place(placement, key)] += 1);
    counts
}

/// Each node's part of the circle, relative to the average.
fn ring_shares(nodes: &[(String, u32)], vnodes: u32) -> Vec<f64> {
    let ring = Ring::new(&participants(nodes), vnodes);
    let mut shares = vec![0.0; nodes.len()];
    for (arc, owner) in ring.arcs() {
        shares[owner as usize] += arc as f64 / 2_f64.powi(64) * nodes.len() as f64;
    }
    shares
}

fn max(shares: &[f64]) -> f64 {
    shares.iter().copied().fold(0.0, f64::max)
}

/// Tests that the mean of independent samples is the expected one, within 4 standard errors.
#[track_caller]
fn check_mean(samples: &[f64], expected: f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples
        .iter()
        .map(|sample| (sample - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0);
    let error = (variance / count).sqrt();
    assert!(
        (mean - expected).abs() <= 4.0 * error,
        "mean {mean} ± {error}, expected {expected}"
    );
}

/// Tests that so many of all had a property of this probability, within 4 standard errors.
#[track_caller]
fn check_probability(hits: u64, all: u64, probability: f64) {
    let (hits, all) = (hits as f64, all as f64);
    let error = (all * probability * (1.0 - probability)).sqrt();
    assert!(
        (hits - all * probability).abs() <= 4.0 * error,
        "{hits} of {all}, expected {probability}"
    );
}

// What never changes from release to release.

/// As the reference implementation gives them for this seed.
#[test]
fn golden_hash() {
    let hashes = [
        "",
        "a",
        "order.created",
        "a routing key that is longer than any short-input case of the hash",
    ]
    .map(|key| format!("{:016x}\n", hash(key.as_bytes())));
    expect![[r#"
        1775760b375f8fdb
        f16322930f8074cd
        84236d68c3d0af32
        75a6ec128a3ad0b6
    "#]]
    .assert_eq(&hashes.concat());
}

#[test]
fn golden_placements() {
    let line = |kind| {
        let placement = placement(kind, &cluster(0, &[1, 2, 1, 0, 3, 1]));
        let places: String = keys(60)
            .map(|key| place(&placement, key).to_string())
            .collect();
        format!("{kind:?}: {places}\n")
    };
    expect![[r#"
        Ring { vnodes: 100 }: 054121004214144405021015154224421124142545551442420415444444
        BoundedRing { vnodes: 100, epsilon: 0.25 }: 054121004214144405021015154224421124142545551442420415444444
        Jump: 101100442012240511514024011505242514504544452542005410412221
        Rendezvous: 252214411444121444411212055154121101442441445142555111444050
        Maglev { table: 2003 }: 144151411512424511105011044114144251204414455111455440540150
        MultiProbe { probes: 21 }: 224151454411554510041440100240241400401411055512002255124500
    "#]].assert_eq(&KINDS.map(line).concat());
}

/// The vectors of the paper's reference code (github.com/dgryski/go-jump).
#[test]
fn jump_is_the_published_function() {
    assert_eq!(jump(1, 1), 0);
    assert_eq!(jump(42, 57), 43);
    assert_eq!(jump(0xDEAD_10CC, 1), 0);
    assert_eq!(jump(0xDEAD_10CC, 666), 361);
    assert_eq!(jump(256, 1024), 520);
    assert_eq!(jump(0, 0), 0);
    assert_eq!(
        jump(u64::MAX, u32::MAX),
        jump(u64::MAX, u32::MAX).min(u32::MAX - 1)
    );
}

// Balance.

/// A share of a ring with v points for each of n nodes is Beta(v, v (n − 1)): its relative standard deviation
/// is √((n − 1) / (n v + 1)). Single rings of these sizes are table 1 of Lamping and Veach 2014.
#[test]
fn ring_spreads_as_the_beta_law_says() {
    for (vnodes, rings, deviation) in [
        (1, 100, 0.9990),
        (10, 40, 0.3161),
        (100, 10, 0.0999),
        (1000, 1, 0.0316),
    ] {
        let exact: f64 = (999.0 / (1000.0 * f64::from(vnodes) + 1.0)).sqrt();
        assert!((exact - deviation).abs() < 5.1e-5, "{exact}");
        let squares: f64 = (0..rings)
            .flat_map(|ring| ring_shares(&cluster(ring, &[1; 1000]), vnodes))
            .map(|share| (share - 1.0).powi(2))
            .sum();
        let samples = 1000.0 * rings as f64;
        let variance = squares / samples;
        // The variance's own relative error follows from the kurtosis, 3 + 6/v.
        let error = ((2.0 + 6.0 / f64::from(vnodes)) / samples).sqrt();
        assert!(
            (variance / exact.powi(2) - 1.0).abs() <= 4.0 * error,
            "{vnodes} points: {}",
            variance.sqrt()
        );
    }
}

/// Means and quantiles of the Beta law and of the largest share.
#[test]
fn ring_has_the_extremes_of_the_beta_law() {
    for (nodes, vnodes, rings, low, high, largest) in [
        (
            1000,
            1,
            100,
            0.005_017_546_794_997_182,
            5.289_581_620_538_708_5,
            7.485_470_860_550_334,
        ),
        (
            10,
            100,
            500,
            0.770_997_294_049_735_2,
            1.259_005_966_997_358_8,
            1.159_426_379_206_496_7,
        ),
    ] {
        let shares: Vec<Vec<f64>> = (0..rings)
            .map(|ring| ring_shares(&cluster(ring, &vec![1; nodes]), vnodes))
            .collect();
        let all = (nodes * rings) as u64;
        check_mean(
            &Vec::from_iter(shares.iter().map(|shares| max(shares))),
            largest,
        );
        check_probability(
            shares
                .iter()
                .flatten()
                .filter(|&&share| share < low)
                .count() as u64,
            all,
            0.005,
        );
        check_probability(
            shares
                .iter()
                .flatten()
                .filter(|&&share| share < high)
                .count() as u64,
            all,
            0.995,
        );
    }
}

/// The fullest of 100 bins, on average: exact figures for hashes that are uniform.
#[test]
fn jump_and_rendezvous_fill_bins_at_random() {
    let nodes = cluster(0, &[1; 100]);
    let check = |kind, balls: u64, trials: u64, expected: f64| {
        let placement = placement(kind, &nodes);
        let fullest: Vec<f64> = (0..trials)
            .map(|trial| {
                let keys = (0..balls).map(|ball| hash(&(trial << 32 | ball).to_le_bytes()));
                *counts(&placement, 100, keys).iter().max().unwrap() as f64
            })
            .collect();
        check_mean(&fullest, expected);
    };
    check(HashKind::Jump, 100, 1000, 4.232595238784174);
    check(HashKind::Jump, 1000, 400, 18.761660017225076);
    check(HashKind::Jump, 10_000, 60, 125.9593907131222);
    check(HashKind::Jump, 100_000, 10, 1080.1996891048593);
    check(HashKind::Rendezvous, 100, 1000, 4.232595238784174);
    check(HashKind::Rendezvous, 1000, 200, 18.761660017225076);
}

#[test]
fn maglev_is_almost_even() {
    for (nodes, table) in [(10, 2003), (100, 10_007), (7, 8)] {
        let maglev = Maglev::new(&participants(&cluster(0, &vec![1; nodes])), table);
        let entries = maglev.entries(nodes);
        let (least, most) = (entries.iter().min().unwrap(), entries.iter().max().unwrap());
        assert!(most - least <= 1, "{entries:?}");
    }
}

/// With many nodes, the one with g of the average gap gets k/(k − 1) · (1 − e^(−(k − 1) g)) of the average
/// share, as gaps are exponential and the k probes' distances, too. So the share's relative variance is 1/(2k
/// − 1). Estimated by pairs of keys that meet.
#[test]
fn multi_probe_evens_out() {
    const KEYS: u64 = 20_000;
    for probes in [1, 5, 21] {
        let variances: Vec<f64> = (0..12)
            .map(|ring| {
                let placement =
                    placement(HashKind::MultiProbe { probes }, &cluster(ring, &[1; 1000]));
                let pairs: u64 = counts(&placement, 1000, keys(KEYS))
                    .iter()
                    .map(|&count| count * count - count)
                    .sum();
                pairs as f64 * 1000.0 / (KEYS * (KEYS - 1)) as f64 - 1.0
            })
            .collect();
        check_mean(&variances, 1.0 / f64::from(2 * probes - 1));
    }
}

// Weights.

const WEIGHTS: [u32; 4] = [1, 2, 5, 2];

#[test]
fn rendezvous_respects_weights() {
    const KEYS: u64 = 50_000;
    let counts = counts(
        &placement(HashKind::Rendezvous, &cluster(0, &WEIGHTS)),
        4,
        keys(KEYS),
    );
    for (count, weight) in counts.into_iter().zip(WEIGHTS) {
        check_probability(count, KEYS, f64::from(weight) / 10.0);
    }
}

#[test]
fn rings_respect_weights_on_average() {
    for (kind, rings) in [
        (HashKind::Ring { vnodes: 3 }, 400),
        (
            HashKind::BoundedRing {
                vnodes: 3,
                epsilon: 1.0,
            },
            400,
        ),
        (HashKind::MultiProbe { probes: 5 }, 400),
    ] {
        let shares: Vec<Vec<u64>> = (0..rings)
            .map(|ring| counts(&placement(kind, &cluster(ring, &WEIGHTS)), 4, keys(300)))
            .collect();
        for (node, weight) in WEIGHTS.into_iter().enumerate() {
            let shares: Vec<f64> = shares
                .iter()
                .map(|counts| counts[node] as f64 / 300.0)
                .collect();
            check_mean(&shares, f64::from(weight) / 10.0);
        }
    }
}

#[test]
fn maglev_respects_weights() {
    let entries = Maglev::new(&participants(&cluster(0, &WEIGHTS)), 1009).entries(4);
    for (&entries, weight) in entries.iter().zip(WEIGHTS) {
        assert!(
            entries.abs_diff(u64::from(weight) * 1009 / 10) <= 5,
            "{entries} for {weight}"
        );
    }
}

#[test]
fn no_weight_no_keys() {
    for kind in KINDS {
        assert_eq!(Placement::new(kind, &[]).place(1, |_| 0), None);
        assert_eq!(
            Placement::new(kind, &[(b"a", 0), (b"b", 0)]).place(1, |_| 0),
            None
        );
        let one = Placement::new(kind, &[(b"a", 0), (b"b", 3), (b"c", 0)]);
        assert!(keys(100).all(|key| place(&one, key) == 1), "{kind:?}");
    }
}

// Disruption.

/// Keys that move from cluster to cluster, as (from, to) by name.
fn moves(
    kind: HashKind,
    before: &[(String, u32)],
    after: &[(String, u32)],
) -> Vec<(String, String)> {
    let (old, new) = (placement(kind, before), placement(kind, after));
    keys(5000)
        .map(|key| {
            (
                before[place(&old, key)].0.clone(),
                after[place(&new, key)].0.clone(),
            )
        })
        .filter(|(from, to)| from != to)
        .collect()
}

#[test]
fn only_keys_of_the_changed_node_move() {
    let all = cluster(0, &[1, 2, 1, 1, 3, 1, 1]);
    for kind in [
        HashKind::Ring { vnodes: 20 },
        HashKind::Rendezvous,
        HashKind::MultiProbe { probes: 5 },
    ] {
        for gone in 0..all.len() {
            let mut fewer = all.clone();
            let (name, _) = fewer.remove(gone);
            let leave = moves(kind, &all, &fewer);
            assert!(
                !leave.is_empty() && leave.iter().all(|(from, _)| *from == name),
                "{kind:?}"
            );
            let join = moves(kind, &fewer, &all);
            assert!(
                !join.is_empty() && join.iter().all(|(_, to)| *to == name),
                "{kind:?}"
            );
            let mut heavier = all.clone();
            heavier[gone].1 += 1;
            let gain = moves(kind, &all, &heavier);
            assert!(
                !gain.is_empty() && gain.iter().all(|(_, to)| *to == name),
                "{kind:?}"
            );
        }
        let mut reordered = all.clone();
        reordered.reverse();
        assert_eq!(moves(kind, &all, &reordered), []);
    }
}

#[test]
fn jump_moves_only_to_or_from_the_end() {
    for buckets in 1..40 {
        for key in keys(200) {
            let (before, after) = (jump(key, buckets), jump(key, buckets + 1));
            assert!(after == before || after == buckets);
        }
    }
    let moved = keys(100_000)
        .filter(|&key| jump(key, 100) != jump(key, 101))
        .count();
    check_probability(moved as u64, 100_000, 1.0 / 101.0);
}

/// From 10 servers to 11: 1/11 of the keys has to move. Modulo moves 10/11.
#[test]
fn the_eleventh_server_takes_an_eleventh() {
    const KEYS: u64 = 20_000;
    let (ten, eleven) = (cluster(0, &[1; 10]), cluster(0, &[1; 11]));
    for kind in [HashKind::Jump, HashKind::Rendezvous] {
        let (before, after) = (placement(kind, &ten), placement(kind, &eleven));
        let moved = keys(KEYS)
            .filter(|&key| place(&before, key) != place(&after, key))
            .count();
        check_probability(moved as u64, KEYS, 1.0 / 11.0);
    }
    // A single ring gives the newcomer more or less, as luck has it: the mean counts.
    let ring: Vec<f64> = (0..300)
        .map(|ring| {
            let kind = HashKind::Ring { vnodes: 20 };
            let (before, after) = (
                placement(kind, &cluster(ring, &[1; 10])),
                placement(kind, &cluster(ring, &[1; 11])),
            );
            keys(300)
                .filter(|&key| place(&before, key) != place(&after, key))
                .count() as f64
                / 300.0
        })
        .collect();
    check_mean(&ring, 1.0 / 11.0);
    check_probability(
        keys(KEYS).filter(|key| key % 10 != key % 11).count() as u64,
        KEYS,
        10.0 / 11.0,
    );
}

#[test]
fn maglev_moves_few_others() {
    let all = cluster(0, &[1; 11]);
    let kind = HashKind::Maglev { table: 10_007 };
    for gone in 0..11 {
        let mut fewer = all.clone();
        let (name, _) = fewer.remove(gone);
        let moves = moves(kind, &all, &fewer);
        let others = moves.iter().filter(|(from, _)| *from != name).count();
        assert!(others < 5000 / 10, "{others} of 5000");
    }
}

#[test]
fn bounded_ring_moves_few_others() {
    let all = cluster(0, &[1; 11]);
    let fewer = all[..10].to_vec();
    let kind = HashKind::BoundedRing {
        vnodes: 100,
        epsilon: 0.25,
    };
    let fill = |nodes: &[(String, u32)]| -> Vec<usize> {
        let placement = placement(kind, nodes);
        let mut loads = vec![0; nodes.len()];
        keys(5000)
            .map(|key| {
                let at = placement.place(key, |at| loads[at]).unwrap();
                loads[at] += 1;
                at
            })
            .collect()
    };
    let others = fill(&all)
        .into_iter()
        .zip(fill(&fewer))
        .filter(|(from, to)| *from != 10 && from != to)
        .count();
    assert!(others < 5000 / 10, "{others} of 5000");
}

// Bounded loads.

/// The bounds of Mirrokni et al. 2018 for 5000 keys on 100 nodes. One point per node presses hard enough to
/// reach them.
#[test]
fn bounded_ring_keeps_the_bound() {
    for (epsilon, bound) in [(0.1, 55), (0.25, 63), (0.5, 75), (1.0, 100)] {
        let placement = placement(
            HashKind::BoundedRing { vnodes: 1, epsilon },
            &cluster(0, &[1; 100]),
        );
        let mut loads = vec![0_u64; 100];
        for (key, total) in keys(5000).zip(1..) {
            let at = placement.place(key, |at| loads[at]).unwrap();
            loads[at] += 1;
            assert!(loads[at] <= ((1.0 + epsilon) * f64::from(total) / 100.0 - 1e-9).ceil() as u64);
        }
        assert_eq!(loads.iter().max(), Some(&bound));
    }
}

#[test]
fn bounded_ring_weighs_the_bound() {
    let placement = placement(
        HashKind::BoundedRing {
            vnodes: 1,
            epsilon: 0.0,
        },
        &cluster(0, &[1, 0, 2, 5]),
    );
    let mut loads = [0_u64, u64::MAX, 0, 0];
    for key in keys(800) {
        let at = placement.place(key, |at| loads[at]).unwrap();
        loads[at] += 1;
    }
    assert_eq!(loads, [100, u64::MAX, 200, 500]);
}

#[test]
fn bounded_ring_with_room_everywhere_is_a_ring() {
    let nodes = cluster(0, &[1, 2, 3, 1]);
    let ring = placement(HashKind::Ring { vnodes: 50 }, &nodes);
    let bounded = placement(
        HashKind::BoundedRing {
            vnodes: 50,
            epsilon: 0.1,
        },
        &nodes,
    );
    assert!(keys(1000).all(|key| place(&ring, key) == place(&bounded, key)));
}

// Robustness.

#[test]
fn takes_senseless_parameters() {
    for (kind, heaviest) in [
        (HashKind::Ring { vnodes: 0 }, 2),
        (
            HashKind::BoundedRing {
                vnodes: u32::MAX,
                epsilon: f64::NAN,
            },
            u32::MAX,
        ),
        (HashKind::Maglev { table: 0 }, u32::MAX),
        (HashKind::Maglev { table: u32::MAX }, 2),
        (HashKind::MultiProbe { probes: 0 }, 2),
    ] {
        let placement = placement(kind, &cluster(0, &[heaviest, 1, 7]));
        assert!(
            keys(2).all(|key| placement.place(key, |_| u64::MAX).is_some_and(|at| at < 3)),
            "{kind:?}"
        );
    }
    let twins: [(&[u8], u32); 2] = [(b"same", 1), (b"same", 1)];
    assert!(
        keys(20).all(|key| place(&Placement::new(HashKind::Ring { vnodes: 9 }, &twins), key) == 0)
    );
}

fn any_kind() -> impl Strategy<Value = HashKind> {
    prop_oneof![
        (0..20_u32).prop_map(|vnodes| HashKind::Ring { vnodes }),
        (0..20_u32, -1.0..3.0)
            .prop_map(|(vnodes, epsilon)| HashKind::BoundedRing { vnodes, epsilon }),
        Just(HashKind::Jump),
        Just(HashKind::Rendezvous),
        (0..200_u32).prop_map(|table| HashKind::Maglev { table }),
        (0..9_u32).prop_map(|probes| HashKind::MultiProbe { probes }),
    ]
}

proptest! {
    #[test]
    fn places_every_key_on_a_node_with_weight(
        kind in any_kind(),
        nodes in prop::collection::vec(("[a-z]{0,3}", 0..5_u32), 0..9),
        loads in prop::collection::vec(any::<u64>(), 9),
        key: u64,
    ) {
        match placement(kind, &nodes).place(key, |at| loads[at]) {
            Some(at) => prop_assert!(nodes[at].1 > 0),
            None => prop_assert!(nodes.iter().all(|(_, weight)| *weight == 0)),
        }
    }
}
