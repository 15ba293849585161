//! Balances requests over targets: the data plane, a process of its own.
