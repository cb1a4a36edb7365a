//! scenarios/workload
