"""Guilder: a payments backend for AWS Lambda, Aurora PostgreSQL and Valkey.

The way of one request: ``api`` parses it, ``payments`` tells the story, ``idempotency``, ``operations``, ``ledger`` and ``events`` are its
words, ``processors`` and ``db`` are its hands. ``runtime`` puts them together once per Lambda environment.
"""
