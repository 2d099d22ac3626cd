"""The paper's whole experiment as one Snakemake workflow."""
