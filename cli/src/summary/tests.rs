//! The page as a whole, on made-up records.

use std::time::Duration;

use expect_test::{Expect, expect};
use queuelab_record::statistics::Precision;
use queuelab_record::{PredictionRecord, Quantity, RunRecord, fixture};

use super::*;

pub(super) fn context() -> Context {
    let names = [
        "record.json",
        "environment.json",
        "series.csv",
        "latency.hgrm",
        "backlog.svg",
        "backlog.png",
    ];
    Context {
        wall: Duration::from_millis(600),
        files: Some(Files {
            folder: "out/flash-sale-7/".into(),
            names: names.map(String::from).to_vec(),
        }),
        typed: "flash-sale".into(),
        warnings: Vec::new(),
        ensemble: None,
        width: 100,
        color: false,
    }
}

fn check(record: &RunRecord, context: &Context, expected: Expect) {
    expected.assert_eq(&summary(record, context));
}

#[test]
fn a_run_that_does_not_meet_its_expectations() {
    check(
        &fixture::flash_sale(),
        &context(),
        expect![[r#"
            Flash sale · simulated 15m in 600 ms (1,500 × real time) · seed 7
            A 20-fold order burst for one minute: is it absorbed, and how long does it take to drain?

              NOT MET: drain_time of orders < 3m (4m05s). The backlog peaked at 161,862 and was gone
              4m05s after the burst.

              backlog   orders     ▂▂▂▂▂▂▄▆███▇▇▇▆▅▅▄▄▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂   peak 161,862 of 200,000 at 3m
                        payments   ▂▂▂▂▂▂▂▂▂▂▂▂█▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂   peak 401 at 4m20s
                                   0s    2m 3m          7m                   15m

              phase    from   queue           Σp      Σc   T = Σp − Σc      ρ   e2e p50       p99
              before   0s     orders       180/s   900/s        −720/s   0.20   17.9 ms    147 ms
                              payments      20/s   500/s        −480/s   0.04   6.03 ms   40.8 ms
              burst    2m     orders     3,600/s   900/s      +2,700/s   4.00   1m16.5s   2m47.2s
                              payments     400/s   500/s        −100/s   0.80   6.04 ms   41.2 ms
              drain    3m     orders       180/s   900/s        −720/s   0.20     1m46s   3m00.1s
                              payments      20/s   500/s        −480/s   0.04   6.44 ms    804 ms
              after    7m     orders       180/s   900/s        −720/s   0.20   18.1 ms    7.75 s
                              payments      20/s   500/s        −480/s   0.04   6.11 ms   39.9 ms

              latency (whole run)       p50       p99       max
              confirm               1.62 ms   96.3 ms      20 s   intended send → confirm back at the producer
              delivery               30.3 s   2m47.6s   3m03.4s   intended send → received by a consumer
              end-to-end             30.3 s   2m47.6s   3m03.5s   intended send → service done
              where 29.4 s went   broker queue 98.8 % · consumer buffer 1.1 %
                                  service, fsync, network, delivery, broker CPU < 0.1 %

              consumers fulfilment   18 members   45.3 % busy   367,057 served   20,392 to 20,393 each
                        gateway       2 members      9 % busy    40,489 served   20,244 to 20,245 each
              copies    to orders 90.1 % · payments 9.9 %
              nodes     n1 CPU 0.4 % · disk 31 % · 5.82 log entries per fsync
              messages  407,546 offered = sent = confirmed = acked · 742 redelivered
                        0 dropped, lost, dead-lettered, duplicate, pending or left in queues

              ✓ backlog.max of orders < 200_000   161,862
              ✗ drain_time of orders < 3m         4m05s
              faults    restart   crash of n1   4m – 4m20s   took no message; 742 were delivered again
              trust     durability fsync · costs lan, uncalibrated · 1,630,184 events compared · L = λW exact

              try       queuelab run flash-sale --set consumer.fulfilment.count=72
                          Is ρ = 1 during the burst enough?
                        queuelab watch flash-sale   see it happen
              files     out/flash-sale-7/  record.json  environment.json  series.csv  latency.hgrm  1 plot
            FAIL 1 of 2 met · trace 5f1c9e02 · repeat with --seed 7
        "#]],
    );
}

#[test]
fn a_run_that_meets_them_on_a_narrow_terminal() {
    let mut record = fixture::flash_sale();
    record.queues.truncate(1);
    record.expectations.truncate(1);
    record.faults.clear();
    record.answer = None;
    check(
        &record,
        &Context {
            width: 72,
            files: None,
            typed: "./sale.toml".into(),
            ..context()
        },
        expect![[r#"
            Flash sale · simulated 15m in 600 ms (1,500 × real time) · seed 7
            A 20-fold order burst for one minute: is it absorbed, and how long does
            it take to drain?

              THE EXPECTATION IS MET. The backlog of orders peaked at 161,862 at 3m
              and was gone 4m05s later.

              backlog   ▂▂▂▂▆██▇▇▆▅▄▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂   peak 161,862 of 200,000 at 3m
                        0s 2m        7m          15m

              phase    from        Σp      Σc          T      ρ   e2e p50       p99
              before   0s       180/s   900/s     −720/s   0.20   17.9 ms    147 ms
              burst    2m     3,600/s   900/s   +2,700/s   4.00   1m16.5s   2m47.2s
              drain    3m       180/s   900/s     −720/s   0.20     1m46s   3m00.1s
              after    7m       180/s   900/s     −720/s   0.20   18.1 ms    7.75 s

              latency (whole run)       p50       p99       max
              confirm               1.62 ms   96.3 ms      20 s
              delivery                 45 s   2m47.8s   3m03.4s
              end-to-end               45 s   2m47.8s   3m03.5s
              where 29.4 s went   broker queue 98.8 % · consumer buffer 1.1 %
                                  service, fsync, network, delivery, broker CPU < 0.1 %

              consumers fulfilment   18 members   45.3 % busy   367,057 served   20,392 to 20,393 each
                        gateway       2 members      9 % busy    40,489 served   20,244 to 20,245 each
              nodes     n1 CPU 0.4 % · disk 31 % · 5.82 log entries per fsync
              messages  407,546 offered = sent = confirmed
                        367,057 copies enqueued = acked · 371 redelivered
                        0 dropped, lost, dead-lettered, duplicate, pending or left in queues

              ✓ backlog.max of orders < 200_000   161,862
              trust     durability fsync · costs lan, uncalibrated
                        1,630,184 events compared · L = λW exact

              try       queuelab run ./sale.toml --set consumer.fulfilment.count=72
                          Is ρ = 1 during the burst enough?
                        queuelab watch ./sale.toml   see it happen
            PASS 1 of 1 · trace 5f1c9e02 · repeat with --seed 7
        "#]],
    );
}

#[test]
fn a_run_in_which_nothing_happened() {
    check(
        &fixture::empty(),
        &context(),
        expect![[r#"
            Flash sale · simulated 0s in 600 ms (0 × real time) · seed 7
            A 20-fold order burst for one minute: is it absorbed, and how long does it take to drain?

              UNDECIDED: backlog.max of orders < 200_000 (no samples), drain_time of orders < 3m (no
              samples). No message had to wait in a queue.

              backlog   none: no message had to wait in a queue

              phase    from   queue    offered Σp   capacity Σc   T = Σp − Σc      ρ   end-to-end p50   p99
              before   0s     orders        180/s         900/s        −720/s   0.20                —     —
              burst    2m     orders      3,600/s         900/s      +2,700/s   4.00                —     —
              drain    3m     orders        180/s         900/s        −720/s   0.20                —     —
              after    7m     orders        180/s         900/s        −720/s   0.20                —     —

              latency   no message was finished

              consumers fulfilment   18 members   0 % busy   0 served   0 each
                        gateway       2 members   0 % busy   0 served   0 each
              messages  0 offered = sent = acked
                        0 dropped, lost, dead-lettered, duplicate, pending or left in queues

              ? backlog.max of orders < 200_000   no samples
              ? drain_time of orders < 3m         no samples
              trust     durability fsync · costs lan, uncalibrated · 0 events compared

              try       queuelab run flash-sale --set consumer.fulfilment.count=72
                          Is ρ = 1 during the burst enough?
                        queuelab watch flash-sale   see it happen
              files     out/flash-sale-7/  record.json  environment.json  series.csv  latency.hgrm  1 plot
            UNDECIDED 0 of 2 met · trace 5f1c9e02 · repeat with --seed 7
        "#]],
    );
}

#[test]
fn predictions_stand_beside_measurements() {
    let mut record = fixture::flash_sale();
    let prediction = |metric: &str, value, kind: &str, assumption: &str| PredictionRecord {
        model: "fluid".into(),
        metric: metric.into(),
        of: Some("orders".into()),
        phase: None,
        value,
        kind: kind.into(),
        source: "chance left aside".into(),
        covers: String::new(),
        assumptions: vec![assumption.into()],
    };
    record.predictions = vec![
        prediction("backlog.max", 162_000.0, "fluid", "the network is left out"),
        prediction("drain_time", 245.0, "fluid", "the network is left out"),
    ];
    let context = Context {
        warnings: vec!["the queue `orders` is offered too much".into()],
        ..context()
    };
    // A first line without a margin shows that of the others.
    let text = |page: &Page<'_>| format!("theory\n{}\n", theory::section(page).join("\n"));
    let page = Page {
        record: &record,
        context: &context,
        painter: Painter { color: false },
    };
    expect![[r#"
        theory
                                  this run   predicted (fluid)
          backlog.max of orders    161,862             162,000
          drain_time of orders       4m05s               4m05s
          the network is left out
          warning   the queue `orders` is offered too much
    "#]]
    .assert_eq(&text(&page));
    let mut record = record.clone();
    record.predictions[1].kind = "exact".into();
    let page = Page {
        record: &record,
        ..page
    };
    expect![[r#"
        theory
                                  this run   predicted
          backlog.max of orders    161,862     162,000   fluid
          drain_time of orders       4m05s       4m05s   exact · fluid
          the network is left out
          warning   the queue `orders` is offered too much
    "#]]
    .assert_eq(&text(&page));
}

/// The flash sale with seeds 7 to 16, of which two take longer to drain than is expected.
fn ten_seeds() -> Vec<RunRecord> {
    let sale = fixture::flash_sale();
    let run = |index: u64| {
        let mut run = sale.clone();
        run.seed = 7 + index;
        run.queues[0].ready_max.0 += index * 37 % 11 * 300;
        run.expectations[1].text = "drain_time of orders < 5m".into();
        run.expectations[1].verdict = match index {
            2 | 7 => Verdict::Fail,
            _ => Verdict::Pass,
        };
        run
    };
    (0..10).map(run).collect()
}

#[test]
fn other_seeds_stand_beside_this_run() {
    let mut runs = ten_seeds();
    let quantity = |metric: &str, of: Option<&str>| Quantity {
        metric: metric.into(),
        of: of.map(str::to_string),
        phase: None,
    };
    runs[0].predictions = vec![PredictionRecord {
        model: "fluid".into(),
        metric: "backlog.max".into(),
        of: Some("orders".into()),
        phase: None,
        value: 162_000.0,
        kind: "fluid".into(),
        source: "chance left aside".into(),
        covers: String::new(),
        assumptions: Vec::new(),
    }];
    let quantities = [
        quantity("backlog.max", Some("orders")),
        quantity("latency.end_to_end.p99", None),
        quantity("latency.end_to_end.p99.99", None),
    ];
    let precision = Precision {
        relative: 0.002,
        ..Precision::default()
    };
    let context = Context {
        ensemble: Some(Ensemble::of(&runs, &quantities, precision).unwrap()),
        files: None,
        ..context()
    };
    let page = Page {
        record: &runs[0],
        context: &context,
        painter: Painter { color: false },
    };
    let sections = [
        page.title(),
        verdict::answer(&page),
        theory::section(&page),
        verdict::section(&page),
    ];
    let text = format!(
        "{}\n{}",
        sections.concat().join("\n"),
        verdict_line(&runs[0], &context)
    );
    expect![[r#"
        Flash sale · simulated 15m in 600 ms (1,500 × real time) · seed 7, intervals over seeds 7..16
        A 20-fold order burst for one minute: is it absorbed, and how long does it take to drain?
          UNDECIDED: drain_time of orders < 5m (4m05s; holds in 8 of 10 seeds; not in 9, 14). The
          backlog peaked at 161,862 and was gone 4m05s after the burst.
                                      this run   10 seeds, 95 %   predicted (fluid)
          backlog.max of orders        161,862    163,302 ± 735             162,000
          latency.end_to_end.p99       2m47.6s     2m47.6s ± 0s
          latency.end_to_end.p99.99          —     3m03.2s ± 0s
          warning   did not converge to ± 0.2 %: backlog.max of orders (± 0.5 %); about 51 replications
                    would
          warning   a percentile with fewer than 100 latencies beyond it hangs on a few messages, and is
                    left out (p99.9 takes 100,000)
          ✓ backlog.max of orders < 200_000   161,862
          ? drain_time of orders < 5m         4m05s     holds in 8 of 10 seeds; not in 9, 14
          faults    restart   crash of n1   4m – 4m20s   took no message; 742 were delivered again
          trust     durability fsync · costs lan, uncalibrated · 1,630,184 events compared
                    L = λW exact in 10 runs
        UNDECIDED 1 of 2 met · trace 5f1c9e02 · repeat with --seed 7
    "#]].assert_eq(&text);

    let mut graded = runs[0].clone();
    graded.scenario.grading = Some("my grading.toml".into());
    let page = Page {
        record: &graded,
        ..page
    };
    let commands = verdict::other_seeds(&page, "flash-sale");
    assert_eq!(
        commands[0].0,
        "queuelab run flash-sale --seed 9 --expect 'my grading.toml'"
    );
}

#[test]
fn one_long_steady_run_has_intervals_of_its_batches() {
    let mut record = fixture::flash_sale();
    record.queues.truncate(1);
    record.warmup = queuelab_core::Span::from_secs(100);
    record.predictions = vec![PredictionRecord {
        model: "M/M/18".into(),
        metric: "rate.acked".into(),
        of: None,
        phase: None,
        value: 200.0,
        kind: "exact".into(),
        source: "Kleinrock".into(),
        covers: String::new(),
        assumptions: Vec::new(),
    }];
    let context = context();
    let page = Page {
        record: &record,
        context: &context,
        painter: Painter { color: false },
    };
    expect![[r#"
        theory
                       this run   batch means, 95 %   predicted (exact)
          rate.acked      436/s       436/s ± 153/s               200/s   M/M/18
          warning   neighbouring batches are alike: the run is too short for its intervals, which are too
                    narrow; --replications 10 gives better ones
    "#]].assert_eq(&format!("theory\n{}\n", theory::section(&page).join("\n")));
}

#[test]
fn a_run_with_all_that_queues_and_streams_can_do() {
    check(
        &fixture::retries_and_streams(),
        &Context {
            files: None,
            ..context()
        },
        expect![[r#"
            Retries and streams · simulated 15m in 600 ms (1,500 × real time) · seed 7
            A 20-fold order burst for one minute: is it absorbed, and how long does it take to drain?

              NOT MET: drain_time of orders < 3m (4m05s). The backlog peaked at 161,862 and was gone
              4m05s after the burst.

              backlog   orders     ▂▂▂▂▂▂▄▆███▇▇▇▆▅▅▄▄▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂   peak 161,862 of 200,000 at 3m
                        payments   ▂▂▂▂▂▂▂▂▂▂▂▂█▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂   peak 401 at 4m20s
                        events/0   ▂▂▂▂▂▂▂▃▃▃▄▄▄▄▅▅▅▆▆▆▇▇▇▇▇▇▇▇▇▇███████████████   keeps 183,510 at most
                        events/1   ▂▂▂▂▂▂▂▃▃▃▄▄▄▄▅▅▅▆▆▆▇▇▇▇▇▇▇▇▇▇███████████████   keeps 183,510 at most
                                   0s    2m 3m          7m                   15m

              phase    from   queue           Σp      Σc   T = Σp − Σc      ρ   e2e p50       p99
              before   0s     orders       180/s   900/s        −720/s   0.20   17.9 ms    147 ms
                              payments      20/s   500/s        −480/s   0.04   6.03 ms   40.8 ms
                              events/0    89.9/s       —             —      —         —         —
                              events/1    89.9/s       —             —      —         —         —
              burst    2m     orders     3,600/s   900/s      +2,700/s   4.00   1m16.5s   2m47.2s
                              payments     400/s   500/s        −100/s   0.80   6.04 ms   41.2 ms
                              events/0     450/s       —             —      —         —         —
                              events/1     450/s       —             —      —         —         —
              drain    3m     orders       180/s   900/s        −720/s   0.20     1m46s   3m00.1s
                              payments      20/s   500/s        −480/s   0.04   6.44 ms    804 ms
                              events/0     413/s       —             —      —         —         —
                              events/1     413/s       —             —      —         —         —
              after    7m     orders       180/s   900/s        −720/s   0.20   18.1 ms    7.75 s
                              payments      20/s   500/s        −480/s   0.04   6.11 ms   39.9 ms
                              events/0    97.4/s       —             —      —         —         —
                              events/1    97.4/s       —             —      —         —         —

              latency (whole run)          p50       p99       max
              confirm                  1.62 ms   96.3 ms      20 s
              delivery                    45 s   2m47.8s   3m03.4s
              end-to-end                  45 s   2m47.8s   3m03.5s
                priority 9 of orders   2.46 ms   20.8 ms   25.1 ms
                priority 5 of orders   4.39 ms    1.76 s     1.8 s
                priority 0 of orders   4.33 ms     2m56s   2m59.9s
              where 29.4 s went   broker queue 98.8 % · consumer buffer 1.1 %
                                  service, fsync, network, delivery, broker CPU < 0.1 %

              consumers fulfilment   18 members   45.3 % busy   367,057 served   20,392 to 20,393 each
                        gateway       2 members      9 % busy    40,489 served   20,244 to 20,245 each
              groups    analytics   3 members   367,020 settled   lag at most 31,378 at 7m10s, 0 at the end   3 rebalances
              copies    to orders 47.4 % · events/0 23.7 % · events/1 23.7 % · payments 5.2 %
              nodes     n1 CPU 0.4 % · disk 31 % · 5.82 log entries per fsync
              alarms    memory of n1 short for 27 s, in 2 turns, first at 2m30s: publishers blocked
              messages  407,546 offered = sent = confirmed · 774,566 copies enqueued · 407,546 acked
                        639 dead-lettered (159 rejected, 479 delivery_limit) · 36 left in queues
                        36 of them delayed · 180 delayed at once · 742 redelivered · 3 given up by producers
                        84 sent again · 312 expired · 18 deduplicated · 45 held for too long
                        0 dropped, lost, duplicate or pending

              ✓ backlog.max of orders < 200_000   161,862
              ✗ drain_time of orders < 3m         4m05s
              faults    restart   crash of n1   4m – 4m20s   took no message; 742 were delivered again
              trust     durability fsync (orders, payments), os (events/0, events/1) · costs lan, uncalibrated
                        1,630,184 events compared · L = λW exact

              try       queuelab run flash-sale --set consumer.fulfilment.count=72
                          Is ρ = 1 during the burst enough?
                        queuelab watch flash-sale   see it happen
            FAIL 1 of 2 met · trace 5f1c9e02 · repeat with --seed 7
        "#]],
    );
}

#[test]
fn streams_alone_and_producers_of_different_priorities() {
    let mut record = fixture::retries_and_streams();
    record.queues.drain(..2);
    for phase in &mut record.phases {
        phase.load.drain(..2);
    }
    record.answer = None;
    record.queues[0].priorities = fixture::retries_and_streams().queues[0].priorities.clone();
    let mut express = record.producers[0].clone();
    express.name = "express".into();
    express.complete[1] = Default::default();
    record.producers.push(express);
    let context = context();
    let page = Page {
        record: &record,
        context: &context,
        painter: Painter { color: false },
    };
    let sections = [
        verdict::answer(&page),
        backlog::section(&page),
        latency::section(&page),
    ];
    expect![[r#"
        page
          NOT MET: drain_time of orders < 3m (4m05s). The group analytics was 31,378 records behind
          at 7m10s, and 0 at the end.
          backlog   events/0   ▂▂▂▂▂▂▂▂▂▃▃▃▄▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇▇▇▇▇▇▇▇██████████████████   keeps 183,510 at most
                    events/1   ▂▂▂▂▂▂▂▂▂▃▃▃▄▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇▇▇▇▇▇▇▇██████████████████   keeps 183,510 at most
                               0s     2m 3m            7m                        15m
          latency (whole run)            p50       p99       max
          confirm                    1.62 ms   96.3 ms      20 s
          delivery                      45 s   2m47.8s   3m03.4s
          end-to-end                    45 s   2m47.8s   3m03.5s
          complete                    27.4 s   2m50.2s   3m03.5s
            priority 9 of events/0   2.46 ms   20.8 ms   25.1 ms
            priority 5 of events/0   4.39 ms    1.76 s     1.8 s
            priority 0 of events/0   4.33 ms     2m56s   2m59.9s
            from checkout               45 s   2m47.8s   3m03.5s
            from express                45 s   2m47.8s   3m03.5s
          where 29.4 s went   broker queue 98.8 % · consumer buffer 1.1 %
                              service, fsync, network, delivery, broker CPU < 0.1 %
    "#]].assert_eq(&format!("page\n{}\n", sections.concat().join("\n")));
}

#[test]
fn a_lower_bound_says_what_was_not_finished() {
    let mut record = fixture::retries_and_streams();
    let age = queuelab_core::Span::from_secs(600);
    record.queues[2].unfinished = vec![40, 0, 0, 0];
    record.queues[2].unfinished_age_max = age;
    record.producers[0].unfinished = vec![400_000, 0, 0, 0];
    record.producers[0].unfinished_age_max = age;
    let context = context();
    let lines = |record: &RunRecord| {
        let page = Page {
            record,
            context: &context,
            painter: Painter { color: false },
        };
        let lines = latency::section(&page).join(" ");
        lines.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = lines(&record);
    let streams =
        "40 in streams were not read, or not finished, at the end, the oldest sent 10m before";
    assert!(text.contains(streams), "{text}");
    record.queues.drain(..2);
    let text = lines(&record);
    let alone = format!("≥ reads at least: {streams}");
    assert!(text.contains(&alone), "{text}");
}

#[test]
fn the_load_keeps_to_the_narrowest_terminal() {
    let record = fixture::flash_sale();
    let narrow = Context {
        width: 60,
        ..context()
    };
    let page = Page {
        record: &record,
        context: &narrow,
        painter: Painter { color: false },
    };
    for line in load::section(&page) {
        assert!(figures::width(&line) <= 60, "{line}");
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let record = fixture::flash_sale();
    let painted = summary(
        &record,
        &Context {
            color: true,
            ..context()
        },
    );
    assert!(painted.contains("\x1b[31m✗ drain_time"));
    let mut plain = String::new();
    for (at, part) in painted.split("\x1b[").enumerate() {
        plain.push_str(if at == 0 {
            part
        } else {
            part.split_once('m').map_or("", |(_, text)| text)
        });
    }
    assert_eq!(plain, summary(&record, &context()));
}
