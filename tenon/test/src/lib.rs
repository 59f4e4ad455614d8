//! Test kit: request builders, fake services, tokens and a fault proxy.
