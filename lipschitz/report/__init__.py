"""Tables, plots and the page: functions of a DataFrame; never imports torch."""
