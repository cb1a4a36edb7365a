//! The closed forms against figures computed by other means: exact recursions, published tables, independent programs. Each test names the
//! source of its figures.

use queuelab_scenario::{Distribution, Span};
use queuelab_theory::general::{self, GroupCommit, Moments};
use queuelab_theory::markov::{self, MMc, MMcK};
use queuelab_theory::{balance, fluid, modulated, network, priority, retry, spread};

/// To nine digits, which is more than any formula here loses.
#[track_caller]
fn same(what: &str, ours: f64, theirs: f64) {
    close(what, ours, theirs, 1e-9);
}

#[track_caller]
fn close(what: &str, ours: f64, theirs: f64, relative: f64) {
    assert!(
        (ours - theirs).abs() <= relative * theirs.abs().max(1e-3),
        "{what}: {ours}, not {theirs}"
    );
}

fn seconds(mean: f64) -> Span {
    Span::from_secs_f64(mean)
}

fn mm1(arrivals: f64) -> MMc {
    MMc {
        arrivals,
        service: 1.0,
        servers: 1,
    }
}

/// Gross and Harris, 2.2.
#[test]
fn m_m_1() {
    let figures = [
        (
            0.5,
            [1.0, 0.5, 2.0, 1.0],
            [
                1.3862943611198906,
                4.605170185988092,
                9.210340371976182,
                13.815510557964494,
            ],
            [3.218875824868201, 7.82404601085629],
        ),
        (
            0.8,
            [4.0, 3.2, 5.0, 4.0],
            [
                3.465735902799727,
                11.512925464970232,
                23.02585092994046,
                34.538776394911245,
            ],
            [10.397207708399183, 21.910133173369406],
        ),
    ];
    for (arrivals, [number, waiting, sojourn, wait], sojourns, waits) in figures {
        let queue = mm1(arrivals);
        let means = queue.means().unwrap();
        same("L", means.number, number);
        same("Lq", means.waiting, waiting);
        same("W", means.sojourn, sojourn);
        same("Wq", means.wait, wait);
        for (p, exact) in [0.5, 0.9, 0.99, 0.999].into_iter().zip(sojourns) {
            same("T", queue.sojourn_quantile(p), exact);
        }
        for (p, exact) in [0.9, 0.99].into_iter().zip(waits) {
            same("Wq", queue.wait_quantile(p), exact);
        }
    }
    assert_eq!(mm1(1.0).means(), None);
    assert_eq!(mm1(1.0).sojourn_quantile(0.5), f64::INFINITY);
}

/// Gross and Harris, 2.5; K counts the message in service.
#[test]
fn m_m_1_k() {
    let figures = [
        (
            0.8,
            5,
            [
                0.08881949865556424,
                1.8683320322664587,
                2.563065207044265,
                0.7289444010755486,
            ],
        ),
        (
            0.9,
            10,
            [
                0.0508137313274124,
                3.969440598586174,
                4.646600672123705,
                0.8542676418053289,
            ],
        ),
    ];
    for (arrivals, capacity, [loss, number, sojourn, throughput]) in figures {
        let means = MMcK {
            arrivals,
            service: 1.0,
            servers: 1,
            capacity,
        }
        .means();
        same("loss", means.loss, loss);
        same("L", means.number, number);
        same("W", means.sojourn, sojourn);
        same("throughput", means.throughput, throughput);
    }
    // A bound that is never met leaves M/M/c.
    let wide = MMcK {
        arrivals: 0.5,
        service: 1.0,
        servers: 1,
        capacity: 400,
    };
    same(
        "median",
        wide.sojourn_quantile(0.5).unwrap(),
        mm1(0.5).sojourn_quantile(0.5),
    );
}

/// Gross and Harris, 2.3.
#[test]
fn m_m_5() {
    let queue = MMc {
        arrivals: 4.0,
        service: 1.0,
        servers: 5,
    };
    let means = queue.means().unwrap();
    same("P(wait)", means.delayed, 0.5541125541125543);
    same("Wq", means.wait, 0.5541125541125543);
    same("W", means.sojourn, 1.5541125541125544);
    same("L", means.number, 6.216450216450218);
    same("T p99", queue.sojourn_quantile(0.99), 6.079662524508263);
    same("Wq p99", queue.wait_quantile(0.99), 4.014782739385915);
}

/// The bank of Ciw's documentation: M/M/3 and M/M/4 with λ = 0.2, μ = 0.1.
#[test]
fn bank() {
    for (servers, wait) in [(3, 4.444444444444443), (4, 0.8695652173913041)] {
        let queue = MMc {
            arrivals: 0.2,
            service: 0.1,
            servers,
        };
        same("Wq", queue.means().unwrap().wait, wait);
    }
}

/// Erlang 1917; Gross and Harris, 2.6.
#[test]
fn erlang_b() {
    same("loss", markov::erlang_b(10, 8.0), 0.1216610642529515);
    let bounded = MMcK {
        arrivals: 8.0,
        service: 1.0,
        servers: 10,
        capacity: 10,
    };
    same("M/M/10/10", bounded.means().loss, 0.1216610642529515);
}

/// Gross and Harris, 2.9.
#[test]
fn closed_loop() {
    let means = markov::closed(20, 10.0, 1.0, 1);
    same("X", means.throughput, 0.9981309501476455);
    same("L", means.number, 10.018690498523542);
    same("W", means.sojourn, 10.037450994823432);
    same("utilisation", means.utilisation, 0.9981309501476455);
}

/// Pollaczek, Khinchine; Takács.
#[test]
fn m_g_1() {
    let second = seconds(1.0);
    let figures = [
        (Distribution::Constant(second), 2.0, 5.333333333333336),
        (Distribution::Erlang { mean: second, k: 4 }, 2.5, 8.75),
        (Distribution::Exponential(second), 4.0, 24.0),
    ];
    for (service, wait, variance) in figures {
        let service = Moments::of(&service);
        same("Wq", general::mg1_wait(0.8, service).unwrap(), wait);
        same(
            "Var Wq",
            general::mg1_wait_variance(0.8, service).unwrap(),
            variance,
        );
    }
}

/// The moments of shapes by the moments of their special cases, and by hand.
#[test]
fn moments() {
    let mean = seconds(2.0);
    let exponential = Moments::of(&Distribution::Exponential(mean));
    for same_as_exponential in [
        Distribution::Erlang { mean, k: 1 },
        Distribution::Gamma { mean, cv: 1.0 },
        Distribution::Hyperexponential { mean, cv: 1.0 },
        Distribution::Weibull { mean, shape: 1.0 },
    ] {
        let moments = Moments::of(&same_as_exponential);
        same("mean", moments.mean, exponential.mean);
        same("variance", moments.variance, exponential.variance);
        same("third", moments.third, exponential.third);
    }
    let hyper = Moments::of(&Distribution::Hyperexponential { mean, cv: 3.0 });
    same("cv²", hyper.cv2(), 9.0);
    let even = Moments::of(&Distribution::Triangular {
        low: seconds(1.0),
        mode: seconds(2.0),
        high: seconds(3.0),
    });
    same("triangle", even.variance, 1.0 / 6.0);
    same("symmetric", even.third, 0.0);
    let skewed = Moments::of(&Distribution::Triangular {
        low: seconds(0.0),
        mode: seconds(0.0),
        high: seconds(1.0),
    });
    same("right triangle", skewed.third_raw(), 0.1);
    let two = Moments::of(&Distribution::Empirical(
        [(seconds(1.0), 3.0), (seconds(5.0), 1.0)].into(),
    ));
    same("weights", two.mean, 2.0);
    same("weights", two.third_raw(), 32.0);
    let pareto = Moments::of(&Distribution::Pareto { mean, alpha: 2.5 });
    same("least 1.2: α m² / (α − 2)", pareto.second(), 7.2);
    assert_eq!(pareto.third, f64::INFINITY);
    let heavy = Moments::of(&Distribution::Pareto { mean, alpha: 1.5 });
    assert_eq!(general::mg1_wait(0.1, heavy), Some(f64::INFINITY));
    let lognormal = Moments::of(&Distribution::Lognormal {
        median: seconds(1.0),
        p99: seconds(4.0),
    });
    let sigma = 4f64.ln_for_test() / queuelab_scenario::NORMAL_P99;
    same(
        "E[S³] = e^{4.5 σ²}",
        lognormal.third_raw(),
        libm_exp(4.5 * sigma * sigma),
    );
}

trait LnForTest {
    fn ln_for_test(self) -> f64;
}

impl LnForTest for f64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test compares with a tolerance"
    )]
    fn ln_for_test(self) -> f64 {
        self.ln()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test compares with a tolerance"
)]
fn libm_exp(x: f64) -> f64 {
    x.exp()
}

/// Erlang 1909; Tijms, 9.2.
#[test]
fn m_d_1_quantiles() {
    for (p, exact) in [
        (0.5, 1.2759398733762357),
        (0.9, 5.011511498446047),
        (0.99, 10.355886791994996),
        (0.999, 15.700268194066815),
    ] {
        same("Wq", general::md1_wait_quantile(0.8, 1.0, p), exact);
    }
    for (t, below) in [(1.0, 0.4451081856984934), (5.0, 0.8995027617536018)] {
        same(
            "P(Wq ≤ t)",
            1.0 - general::md1_wait_tail(0.8, 1.0, t),
            below,
        );
    }
    same(
        "nobody there",
        1.0 - general::md1_wait_tail(0.8, 1.0, 0.0),
        0.2,
    );
}

/// Crommelin 1932.
#[test]
fn m_d_2() {
    let (wait, delayed) = general::mdc(1.8, 1.0, 2).unwrap();
    same("Wq", wait, 2.146923214708265);
    same("P(wait)", delayed, 0.8471076427022903);
    same("M/D/1", general::mdc(0.8, 1.0, 1).unwrap().0, 2.0);
}

/// By the chain embedded at departures.
#[test]
fn m_d_1_k() {
    let (loss, number) = general::md1k(0.9, 1.0, 10);
    same("loss", loss, 0.016631747828946497);
    same("L", number, 3.471479011900394);
    same("W", number / (0.9 * (1.0 - loss)), 3.9224358663153205);
}

/// Gross and Harris, 5.3.
#[test]
fn d_m_1() {
    let gap = Distribution::Constant(seconds(1.25));
    let sigma = general::gm1_root(&gap, 0.8, 1.0).unwrap();
    same("σ", sigma, 0.6286297964969467);
    same("W", 1.0 / (1.0 - sigma), 2.6927308399198977);
    same("Wq", sigma / (1.0 - sigma), 1.6927308399198977);
    same(
        "p99",
        100f64.ln_for_test() / (1.0 - sigma),
        12.400483782889784,
    );
    // With exponential gaps it is M/M/1.
    let poisson = Distribution::Exponential(seconds(1.0));
    same("σ = ρ", general::gm1_root(&poisson, 0.8, 1.0).unwrap(), 0.8);
}

/// Cobham 1954.
#[test]
fn priorities() {
    let waits = priority::nonpreemptive(&[0.3, 0.4], 1.0, 1);
    same("high", waits[0] + 1.0, 2.0);
    same("low", waits[1] + 1.0, 4.333333333333332);
    let exponential = Moments::of(&Distribution::Exponential(seconds(1.0)));
    assert_eq!(
        priority::nonpreemptive_single(&[(0.3, exponential), (0.4, exponential)]),
        waits
    );
    assert_eq!(
        priority::nonpreemptive(&[0.5, 0.6], 1.0, 1)[1],
        f64::INFINITY
    );
}

/// The county hospital of Hillier and Lieberman, chapter 17: waits in hours.
#[test]
fn county_hospital() {
    let rates = [0.2, 0.6, 1.2];
    let figures = [
        (
            1,
            [0.02380952380952378, 0.1536796536796538, 1.0303030303030303],
            [0.23809523809523808, 0.3246753246753246, 0.909090909090909],
        ),
        (
            2,
            [
                0.0003707823507601016,
                0.007920649221440978,
                0.065422322775264,
            ],
            [
                0.028735632183908066,
                0.03315649867374004,
                0.04807692307692307,
            ],
        ),
    ];
    for (servers, preemptive, nonpreemptive) in figures {
        let ours = priority::preemptive(&rates, 3.0, servers);
        let theirs = priority::nonpreemptive(&rates, 3.0, servers);
        for class in 0..3 {
            same("preemptive", ours[class], preemptive[class]);
            same("nonpreemptive", theirs[class], nonpreemptive[class]);
        }
    }
}

/// White, Christie 1958.
#[test]
fn breakdowns() {
    let number = markov::breakdowns(0.5, 1.0, 0.1, 0.4).unwrap();
    same("L", number, 2.333333333333333);
    same("W", number / 0.5, 4.666666666666666);
    assert_eq!(markov::breakdowns(0.8, 1.0, 0.1, 0.4), None);
}

/// Jackson; Reich 1957.
#[test]
fn tandem() {
    for (p, exact) in [
        (0.5, 4.240608208153564),
        (0.9, 10.156785255690572),
        (0.99, 17.958285831710526),
    ] {
        same(
            "sojourn",
            network::tandem_quantile(0.7, &[1.0, 1.25], p).unwrap(),
            exact,
        );
    }
    // Two equal stages: Erlang.
    same(
        "equal",
        network::stages_tail(&[1.0, 1.0], 2.0),
        3.0 * libm_exp(-2.0),
    );
}

/// Bolch, Greiner, de Meer, Trivedi, *Queueing Networks and Markov Chains*, example 7.4.
#[test]
fn open_jackson_network() {
    let routing = [
        vec![0.0, 0.5, 0.5, 0.0],
        vec![1.0, 0.0, 0.0, 0.0],
        vec![0.6, 0.0, 0.0, 0.0],
        vec![1.0, 0.0, 0.0, 0.0],
    ];
    let rates = network::traffic(&[0.0, 0.0, 0.0, 4.0], &routing).unwrap();
    let services = [1.0 / 0.04, 1.0 / 0.03, 1.0 / 0.06, 1.0 / 0.05];
    let mut total = 0.0;
    for (at, exact) in [4.0, 0.42857142857142855, 1.5, 0.25]
        .into_iter()
        .enumerate()
    {
        let queue = MMc {
            arrivals: rates[at],
            service: services[at],
            servers: 1,
        };
        let number = queue.means().unwrap().number;
        same("L", number, exact);
        total += number;
    }
    same("W", total / 4.0, 1.5446428571428572);
    assert_eq!(network::traffic(&[1.0], &[vec![1.0]]), None);
}

/// Takács 1963.
#[test]
fn feedback() {
    let means = markov::feedback(0.5, 1.0, 1, 0.3).means().unwrap();
    same("W", means.sojourn, 5.0);
    same("L", means.number, 2.5);
    same("ρ", means.utilisation, 0.7142857142857143);
}

/// Gross and Harris, 3.1.
#[test]
fn batches() {
    let number = markov::batch_arrivals(0.2, 4.0, 28.0, 1.0).unwrap();
    same("L", number, 16.0);
    same("W", number / 0.8, 20.0);
}

/// Garnett et al. 2002.
#[test]
fn erlang_a() {
    let means = markov::erlang_a(10.0, 1.0, 10, 0.5);
    same("gives up", means.loss, 0.10391321232630824);
    same("P(wait)", means.delayed, 0.6196552308840777);
    same("Wq", means.wait, 0.20782642465261647);
}

/// Mitzenmacher 2001.
#[test]
fn power_of_two() {
    same(
        "λ = 0.5",
        balance::power_of_choices(0.5, 2, 1.0).unwrap(),
        1.2656860360875726,
    );
    same(
        "λ = 0.9",
        balance::power_of_choices(0.9, 2, 1.0).unwrap(),
        2.614057377323876,
    );
    same(
        "one choice",
        balance::power_of_choices(0.9, 1, 1.0).unwrap(),
        10.0,
    );
}

/// The exact chain, truncated elsewhere.
#[test]
fn join_shortest_of_two() {
    same(
        "W",
        balance::join_shortest_of_two(1.0, 1.0).unwrap(),
        1.4263207511672427,
    );
    assert_eq!(balance::join_shortest_of_two(2.0, 1.0), None);
}

/// Flatto, Hahn 1984.
#[test]
fn fork_join() {
    same(
        "W",
        network::fork_join(0.7, 1.0, 2).unwrap(),
        4.708333333333333,
    );
    // Without load it is the longest of the services.
    close(
        "eight",
        network::fork_join(1e-12, 1.0, 8).unwrap(),
        network::harmonic(8),
        1e-6,
    );
}

/// Exact counts of balls in a hundred bins.
#[test]
fn balls_in_bins() {
    for (balls, exact) in [
        (100, 4.232595238784174),
        (1_000, 18.761660017225076),
        (10_000, 125.9593907131222),
        (100_000, 1080.1996891048593),
    ] {
        close("fullest", spread::balls_in_bins(balls, 100), exact, 1e-7);
    }
}

/// Beta and Dirichlet laws; Lamping and Veach's table 1 is one sample of them.
#[test]
fn rings() {
    let figures = [
        (
            1_000,
            1,
            [
                0.9990004995003746,
                0.005017546794997182,
                5.2895816205387085,
                7.485470860550334,
            ],
        ),
        (
            10,
            100,
            [
                0.0948209311861521,
                0.7709972940497352,
                1.2590059669973588,
                1.1594263792064967,
            ],
        ),
    ];
    for (servers, points, [cv, low, high, busiest]) in figures {
        same("cv", spread::ring_cv(servers, points), cv);
        same("0.5 %", spread::ring_quantile(servers, points, 0.005), low);
        same(
            "99.5 %",
            spread::ring_quantile(servers, points, 0.995),
            high,
        );
        close(
            "busiest",
            spread::ring_busiest(servers, points),
            busiest,
            1e-4,
        );
    }
}

#[test]
fn moved_keys() {
    same(
        "jump, 100 to 101",
        spread::moved_consistent(100),
        0.009900990099009901,
    );
    same(
        "consistent",
        spread::moved_consistent(10),
        0.09090909090909091,
    );
    same("modulo", spread::moved_modulo(10), 0.9090909090909091);
}

/// Mirrokni et al. 2018.
#[test]
fn bounded_loads() {
    for (epsilon, most) in [(0.1, 55), (0.25, 63), (0.5, 75), (1.0, 100)] {
        assert_eq!(
            spread::bounded_load(5_000, 100, epsilon),
            most,
            "ε = {epsilon}"
        );
    }
}

/// Order statistics; Dean, Barroso 2013.
#[test]
fn waiting_for_many() {
    for (nodes, mean) in [(3, 0.5), (5, 0.5833333333333333), (7, 0.6166666666666667)] {
        same("majority", network::majority(nodes, 1.0), mean);
    }
    same("100 calls", network::fan_out(100, 0.01), 0.6339676587267709);
    same(
        "2000 calls",
        network::fan_out(2_000, 0.0001),
        0.18127743473445046,
    );
}

/// Renewal argument: fsync 5 ms.
#[test]
fn group_commit() {
    let sync = Distribution::Constant(seconds(0.005));
    let figures = [
        (
            20.0,
            [
                0.005248796467480924,
                1.0048374180359596,
                0.09951858699236991,
            ],
        ),
        (
            200.0,
            [0.006827646446575012, 1.3678794411714423, 0.7310585786300049],
        ),
    ];
    for (arrivals, [delay, batch, busy]) in figures {
        let ours = GroupCommit::new(arrivals, &sync);
        same("W", ours.delay, delay);
        same("batch", ours.batch, batch);
        same("busy", ours.busy, busy);
    }
    // A lognormal sync, whose transform is integrated, is about one of its mean if it hardly varies.
    let narrow = Distribution::Lognormal {
        median: seconds(0.005),
        p99: seconds(0.00501),
    };
    close(
        "narrow",
        GroupCommit::new(200.0, &narrow).delay,
        0.006827646446575012,
        1e-3,
    );
}

/// Renewal reward.
#[test]
fn linger() {
    let (delay, size) = general::linger(1_000.0, 0.005, 16);
    same("delay", delay, 0.0029164508745586092);
    same("size", size, 5.999903855246955);
    assert_eq!(general::linger(1_000.0, 0.005, 1), (0.0, 1.0));
}

/// Neuts' matrix-geometric solution.
#[test]
fn mmpp() {
    let ours = modulated(&[(0.4, 50.0), (1.6, 20.0)], 1.0).unwrap();
    same("λ", ours.arrivals, 0.7428571428571429);
    same("L", ours.number, 14.934520601578935);
    same("W", ours.sojourn, 20.104162348279335);
    same("P(empty)", ours.empty, 0.2571428571428598);
    same(
        "one state",
        modulated(&[(0.8, 1.0)], 1.0).unwrap().sojourn,
        5.0,
    );
}

/// First passage, exactly; and the fluid of an outage.
#[test]
fn drains() {
    same("M/M/1", markov::drain(500.0, 0.8, 1.0).unwrap(), 2500.0);
    let outage = fluid::outage(800.0, 1_000.0, 10.0).unwrap();
    same("backlog", outage.backlog, 8_000.0);
    same("drain", outage.drain, 40.0);
    same("area", outage.area, 200_000.0);
    same("affected", outage.affected, 40_000.0);
}

/// The same outage as phases.
#[test]
fn fluid_phases() {
    let stretch = |from, until, arrivals, capacity| fluid::Stretch {
        from,
        until,
        arrivals,
        capacity,
    };
    let outage = [
        stretch(0.0, 20.0, (800.0, 800.0), 1_000.0),
        stretch(20.0, 30.0, (800.0, 800.0), 0.0),
        stretch(30.0, 100.0, (800.0, 800.0), 1_000.0),
    ];
    let ours = fluid::backlog(&outage, 0.0, f64::INFINITY);
    same("peak", ours.peak, 8_000.0);
    same("at", ours.peak_at, 30.0);
    same("gone", ours.gone_at.unwrap(), 70.0);
    same("area", ours.area, 200_000.0);
    same("end", ours.end, 0.0);
    same("longest wait", ours.longest_wait, 10.0 - 0.0);
    // A ramp from 0 to 200/s over 100 s against 100/s: half-way it begins to grow, to 50 · 100 / 2.
    let ramp = [
        stretch(0.0, 100.0, (0.0, 200.0), 100.0),
        stretch(100.0, 200.0, (50.0, 50.0), 100.0),
    ];
    let ours = fluid::backlog(&ramp, 0.0, f64::INFINITY);
    same("peak", ours.peak, 2_500.0);
    same("gone", ours.gone_at.unwrap(), 150.0);
    same("area", ours.area, 41_666.666_666_666_664 + 62_500.0);
    let bounded = fluid::backlog(&ramp, 0.0, 1_000.0);
    same("bounded", bounded.peak, 1_000.0);
    same("bounded, gone", bounded.gone_at.unwrap(), 120.0);
}

/// The exact recursion of Lindley over the distribution of the wait.
#[test]
fn warm_up() {
    for (n, exact) in [
        (1, 0.0),
        (10, 2.1950034370144174),
        (100, 6.3992337256443825),
        (500, 8.703418284383906),
        (1_000, 8.961345963297084),
    ] {
        close("wait", markov::transient_wait(0.9, 1.0, n), exact, 1e-8);
    }
}

/// Geometric sums; Brooker 2022.
#[test]
fn retries() {
    for (failure, sends, success) in [
        (0.2, 1.248, 0.9984),
        (0.5, 1.875, 0.9375),
        (0.75, 2.734375, 0.68359375),
    ] {
        same("sends", retry::amplification(failure, 3), sends);
        same("success", retry::success(failure, 3), success);
    }
}

/// A fluid and a simulation of its own: never below 3.8 s, always above 6 s.
#[test]
fn retry_storms() {
    same("D*", retry::storm_threshold(70.0, 20.0, 3.0), 4.2);
    same("offered", retry::storm_load(70.0, 5), 350.0);
    assert_eq!(retry::storm_threshold(70.0, 80.0, 3.0), f64::INFINITY);
}

/// Approximations are exact where they must be.
#[test]
fn approximations() {
    let service = Moments::of(&Distribution::Erlang {
        mean: seconds(1.0),
        k: 4,
    });
    same(
        "M/G/1",
        general::allen_cunneen(0.8, 1.0, service, 1).unwrap(),
        2.5,
    );
    let exponential = Moments::of(&Distribution::Exponential(seconds(1.0)));
    same(
        "M/M/5",
        general::allen_cunneen(4.0, 1.0, exponential, 5).unwrap(),
        0.5541125541125543,
    );
    // Kingman's bound is above Pollaczek–Khinchine.
    assert!(general::kingman_bound(0.8, 1.5625, service).unwrap() > 2.5);
}
