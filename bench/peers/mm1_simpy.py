"""M/M/1 at λ = 0.8, μ = 1 in SimPy: `mm1_simpy.py [customers]`."""

import sys
import time
from random import Random

import simpy

CUSTOMERS = int(float(sys.argv[1])) if len(sys.argv) > 1 else 200_000

gaps, services = Random(1), Random(2)
environment = simpy.Environment()
server = simpy.Resource(environment, capacity=1)
sojourns = 0.0


def source():
    for _ in range(CUSTOMERS):
        yield environment.timeout(gaps.expovariate(0.8))
        environment.process(customer())


def customer():
    global sojourns
    arrived = environment.now
    with server.request() as turn:
        yield turn
        yield environment.timeout(services.expovariate(1.0))
    sojourns += environment.now - arrived


environment.process(source())
start = time.perf_counter()
environment.run()
elapsed = time.perf_counter() - start
print(
    f"simpy: {CUSTOMERS} customers in {elapsed:.2f} s: "
    f"{CUSTOMERS / elapsed:.0f} customers/s, mean sojourn {sojourns / CUSTOMERS:.3f}"
)
