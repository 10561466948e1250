package main

import (
	"net/url"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/coatcheck/coatcheck/web"
)

var devScreen = template.Must(template.New("screen").Parse(`
Open {{.API}}/ to try it.

coatcheck is ready at {{.API}}

  You are owner "{{.Owner}}" of tenant "{{.Tenant}}"; no token is needed here.
  Operator     {{.API}}{{.Window}}  (the operator's window)
  S3 and SQS   {{.AWS}}  (key "{{.Key}}", secret "{{.Secret}}", bucket {{.Bucket}})
  Postgres     {{.Postgres}}
  Data         {{.Data}}  (delete the folder to begin anew)
  Windows      upload {{.Windows.UploadWindow}}, claim {{.Windows.ClaimWindow}}; a sweep every {{.Sweep}}; URLs work for {{.TTL}}
{{- if .Short}}
               (short, to see the sweep; to build a product: --upload-window 24h --claim-window 24h){{end}}

Ask for an upload:

  curl -s {{.API}}/coatcheck.v1.UploadService/CreateUpload \
    -H 'Content-Type: application/json' -d '{"contentType": "text/plain", "sizeBytes": 5}'

Upload a file and claim it (without --claim a sweep takes it once its window is over):

  {{.Command}} upload --server {{.API}} --claim post/1 README.md

Ctrl-C stops everything.

`))

func (c *devCommand) print(s streams, config programConfig, address, aws string) {
	command := os.Args[0]
	if strings.Contains(command, "/go-build") { // `go run` deletes its binary when it ends
		command = "go run ./cmd/coatcheck"
	}
	err := devScreen.Execute(s.out, map[string]any{
		"API": "http://" + address, "Owner": devOwner, "Tenant": devTenant, "AWS": aws, "Key": devKey, "Secret": devSecret,
		"Bucket": devBucket, "Postgres": psql(config.Database.DatabaseURL), "Data": c.Data, "Windows": config.Windows,
		"Short": min(config.Windows.UploadWindow, config.Windows.ClaimWindow) < time.Hour,
		"Sweep": config.Sweep.SweepInterval, "TTL": config.API.URLTTL, "Command": command, "Window": web.OperatorPath,
	})
	if err != nil {
		config.Logger.Warn("printing the screen", "error", err)
	}
}

// psql is the command that opens a database, without the password of one that was given: screens are shared.
func psql(database string) string {
	u, err := url.Parse(database)
	if err != nil || u.Scheme == "" || u.Query().Has("password") {
		return "the one that was given" // words such as host=… may hold a password too
	}
	return "psql '" + u.Redacted() + "'"
}
