// SHA-256, because browsers offer theirs only to encrypted pages. Checked against openssl by the browser tests.

const ROUND = new Uint32Array(64);
const START = new Uint32Array(8);
{
    // The first 32 bits of the fractional parts of the roots of the first primes.
    const fraction = (root: number): number => (root - Math.floor(root)) * 0x1_0000_0000;
    let found = 0;
    for (let candidate = 2; found < 64; candidate++) {
        let prime = true;
        for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) prime = false;
        if (!prime) continue;
        if (found < 8) START[found] = fraction(Math.sqrt(candidate));
        ROUND[found++] = fraction(Math.cbrt(candidate));
    }
}

const words = new Uint32Array(64);

/** The SHA-256 hash of some bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
    const length = bytes.length;
    const padded = new Uint8Array(((length + 8) >> 6 << 6) + 64);
    padded.set(bytes);
    padded[length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(length / 0x2000_0000));
    view.setUint32(padded.length - 4, length << 3);
    const state = START.slice();
    for (let at = 0; at < padded.length; at += 64) block(view, at, state);
    const hash = new Uint8Array(32);
    const out = new DataView(hash.buffer);
    state.forEach((word, index) => out.setUint32(index * 4, word));
    return hash;
}

function block(view: DataView, at: number, state: Uint32Array): void {
    const w = words;
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + i * 4);
    for (let i = 16; i < 64; i++) {
        const x = w[i - 15]!;
        const y = w[i - 2]!;
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i]! + w[i]!) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + t1) | 0;
        d = c;
        c = b;
        b = a;
        a = (t1 + t2) | 0;
    }
    const add = [a, b, c, d, e, f, g, h];
    for (let i = 0; i < 8; i++) state[i] = state[i]! + add[i]!;
}

/** Bytes in hexadecimal. */
export const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const known = new Map<string, string>();

/** The fingerprint of a public key in PEM, as `openssl pkey -pubin -outform DER | openssl dgst -sha256` prints it. */
export function fingerprint(pem: string): string {
    const before = known.get(pem);
    if (before) return before;
    const der = Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\s/g, "")), (letter) => letter.charCodeAt(0));
    const print = hex(sha256(der));
    known.set(pem, print);
    return print;
}
