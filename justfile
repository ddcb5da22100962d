# What CI runs; changes nothing.
verify:
	.ci/run

# Rewrites what can be put right by a tool.
fix:
	cargo fmt --all
	cargo clippy --workspace --all-targets --fix --allow-dirty

test *filter:
	cargo test --workspace {{filter}}

# A long simulation: `just sim 1000` tries a thousand seeds.
sim seeds="100":
	cargo run --release -p mosaik-sim -- discovery --seed 1 --seeds {{seeds}}
	cargo run --release -p mosaik-sim -- groups --seed 1 --seeds {{seeds}}

# The gate of consensus groups: long runs of the core and of whole replicas, then
# the seeded bugs. About 15 minutes on two cores.
gate: && mutants
	cargo run --release -p mosaik-sim -- groups --seed 1 --seeds 10000 --events 50000
	cargo run --release -p mosaik-sim -- replicas --seed 1 --seeds 10000 --time 400

# Runs until the time is up, from a seed that changes with the day unless given.
soak minutes="120" seed=`date +%s`:
	cargo build --release -p mosaik-sim
	target/release/mosaik-sim groups --seed {{seed}} --seeds 1000000000 --threads 1 --minutes {{minutes}} & \
	target/release/mosaik-sim replicas --seed {{seed}} --seeds 1000000000 --time 400 --threads 1 --minutes {{minutes}} && wait $!

bench *args:
	cargo bench -p mosaik --bench streams -- {{args}}

# Accepts recorded outputs; then read the diff.
bless:
	BLESS=1 cargo test -p mosaik-proto --test golden
	TRYBUILD=overwrite cargo test -p mosaik-macros --test ui
	scripts/api.py --bless

# Looks for inputs that break a decoder or a core: `just fuzz fanout 600`. The
# targets are in fuzz/. Needs nightly and `cargo install cargo-fuzz`.
fuzz target="discovery_message" seconds="60":
	cargo +nightly fuzz run --fuzz-dir fuzz {{target}} -- -max_total_time={{seconds}}

# Switches on one seeded bug of the consensus core after the other: the
# simulation must find each. `just mutants --only VoteTwice` tries one.
mutants *args:
	RUSTFLAGS="--cfg mutants" cargo run --release --target-dir target/mutants -p mosaik-sim -- mutants {{args}}
