//! The program as a process: killed, stopped, damaged, backed up, and called from a shell.

#[path = "../shared/missing.rs"]
mod missing;

mod admin_socket;
mod audit;
mod backup;
mod broken_disk;
mod canary;
mod client;
mod client_lost;
mod client_output;
mod client_sessions;
mod client_tail;
mod commands;
mod configuration;
mod core_dumps;
mod courier;
mod damage;
mod doctor;
mod doctor_webhooks;
mod first_start;
mod foreign_wal;
mod full_disk;
mod harness;
mod installer;
mod key_file;
mod kill9;
mod leftovers;
mod log;
mod memory;
mod moved_database;
mod names;
mod nginx;
mod outbox;
mod output;
mod ownership;
mod reload;
mod restore;
mod retention;
mod shutdown;
mod silent_damage;
mod symlinks;
mod systemd_unit;
mod terminal;
mod webhooks;
mod words;
