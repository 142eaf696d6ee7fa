"""The local stack: Kafka, Cassandra, Redis and the workers as child processes of one supervisor."""
