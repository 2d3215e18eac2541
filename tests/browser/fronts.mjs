// What stands between a browser and the server: a certificate, and the proxies as deploy/ configures them, but below a path.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NAME } from "./world.mjs";

const DEPLOY = join("..", "..", "..", "deploy");

/** The path below which the proxies serve the server. */
const BELOW = "/keys";

/** How long a proxy may take to listen, in milliseconds. */
const PATIENCE = 30_000;

/** A certificate that nobody has signed, for the machine's name. */
export function certificate(home) {
    const [cert, key] = [join(home, "tls.pem"), join(home, "tls.key")];
    const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`];
    execFileSync("openssl", ["req", "-x509", ...made, "-out", cert, "-keyout", key], { stdio: "ignore" });
    return { cert, key };
}

/** A port on which nothing listens. */
async function freePort() {
    const taken = createServer();
    await new Promise((ready) => taken.listen(0, "127.0.0.1", ready));
    const { port } = taken.address();
    await new Promise((ready) => taken.close(ready));
    return port;
}

/** A file of deploy/ with other names in it. Each of them must be there. */
function adapted(file, changes) {
    let text = readFileSync(join(DEPLOY, file), "utf8");
    for (const [old, young] of changes) {
        if (!text.includes(old)) throw new Error(`deploy/${file} does not have the text '${old}'`);
        text = text.replaceAll(old, young);
    }
    return text;
}

function nginxConfig(home, port, upstream, { cert, key }) {
    const server = adapted("nginx.conf", [
        ["listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`],
        ["listen [::]:443 ssl;", ""],
        ["keys.example.org;", `${NAME};`],
        ["/etc/ssl/keys.example.org.pem", cert],
        ["/etc/ssl/keys.example.org.key", key],
        ["location = /metrics", `location = ${BELOW}/metrics`],
        ["location / {", `location ${BELOW}/ {`],
        ["http://127.0.0.1:3000;", `http://${upstream}/;`],
    ]);
    const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((what) => `${what}_temp_path ${home}/${what};`);
    return `user root; daemon off; master_process off; pid ${home}/pid;\nevents { }\nhttp {\naccess_log off;\n${folders.join("\n")}\n${server}}\n`;
}

function caddyConfig(home, port, upstream, { cert, key }) {
    const site = adapted("Caddyfile", [
        ["keys.example.org {", `https://${NAME}:${port} {\n\tbind 127.0.0.1\n\ttls ${cert} ${key}\n\thandle_path ${BELOW}/* {`],
        ["127.0.0.1:3000\n}", `${upstream}\n\t}\n}`],
    ]);
    return `{\n\tadmin off\n\tauto_https off\n}\n${site}`;
}

const PROXIES = {
    nginx: { config: nginxConfig, command: ["nginx", "-e", "stderr", "-c"] },
    caddy: { config: caddyConfig, command: ["caddy", "run", "--adapter", "caddyfile", "--config"] },
};

/** Starts nginx or Caddy in front of a server. Returns the address of the server for a browser. */
export async function proxy(kind, server) {
    const home = mkdtempSync(join(tmpdir(), `orgkeys-${kind}-`));
    const port = await freePort();
    const { config, command } = PROXIES[kind];
    const file = join(home, "config");
    writeFileSync(file, config(home, port, new URL(server).host, certificate(home)));
    const log = openSync(join(home, "log"), "w");
    const child = spawn(command[0], [...command.slice(1), file], { stdio: ["ignore", log, log], env: { ...process.env, HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home } });
    let ended = false;
    const exited = new Promise((done) => {
        child.once("exit", done);
        child.once("error", done);
    }).then(() => (ended = true));
    const until = Date.now() + PATIENCE;
    while (!(await listens(port))) {
        if (ended || Date.now() > until) throw new Error(`${kind} does not listen: ${readFileSync(join(home, "log"), "utf8")}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const stop = async () => {
        child.kill();
        await exited;
        rmSync(home, { recursive: true });
    };
    return { url: `https://${NAME}:${port}${BELOW}`, stop };
}

function listens(port) {
    return new Promise((resolve) => {
        const tried = connect(port, "127.0.0.1", () => resolve(true) || tried.destroy());
        tried.once("error", () => resolve(false));
    });
}
