//! The program as a process: killed, stopped, damaged, backed up, and called from a shell.

#[path = "../shared/closed_port.rs"]
mod closed_port;
#[path = "../shared/key_pairs.rs"]
mod key_pairs;
#[path = "../shared/missing.rs"]
mod missing;
#[path = "../shared/signing.rs"]
mod signing;

mod admin_socket;
mod audit;
mod backup;
mod broken_disk;
mod canary;
mod client;
mod client_lost;
mod client_output;
mod client_requests;
mod client_sessions;
mod client_tail;
mod client_tls;
mod commands;
mod configuration;
mod core_dumps;
mod courier;
mod damage;
mod disk_order;
mod doctor;
mod doctor_several;
mod doctor_webhooks;
mod first_start;
mod foreign_wal;
mod full_disk;
mod harness;
mod healthcheck;
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
mod pasted;
mod periodic_backup;
mod released;
mod reload;
mod restore;
mod retention;
mod rotation;
mod setup_link;
mod shutdown;
mod silent_damage;
mod slow_tls;
mod socket_client;
mod standby;
mod symlinks;
mod systemd_unit;
mod terminal;
mod texts;
mod upgrade;
mod webhooks;
mod words;
