package conformance

import (
	"os"
	"strings"
	"testing"
)

// noHeaderAuth is why LocalStack lets pass what an Authorization header should stop.
const noHeaderAuth = "checks no signature but that of presigned URLs, and lets anonymous requests in"

// knownDifferences lists, by the target's name and the check's, where a server differs from AWS and why. TestConformance
// fails when a listed check passes, and TestKnownDifferences when README.md does not have the same list.
// The emulator has none, and must not get any.
var knownDifferences = map[string]map[string]string{
	"awsemu": {},
	"localstack": {
		"presigned/unknown-access-key":         "answers SignatureDoesNotMatch, not InvalidAccessKeyId",
		"presigned/expiry-over-a-week":         "accepts any X-Amz-Expires",
		"presigned/slow-put-outlives-expiry":   "checks the expiry when the body has arrived, so that a slow upload fails",
		"auth/wrong-secret":                    noHeaderAuth,
		"auth/unknown-access-key":              noHeaderAuth,
		"auth/anonymous-put":                   noHeaderAuth,
		"auth/anonymous-get":                   noHeaderAuth,
		"auth/anonymous-list":                  noHeaderAuth,
		"auth/changed-header":                  noHeaderAuth,
		"auth/changed-path":                    noHeaderAuth,
		"auth/changed-body":                    noHeaderAuth,
		"auth/old-date":                        noHeaderAuth,
		"auth/malformed-authorization":         noHeaderAuth,
		"auth/sqs-wrong-secret":                noHeaderAuth,
		"auth/sqs-anonymous":                   noHeaderAuth,
		"list/pages-beyond-ascii":              "answers 500 to its own continuation token when the next key is not ASCII",
		"list/page-limit":                      "has no limit of 1,000 keys a page",
		"delete/over-a-thousand":               "deletes any number of keys in one call",
		"delete/if-match":                      "answers 501 to a conditional DeleteObject",
		"delete/per-key-error":                 "ignores the ETag of an entry of DeleteObjects, and deletes",
		"delete/gone-version":                  "answers NoSuchVersion for a version that is deleted already",
		"cors/preflight-wildcard-header":       "knows no * inside an allowed header, only alone",
		"sqs/receive-at-most-asked":            "takes MaxNumberOfMessages below 1",
		"sqs/change-visibility-out-of-range":   "takes a visibility timeout of more than 12 hours",
		"sqs/stale-receipt":                    "deletes by a stale receipt handle too; AWS promises only that it succeeds",
		"sqs-batch/delete-partial-failure":     "does not call an invalid receipt handle the sender's fault",
		"sqs-batch/visibility-partial-failure": "does not call an invalid receipt handle the sender's fault",
		"notify/key-encoding":                  "encodes a space as %20 where AWS writes +; decoding a form undoes both",
		"notify/sequencer":                     "sends one constant as every sequencer",
		"notify/sequencer-of-versions":         "sends one constant as every sequencer",
	},
}

// TestKnownDifferences checks that every listed name is a check's, and that README.md has each with its reason.
func TestKnownDifferences(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, g := range groups {
		for _, c := range g.checks {
			if names[g.name+"/"+c.name] {
				t.Errorf("two checks are called %s/%s", g.name, c.name)
			}
			names[g.name+"/"+c.name] = true
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for target, differences := range knownDifferences {
		for name, reason := range differences {
			if !names[name] {
				t.Errorf("%s: there is no check %s", target, name)
			}
			if row := "| " + target + " | `" + name + "` | " + reason + " |\n"; !strings.Contains(string(readme), row) {
				t.Errorf("README.md lacks the row %s", row)
			}
			rows++
		}
	}
	listed := 0
	for target := range knownDifferences {
		listed += strings.Count(string(readme), "| "+target+" | `")
	}
	if listed != rows {
		t.Errorf("README.md lists %d differences, the code %d", listed, rows)
	}
	if len(knownDifferences["awsemu"]) != 0 {
		t.Error("the emulator has known differences: mend it")
	}
}
