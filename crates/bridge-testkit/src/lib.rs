//! Reference analyzer, history generator, fault proxy and engine fixture for tests and benches
