"""Headrace: event-driven integration on Apache Kafka, each step exactly once."""
