"""Tables and their markup."""
