BUF = go run github.com/bufbuild/buf/cmd/buf@v1.75.0
PROTOVALIDATE = github.com/bufbuild/protovalidate@v1.2.2

.PHONY: generate
generate: .build/protovalidate ## regenerate the Go code of proto/
	$(BUF) lint
	$(BUF) generate --path proto/coatcheck

.build/protovalidate:
	mkdir -p $@
	cp -R "$$(go mod download -json $(PROTOVALIDATE) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/proto/protovalidate/." $@
	chmod -R u+w $@
