# Targets for users and developers. `make check` needs only cargo and a C linker. `make test` installs
# missing tools with apt-get when run as root, and Python environments with pip.

# Tools that the tests and benchmarks need, as COMMAND:DEBIAN-PACKAGE.
TOOLS = git:git strace:strace sysbench:sysbench fio:fio mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs \
        filefrag:e2fsprogs readelf:binutils python3:python3 chromium:chromium
# To build, install and run the packages and the image.
TOOLS += rpmbuild:rpm lintian:lintian man:man-db buildah:buildah runc:runc zsh:zsh fish:fish
# To build and boot the guest.
TOOLS += qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils busybox:busybox-static cpio:cpio \
        dmsetup:dmsetup setpriv:util-linux
# To test the integrations with ssh, Ansible, Rally and Slurm.
TOOLS += sshd:openssh-server ssh:openssh-client ip:iproute2 slurmctld:slurmctld slurmd:slurmd \
        sbatch:slurm-client jq:jq

# Reproducible builds: all packaged files get the time of the commit.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
endif
export SOURCE_DATE_EPOCH

.PHONY: build assets install rpm deb image guest lab check test fault-campaign kill-campaign cause-campaign tools bench schema

build:
	cargo build --release --locked

# Man pages, completions and third-party licenses, in target/assets.
assets:
	cargo run --quiet --locked --example assets -- target/assets

# Installs binary, man pages, completions and the files for other tools below $(DESTDIR)$(PREFIX).
export DESTDIR PREFIX ZSHDIR LICENSEDIR
install:
	packaging/install $(INSTALL)

# The packages, in target/packages.
rpm: build assets
	packaging/rpm/build

deb: build assets
	packaging/deb/build

image: build
	packaging/container/build

# A QEMU guest with the content of the RPM, in target/guest; packaging/guest/run boots it.
guest: rpm
	packaging/guest/build target/packages/wbench-[0-9]*.rpm

# Runs the suite with one binary on this host, in a container and in a guest, and compares the
# results, in target/lab.
LAB =
lab: guest
	packaging/lab/run $(LAB)

# Formatting, lints, unit tests and the tests of the whole program that need no root, no network and
# no other tools. Many tests wait for a process, so more tests than CPUs run concurrently.
check:
	cargo fmt --all --check
	cargo clippy --all-targets --locked -- -D warnings
	RUST_TEST_THREADS=6 cargo test --locked --no-fail-fast --lib --bins --test rootless

# All tests: first those of `check`, then those that need more. A missing tool is an error; no test is
# skipped.
test: tools check
	cargo test --locked --no-fail-fast --test privileged --test packages --test guest --test integrations

# Injects faults into every system call of every command; the tests run a sample. FAULTS has options
# of tests/campaign/faults.py, such as '--sample 1000 --seed 7' or '--only suite'.
FAULTS =
fault-campaign: build tools
	python3 -B tests/campaign/faults.py $(FAULTS)

# Ends whole jobs, suites and sweeps with signals at random moments. KILLS has options of
# tests/campaign/kills.py, such as '--number 50 --seed 7'.
KILLS =
kill-campaign: build
	python3 -B tests/campaign/kills.py $(KILLS)

# Counts the causes that `wbench compare` names, for equal runs and for runs with an injected cause.
# CAUSES has the number of comparisons and parts of the names of scenarios, such as '20 quota'.
CAUSES =
cause-campaign:
	cargo bench --bench causes -- $(CAUSES)

# Installs missing tools with apt-get as root, else lists them and fails.
tools:
	@missing=$$(for tool in $(TOOLS); do \
	    PATH=$$PATH:/usr/sbin:/sbin command -v $${tool%%:*} >/dev/null || echo $${tool##*:}; done | sort -u); \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	/usr/bin/python3 -c 'import rpm' 2>/dev/null || missing="$$missing python3-rpm"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && for package in $$missing; do \
	        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$package >/dev/null || exit 1; done; \
	elif [ -n "$$missing" ]; then \
	    echo "missing Debian packages, required by the tests: $$missing" >&2; exit 1; fi

# Compares wbench with sysbench, fio and dd, alternating runs, and the open loop with its laws.
bench: tools
	cargo bench --bench accounting --bench peers --bench fileio --bench compare --bench trial --bench open_loop

# Regenerates the JSON Schema of the result file from src/result/.
schema:
	WBENCH_WRITE_SCHEMA=1 cargo test --lib the_published_schema
