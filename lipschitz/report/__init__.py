"""Tables, figures and the page of a sweep: functions of DataFrames; never imports torch.

write: makes a report. reading: the results folder as DataFrames. statistics: its summary. tables, plots, references:
what shows it. published, budgets: comparisons with published numbers and with another sweep. page: all of that in one
file. wording: words of each task. style: colours of methods. number_format: numbers as text.
"""
