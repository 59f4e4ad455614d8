# The commands of this repository. `make` alone lists them.
#
# Needed: Rust by rustup (the version is in rust-toolchain.toml), a C compiler (SQLite and the
# cryptography are compiled from source), make. Nothing else: no cmake, no protoc, no clang. What
# is optional is skipped with one printed line where it is missing.

.DEFAULT_GOAL := help
.PHONY: help run test check bench static compiler tools format lint tidy deny tests docs

# In CI the lock file must already fit the manifests; at a desk cargo may complete it.
LOCKED := $(if $(CI),--locked,)

help:
	@echo "make run    build Cohort and start it with demonstration data (ARGS=... is passed on)"
	@echo "make check  what a minute can tell: format, lints, house rules, licences"
	@echo "make test   everything that must be green before a change lands"
	@echo "make bench  the figures, side by side, on this machine"
	@echo "make static the program for an image: nothing beside it is needed"

# Release, because the first impression of speed should be the true one.
run: compiler
	@echo "Building Cohort. The first build compiles every dependency: some minutes on two cores. Later ones take seconds."
	@start=$$(date +%s); cargo build --release $(LOCKED) --package cohort && echo "Built in $$(( $$(date +%s) - start )) s."
	@cargo run --quiet --release $(LOCKED) --package cohort -- up --demo $(ARGS)

# The order is cheapest first, so that a slip is told in seconds.
#
# On an empty target folder the dependencies are compiled twice and no more: once for their types
# alone (lint and docs share that pass) and once to machine code (tests). Warnings are denied by
# arguments that reach our crates only, never by RUSTFLAGS, which would compile everything again.
test: tools check tests docs

check: compiler format tidy deny lint

# The platform is one of the contestants, as the program that is shipped. Both are built at once
# and started without cargo, because each of them alone would be built with other features.
# ARGS=--quick takes less than two minutes.
bench: compiler
	cargo build --release $(LOCKED) --package cohort --package bench
	$${CARGO_TARGET_DIR:-target}/release/bench $(ARGS)

# The program with everything in it, for images that hold nothing else.
static: compiler
	@deploy/build_static.sh

compiler:
	@command -v cc >/dev/null || { echo "error: no C compiler (cc) found; on Debian: apt-get install gcc libc6-dev"; exit 1; }

# Independent clients, registries and attackers that tests run against.
tools:
	@scripts/test_tools.sh

# Formatting is never discussed in review.
format:
	cargo fmt --all --check

# House rules that no compiler knows: layers.toml, first lines of files, words, the code map.
tidy:
	cargo xtask tidy

# Licences, banned crates and sources need nothing but the lock file. Advisories need the public
# database, which may be out of reach: then this says so, and the rest still counts.
deny:
	@if ! command -v cargo-deny >/dev/null; then \
	  echo "skipped: cargo deny (not installed: cargo install cargo-deny --locked)"; \
	else \
	  cargo deny check bans licenses sources || exit 1; \
	  if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories; \
	  else echo "skipped: cargo deny check advisories (the advisory database could not be fetched)"; fi; \
	fi

# All targets: tests and benches are read as often as the product. The feature is one that nobody else turns on.
lint:
	cargo clippy $(LOCKED) --workspace --all-targets --features tenon-cli/https -- --deny warnings

# One invocation builds and runs everything: unit, integration, end-to-end and documentation
# tests, and the proof that generated code is fresh.
tests:
	cargo test $(LOCKED) --workspace --no-fail-fast

# Broken links and bare addresses in the documentation are faults as well. Libraries only: the
# command `tenon` and the library `tenon` would write to one folder.
docs:
	RUSTDOCFLAGS="--deny warnings" cargo doc $(LOCKED) --workspace --no-deps --lib --quiet
