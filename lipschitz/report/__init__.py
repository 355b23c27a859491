"""Tables, figures and the page of a sweep: functions of DataFrames; never imports torch.

``write`` makes a report: ``reading`` reads the results folder, ``statistics`` summarises it, ``tables``, ``plots`` and
``references`` show it, ``published`` compares it with published numbers, ``budgets`` with another sweep, ``page`` joins
all of that.
``wording`` names things by task, ``style`` gives methods colours, ``number_format`` prints numbers.
"""
