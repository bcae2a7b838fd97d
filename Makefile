# What a person types. `make test` needs nothing but Rust and, for the tools, root or sudo'd apt-get.

# What the tests and the comparison with peers run beside wbench: command and Debian package.
TOOLS = strace:strace sysbench:sysbench fio:fio mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs \
        filefrag:e2fsprogs readelf:binutils python3:python3 chromium:chromium
# The packages and the image are built, installed and run.
TOOLS += rpmbuild:rpm lintian:lintian man:man-db buildah:buildah runc:runc zsh:zsh fish:fish
# The guest is built and booted.
TOOLS += qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils busybox:busybox-static cpio:cpio \
        dmsetup:dmsetup setpriv:util-linux
# The fleets run what sites run.
TOOLS += sshd:openssh-server ssh:openssh-client ip:iproute2 slurmctld:slurmctld slurmd:slurmd \
        sbatch:slurm-client jq:jq

# The time of the source stands in all that is packaged: two builds of one commit are the same bytes.
ifndef SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
endif
export SOURCE_DATE_EPOCH

.PHONY: build assets install rpm deb image guest lab test tools bench schema

build:
	cargo build --release --locked

# Man pages, completions and third parties' licences, in target/assets.
assets:
	cargo run --quiet --locked --example assets -- target/assets

# Binary, man pages, completions and the files for other tools, below $(DESTDIR)$(PREFIX).
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

# A guest for QEMU with the content of the RPM, in target/guest; packaging/guest/run boots it.
guest: rpm
	packaging/guest/build target/packages/wbench-[0-9]*.rpm

# The suite with one binary on this host, in a container and in a guest, compared, in target/lab.
LAB =
lab: guest
	packaging/lab/run $(LAB)

# All tests; a missing tool is a failure, not a silent skip.
test: tools
	cargo test --no-fail-fast

# Installs what is missing where that can be done, and says what is missing where it can't.
tools:
	@missing=$$(for tool in $(TOOLS); do \
	    PATH=$$PATH:/usr/sbin:/sbin command -v $${tool%%:*} >/dev/null || echo $${tool##*:}; done | sort -u); \
	python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	/usr/bin/python3 -c 'import rpm' 2>/dev/null || missing="$$missing python3-rpm"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && for package in $$missing; do \
	        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$package >/dev/null || exit 1; done; \
	elif [ -n "$$missing" ]; then \
	    echo "the tests need these packages: $$missing" >&2; exit 1; fi

# wbench beside its peers, in turns.
bench: tools
	cargo bench

# The JSON Schema of the result file, made anew from the types.
schema:
	WBENCH_WRITE_SCHEMA=1 cargo test --lib the_published_schema
