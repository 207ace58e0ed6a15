#!/bin/sh
# Lint what programs read of Portier, and use a client that was generated from it: `make api`.
# Usage: lint.sh PYTHON FOLDER. Needs Node 20, npm and the network the first time.
set -eu
python=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
command -v npm >/dev/null || { echo "make api needs Node and npm: sudo apt install npm" >&2; exit 1; }
if ! cmp -s "$here/package.json" "$folder/package.json"; then
    cp "$here/package.json" "$folder/"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" || { rm "$folder/package.json"; exit 1; }
fi
if ! cmp -s "$here/requirements.txt" "$folder/requirements.txt"; then
    "$python" -m venv "$folder/tools"
    "$folder/tools/bin/python" -m pip install --quiet -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$folder/"
fi
cp "$here/asyncapi.mjs" "$folder/" # it imports from node_modules beside it
"$python" -m tests.api.documents "$folder"
export PATH="$folder/node_modules/.bin:$folder/tools/bin:$PATH"
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
redocly lint --extends recommended "$folder/openapi.json"
spectral lint --fail-severity hint --ruleset "$here/spectral.yaml" \
    "$folder/openapi.json" "$folder/asyncapi-office.json" "$folder/asyncapi-bench.json"
node "$folder/asyncapi.mjs" "$folder/asyncapi-office.json" "$folder/asyncapi-bench.json"
check-jsonschema --schemafile config/schema.json config/*.yaml
"$python" -m tests.api.generated "$folder"
