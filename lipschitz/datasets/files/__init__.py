"""Published files.

download: resume a partial download. checksums: MD5. unpack: .zip and .tar archives.
"""
