from importlib import import_module

from lethe.exhibits import EXHIBITS
from lethe.provenance import provenance
from lethe.script import setup
from lethe.target import Target

setup(snakemake)
exhibit = EXHIBITS[snakemake.rule]
maker = import_module(f"lethe.{exhibit.package}.{exhibit.name}")
maker.make(snakemake.input, snakemake.params, Target(snakemake.params.stems, provenance(snakemake.config)))
