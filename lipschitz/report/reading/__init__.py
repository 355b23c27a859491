"""From a results folder to DataFrames."""
