"""Download, check and unpack published files."""
