"""Tables, figures and the page of a sweep: functions of DataFrames; never imports torch.

- write: makes a report. reading/: the results folder as DataFrames. statistics/: means, intervals, ranks.
- tables/, plots/, references: tables, figures, bibliography. page: all of that in one HTML file.
- interactive/: what the page does with JavaScript, without a network; the libraries are in vendor/.
- site/: a page over several results folders. paper: figures for a paper.
- published/, budgets: comparisons with published numbers and with another sweep.
- restore: runs from the files of a report. style: colours and order of methods. number_format: numbers as text.
"""
