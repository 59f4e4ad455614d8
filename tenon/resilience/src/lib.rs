//! What keeps a service alive under load and faults: breaker, load shedding, limits, rate limits,
//! retries with a budget. One module each, with the source of its algorithm.
