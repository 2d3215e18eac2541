//! The secrets that are searched for in a process's memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use aho_corasick::AhoCorasick;
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PrivateKeyParts;

/// The secrets that must not be found, by what they are.
#[derive(Default)]
pub struct Canaries(pub BTreeMap<String, Vec<u8>>);

impl Canaries {
    pub fn add(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        assert!(secret.as_ref().len() >= 12, "{what} is too short to be looked for");
        self.0.insert(what.to_owned(), secret.as_ref().to_vec());
    }

    /// The secret parts of a key: as text, each line after the public modulus, and as numbers.
    pub fn add_key(&mut self, what: &str, pem: &str) {
        for (line, number) in pem.lines().filter(|line| line.len() == 64).zip(1..).skip(6) {
            self.add(&format!("{what}, line {number}"), line);
        }
        let key = PrivateKey::from_pkcs1_pem(pem).expect("a key");
        let numbers = [
            ("exponent", key.d().to_be_bytes()),
            ("prime", key.primes()[0].to_be_bytes()),
            ("prime 2", key.primes()[1].to_be_bytes()),
        ];
        for (name, bytes) in numbers {
            // The middle part, in the byte order of the file and in that of a computation.
            let middle = &bytes[bytes.len() / 2 - 12..][..24];
            self.add(&format!("{what}, {name}"), middle);
            self.add(&format!("{what}, {name} as limbs"), middle.iter().rev().copied().collect::<Vec<_>>());
        }
    }

    /// The secrets found in the memory of a process, and where.
    pub fn found_in(&self, process: u32) -> Option<Vec<String>> {
        let memory = File::open(format!("/proc/{process}/mem")).ok()?;
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
        let names: Vec<&String> = self.0.keys().collect();
        let any = AhoCorasick::new(self.0.values()).expect("an automaton");
        let mut found = Vec::new();
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ')?;
            // Mappings that are not writable hold the contents of the program file.
            if !rest.starts_with("rw") {
                continue;
            }
            let (begin, end) = range.split_once('-')?;
            let (begin, end) = (u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
            let bytes = written(&memory, begin, end);
            let those: BTreeSet<_> = any.find_overlapping_iter(&bytes).map(|one| names[one.pattern()]).collect();
            found.extend(those.into_iter().map(|what| format!("{what} in {line}")));
        }
        Some(found)
    }
}

/// The pages of a mapping that were written to, in order: most reserved memory never was.
fn written(memory: &File, begin: u64, end: u64) -> Vec<u8> {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 20]);
    let mut at = begin;
    while at < end {
        let most = usize::try_from(end - at).map_or(chunk.len(), |left| left.min(chunk.len()));
        let Ok(length @ 1..) = memory.read_at(&mut chunk[..most], at) else { break };
        for page in chunk[..length].chunks(4_096).filter(|page| **page != ZEROS[..page.len()]) {
            bytes.extend_from_slice(page);
        }
        at += length as u64;
    }
    bytes
}
