"""An installation as commit adad52a left it, for each engine, and what it did then.

`make.py` made the folders `sqlite` and `postgres` and the files `expected-*.json`;
`tests/service/store/test_old_databases.py` opens them with the code of now.
"""
