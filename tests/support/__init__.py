"""What the tests share: Lambda environments, API Gateway's events, databases of their own, and SQL."""
