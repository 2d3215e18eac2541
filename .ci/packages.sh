# shellcheck shell=bash
# Pinned packages of Python and npm, kept under target/ci. Sourced in the repository's root by the scripts that need them.
export npm_config_cache=$PWD/target/ci/npm PIP_CACHE_DIR=$PWD/target/ci/pip

# Puts the Python packages that FOLDER/requirements.txt pins, and no others, under target/ci: python_of FOLDER NAME
python_of() {
    local venv=target/ci/$2
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$1/requirements.txt"
}

# Puts the npm packages that FOLDER/package-lock.json pins under target/ci; their own scripts do not run: node_of FOLDER NAME
node_of() {
    local home=target/ci/$2
    mkdir -p "$home"
    cp -p "$1/package.json" "$1/package-lock.json" "$home"
    [ "$home/node_modules/.package-lock.json" -nt "$home/package-lock.json" ] ||
        npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$home"
}
