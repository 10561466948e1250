# Go and make are all that `make dev` and `make test` need.

BUF = go run github.com/bufbuild/buf/cmd/buf@v1.75.0
PROTOVALIDATE = github.com/bufbuild/protovalidate@v1.2.2

.DEFAULT_GOAL := help
.PHONY: help build dev test race check generate generate-web drift drift-web web test-web test-mobile infra e2e conformance torture mutants fuzz bench bench-profile bench-reconcile verify

help: ## show this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

build: ## build bin/coatcheck
	go build -o bin/coatcheck ./cmd/coatcheck

dev: build ## run everything on this machine (ARGS="--listen 127.0.0.1:9090" for other settings)
	@bin/coatcheck dev $(ARGS)

test: ## run the tests, on a real Postgres and the emulated S3 and SQS
	go test ./...

race: ## run the tests of what is concurrent under the race detector (needs a C compiler)
	go test -race ./internal/... ./cmd/...

check: ## formatting, vet, generated code
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	go vet ./... && go vet -tags e2e ./e2e
	$(MAKE) --no-print-directory drift

generate: .build/protovalidate ## regenerate the Go code of proto/
	$(BUF) lint
	$(BUF) generate --path proto/coatcheck

drift: generate
	@git diff --exit-code --stat -- proto || { echo "proto: the generated code is not that of the protos: commit what 'make generate' makes"; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard proto)" || { echo "proto: 'make generate' made files that are not committed"; exit 1; }

# Of the targets, only those of web/ need Node.
web: web/node_modules/.package-lock.json ## build the TypeScript client and the pages that the binary holds (needs Node 20.19 or newer)
	cd web && npm run -s build -w client && npm run -s build -w try -w operator

web/node_modules/.package-lock.json: web/package.json web/package-lock.json $(wildcard web/*/package.json)
	cd web && npm ci
	@touch $@

test-web: build drift-web ## test the TypeScript client, in Node and in real Chromium against `coatcheck dev` (needs Node and Chromium)
	web/chromium.sh
	@git diff --exit-code --stat -- 'web/*/dist/*' || { echo "web: the pages that are embedded are not those of the sources: commit what 'make web' makes"; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard 'web/*/dist/*')" || { echo "web: 'make web' made files that are not committed"; exit 1; }
	cd web && npm run -s build -w e2e && npm run -s typecheck && npm run -s test && npm run -s size

generate-web: .build/protovalidate web/node_modules/.package-lock.json ## regenerate the TypeScript code of proto/
	rm -rf web/client/src/gen
	$(BUF) generate --template buf.gen.web.yaml --path proto/coatcheck

drift-web: generate-web web
	@git diff --exit-code --stat -- web/client/src/gen || { echo "web: the generated code is not that of the protos: commit what 'make generate-web' makes"; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard web/client/src/gen)" || { echo "web: 'make generate-web' made files that are not committed"; exit 1; }

# buf/validate/validate.proto comes from its Go module, so that no schema registry is needed.
.build/protovalidate:
	mkdir -p $@
	cp -R "$$(go mod download -json $(PROTOVALIDATE) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/proto/protovalidate/." $@
	chmod -R u+w $@

infra: ## check the Terraform module and its example (needs terraform)
	infra/check.sh

e2e: ## the whole story on LocalStack, set up by Terraform (COATCHECK_E2E_AWS=moto or =http://… for another AWS)
	go test -tags e2e -count=1 -timeout 20m -v ./e2e

conformance: ## the emulator's suite against LocalStack, which it has to agree with
	e2e/localstack/with.sh sh -c 'COATCHECK_CONFORMANCE_NAME=localstack COATCHECK_CONFORMANCE_ENDPOINT=$$ENDPOINT \
	  go test -count=1 ./internal/awsemu/conformance'

torture: ## every order of events, every crash, every fault, for a while (SECONDS=60 SEED=1)
	go test -c -o bin/torture.test ./internal/torture
	cd internal/torture && ../../bin/torture.test -test.timeout 0 -seconds $(or $(SECONDS),60) -seed $(or $(SEED),1)

mutants: ## break the code in a hundred ways and more, and see each caught (ARGS="-list", "-only NAME -v")
	go run ./internal/mutants $(ARGS)

fuzz: ## fuzz each decoder of outside bytes for a while (FUZZTIME=30s)
	go test -run '^$$' -fuzz FuzzDecode -fuzztime $(or $(FUZZTIME),30s) ./internal/s3event
	go test -run '^$$' -fuzz FuzzQuick -fuzztime $(or $(FUZZTIME),30s) ./internal/s3event
	go test -run '^$$' -fuzz FuzzAnswer -fuzztime $(or $(FUZZTIME),30s) ./internal/queue
	go test -run '^$$' -fuzz FuzzDecodeManifest -fuzztime $(or $(FUZZTIME),30s) ./internal/inventory
	go test -run '^$$' -fuzz FuzzReadRows -fuzztime $(or $(FUZZTIME),30s) ./internal/inventory
	go test -run '^$$' -fuzz FuzzListing -fuzztime $(or $(FUZZTIME),30s) ./internal/objectstore

bench: build ## every figure beside its limit and its peers (ONLY="consume latency create confirm sweep growth cost" SIZE=1000000 COUNT=15000 RUNS=3 KEEP=dir PLOT=latency.svg MEMORY_PLOT=memory.svg)
	go build -o bin/bench ./internal/bench
	@bin/bench -only "$(ONLY)" -size $(or $(SIZE),1000000) -count $(or $(COUNT),15000) -runs $(or $(RUNS),3) -keep "$(KEEP)" \
	  -plot "$(or $(PLOT),bin/latency.svg)" -memory-plot "$(or $(MEMORY_PLOT),bin/memory.svg)" $(ARGS)

bench-profile: ## what the consumer does with its time and memory: bin/consumer.cpu and .mem for `go tool pprof` (SIZE=… COUNT=…)
	go build -o bin/bench ./internal/bench
	@bin/bench -profile bin/consumer -size $(or $(SIZE),100000) -count $(or $(COUNT),30000) -keep "$(KEEP)" $(ARGS)

bench-reconcile: build ## reconcile against a bare listing, and sort and comm (OBJECTS=100000 RUNS=3 SERVER=pages KEEP=dir SIZES="100000 1000000")
	go build -o bin/bench-reconcile ./internal/bench/reconcile
	@bin/bench-reconcile -objects $(or $(OBJECTS),100000) -runs $(or $(RUNS),3) -server "$(SERVER)" -keep "$(KEEP)" -sizes "$(SIZES)" $(ARGS)

test-mobile: build .build/protovalidate ## compile the Kotlin client and run it against `coatcheck dev` (needs a JDK and Maven)
	@mobile/test.sh

verify: check test test-web test-mobile infra conformance e2e ## all that CI runs
