//! The program as a process: killed, stopped, damaged, backed up, and called from a shell.

#[path = "../shared/missing.rs"]
mod missing;

mod audit;
mod backup;
mod broken_disk;
mod canary;
mod commands;
mod configuration;
mod core_dumps;
mod courier;
mod damage;
mod doctor;
mod doctor_webhooks;
mod first_start;
mod foreign_log;
mod full_disk;
mod harness;
mod installer;
mod key_file;
mod kill9;
mod links;
mod memory;
mod moved;
mod nginx;
mod outbox;
mod restore;
mod retention;
mod stop;
mod unit;
mod unseen;
mod webhooks;
