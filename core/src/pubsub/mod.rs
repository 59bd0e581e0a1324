//! Room `pubsub`.
