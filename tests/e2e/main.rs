//! End-to-end tests: egressd as a user runs it, beside a real LiveKit server, a real MinIO and participants
//! made of LiveKit's own client.
//!
//! Owns what the finished file, the REST answers and the webhooks must be, measured with tools that are not
//! ours. Does not own the behaviour of single parts: their tests stand beside them in `src/`. Each test has
//! servers of its own on free loopback ports; those that judge pictures and sound run one at a time, the
//! others in twos (see `support::stage`), since more at once would measure the machine. `./dev test` sets up what they need.

mod support;

mod picture;

mod codecs;

mod membership;

mod sync;

mod sound;

mod rest;

mod preview;

mod streams;

mod webhook;

mod harm;

mod closing;

mod console;

mod contract;

mod upload;

mod outage;

mod full;

mod kills;

mod terminate;

mod upgrade;

mod check;

mod health;

mod record;

mod leftovers;

mod successor;

mod endings;

mod chaos;

mod report;

mod connection;

mod tokens;

mod layers;

mod loss;
