"""The HTTP API: routes, schemas and errors. The only place that knows FastAPI and Pydantic."""
