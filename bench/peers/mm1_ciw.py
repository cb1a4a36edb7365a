"""M/M/1 at λ = 0.8, μ = 1 in Ciw: `mm1_ciw.py [customers]`."""

import sys
import time

import ciw

CUSTOMERS = int(float(sys.argv[1])) if len(sys.argv) > 1 else 200_000

network = ciw.create_network(
    arrival_distributions=[ciw.dists.Exponential(rate=0.8)],
    service_distributions=[ciw.dists.Exponential(rate=1.0)],
    number_of_servers=[1],
)
ciw.seed(1)
simulation = ciw.Simulation(network)
start = time.perf_counter()
simulation.simulate_until_max_customers(CUSTOMERS, method="Finish")
elapsed = time.perf_counter() - start
# Ciw keeps a record of each customer; adding them up is not counted.
records = simulation.get_all_records()
mean = sum(record.exit_date - record.arrival_date for record in records) / len(records)
print(
    f"ciw: {len(records)} customers in {elapsed:.2f} s: "
    f"{len(records) / elapsed:.0f} customers/s, mean sojourn {mean:.3f}"
)
