# Each target sets up the environment it needs and does nothing twice. Another interpreter: make demo PYTHON=python3.12
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
PYTHON ?=
export PYTHON
.DEFAULT_GOAL := help
.PHONY: help demo test test-pythons test-fast test-ros test-browser coverage lint bench docs install install-train install-peers locks clean

help:                ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: install        ## play the shipped policy on the shipped clips; report in reports/demo
	.venv/bin/bm demo --report reports/demo

test:                ## all tests: runtime on this Python, training on a Python 3.12 if there is one
	@tools/test

test-pythons:        ## fast tests of the runtime on every other Python 3.10-3.13 that is found (1 GB each)
	@tools/test --other-pythons

test-fast: install   ## unit tests of the runtime, under a minute
	.venv/bin/python -m pytest -q -m 'not slow' $$(tools/test --runtime-arguments) --ignore=tests/sim

test-ros: install    ## launch tests on the simulated robot, with the ROS 2 in /opt/ros; without one they say so
	.venv/bin/python -m pytest -q tests/ros

test-browser: install ## the viewer in a headless Chromium; with BM_SCREENSHOTS=FOLDER it leaves a picture
	BM_BROWSER=$${BM_BROWSER:-auto} .venv/bin/python -m pytest -q tests/bm_sim2real/test_viewer_browser.py

coverage: install    ## lines that the tests run, a row for each package; which are missing in reports/coverage/html
	@if [ -x .venv-train/bin/python ]; then $(MAKE) install-train; fi
	.venv/bin/python tools/coverage

lint: install        ## ruff and pyright; all of them, even if the first complains
	@code=0; \
	.venv/bin/ruff check || code=1; \
	.venv/bin/ruff format --check || code=1; \
	.venv/bin/pyright sim2real training/bm_training/motions || code=1; \
	if [ -x .venv-train/bin/pyright ]; then .venv-train/bin/pyright training export || code=1; \
	else echo "not type-checked: what needs torch (make install-train)"; fi; \
	exit $$code

bench: install       ## timings of the runtime on this machine; JSON in reports/bench.json
	.venv/bin/bm bench --json reports/bench.json

docs: install        ## docs/commands.md and the figures of docs/concepts.md, from the code
	.venv/bin/python -m bm_sim2real.command_page docs/commands.md
	.venv/bin/python tools/figures docs/images

bench-ros: install   ## five minutes of the ROS 2 launch beside a bare loop: faults, period, command age, late ticks
	.venv/bin/python tools/ros_bench.py 5 --json reports/bench_ros.json

install:             ## .venv: runtime, simulation, viewer, robot SDK, test tools
	@interpreter=$$(tools/find-python .venv 3.13 3.12 3.11 3.10) || \
		{ echo "error: no Python 3.10-3.13 found; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 2; }; \
	tools/install .venv "locks/runtime-$$($$interpreter -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt" $$interpreter

install-train:       ## .venv-train: Isaac Lab 3.0, torch (8 GB; Python 3.12, Linux on x86-64)
	@interpreter=$$(PYTHON= tools/find-python .venv-train 3.12) || \
		{ echo "error: Isaac Lab 3.0 needs Python 3.12 and none was found; remedy: uv python install 3.12" >&2; exit 2; }; \
	tools/install .venv-train locks/train-3.12.txt $$interpreter

install-peers:       ## .venv-peers: mjlab, for comparisons (8 GB; Python 3.12, Linux on x86-64)
	@interpreter=$$(PYTHON= tools/find-python .venv-peers 3.12) || \
		{ echo "error: mjlab 1.6.0 is locked for Python 3.12 and none was found; remedy: uv python install 3.12" >&2; exit 2; }; \
	tools/install .venv-peers locks/peers-3.12.txt $$interpreter

locks:               ## write the lock files anew (needs uv)
	locks/update

clean:               ## remove the environments, reports and caches
	rm -rf .venv .venv-train .venv-peers .venv-3.* reports build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
