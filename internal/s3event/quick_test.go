package s3event

import (
	"fmt"
	"os"
	"reflect"
	"testing"
	"unicode/utf8"
)

const quickPut = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-03-01T12:00:00Z","eventName":"ObjectCreated:Put",` +
	`"userIdentity":{"principalId":"x"},"s3":{"bucket":{"name":"b"},"object":{"key":"k%2B","size":5,"eTag":"e","sequencer":"0A"}}}]}`

// quickBodies are on either side of what is read in the quick way.
var quickBodies = map[string]bool{
	quickPut:                        true,
	" { \"Records\" : [ { } ] } \n": true,
	`{"Records":[{"eventName":"a","glacierEventData":{"restoreEventData":{"x":[1,"2"]}}}]}`: true,
	`{"Records":[{"s3":{"object":{"size":999999999999999999}}}]}`:                           true,
	`{"Records":[{"s3":{"object":{"size":0}}}]}`:                                            true,

	`{"Records":[]}`: false,
	`{"Records":[{"eventName":"a","eventName":"b"}]}`:              false,
	`{"Records":[{"eventname":"a"}]}`:                              false,
	`{"Records":[{"eventName":"a","EVENTNAME":"b"}]}`:              false,
	`{"Records":[{"S3":{}}]}`:                                      false,
	`{"Records":[{"s3":null}]}`:                                    false,
	`{"Records":[{"s3":{"object":{"size":01}}}]}`:                  false,
	`{"Records":[{"s3":{"object":{"size":-1}}}]}`:                  false,
	`{"Records":[{"s3":{"object":{"size":1.0}}}]}`:                 false,
	`{"Records":[{"s3":{"object":{"size":1e3}}}]}`:                 false,
	`{"Records":[{"s3":{"object":{"size":9999999999999999999}}}]}`: false,
	`{"Records":[{"s3":{"object":{"size":}}}]}`:                    false,
	`{"Records":[{"s3":{"object":{"key":"\u0041"}}}]}`:             false,
	`{"Records":[{"s3":{"object":{"key":"ä"}}}]}`:                  false,
	`{"Records":[{"s3":{"object":{"key":"` + "\x00" + `"}}}]}`:     false,
	`{"Records":[{"s3":{"object":{"key":"k"},"object":{}}}]}`:      false,
	`{"Records":[{"x":[[[[[[[[1]]]]]]]]}]}`:                        false,
	`{"Records":[{}],"Records":[{}]}`:                              false,
	`{"Records":[],"Records":[{}]}`:                                false,
	`{"Records":[{}],"Event":"s3:TestEvent"}`:                      false,
	`{"records":[{}]}`:                                             false,
	`{"Records":[{},]}`:                                            false,
	`{"Records":[{}]`:                                              false,
	`{"Records":[{}]}}`:                                            false,
	`{"Records":[{"eventName":"a"`:                                 false,
	`{"Records":[{"x":tru}]}`:                                      false,
	`{,"Records":[{}]}`:                                            false,
	``:                                                             false,
}

// compareQuick expects that encoding/json reads the same, when it is read in the quick way.
func compareQuick(t *testing.T, body string) bool {
	t.Helper()
	records, ok := quickRecords(body)
	if !ok {
		return false
	}
	e, err := parseAtOnce(body)
	if err != nil || !utf8.ValidString(body) || tooDeep(body) || e.Event+e.Type+e.Version+e.DetailType != "" || e.Message != nil || e.Detail != nil {
		t.Fatalf("it is not to be read in the quick way: %+v, %v", e, err)
	}
	if !reflect.DeepEqual(records, e.records) {
		t.Fatalf("read in the quick way it is %+v, and otherwise %+v", records, e.records)
	}
	return true
}

// FuzzQuick: what is read in the quick way is read as encoding/json reads it.
func FuzzQuick(f *testing.F) {
	for body := range quickBodies {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { compareQuick(t, body) })
}

func TestQuick(t *testing.T) {
	t.Parallel()
	for body, want := range quickBodies {
		if quick := compareQuick(t, body); quick != want {
			t.Errorf("%s: read in the quick way: %v", body, quick)
		}
	}
	for _, name := range []string{"s3_put.json", "s3_several.json", "s3_removed.json"} {
		body, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !compareQuick(t, string(body)) {
			t.Errorf("%s is not read in the quick way", name)
		}
	}
}

// FuzzAtOnce: records that are decoded together with their body are those that are decoded apart from it.
func FuzzAtOnce(f *testing.F) {
	for body := range quickBodies {
		f.Add(body)
	}
	f.Add(`{"Records":null,"Records":[{"eventName":"a"}]}`)
	f.Add(`{"Records":[{"eventName":"a"}],"records":[{"eventSource":"b"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		together, err := parseAtOnce(body)
		if err != nil {
			return // which leaves the body to the other way
		}
		apart, err := parseApart(body)
		if err != nil {
			t.Fatalf("refused when its records are decoded apart: %v", err)
		}
		if (together.records == nil) != (apart.raw == nil) {
			t.Fatalf("there are Records: %v, and apart: %v", together.records != nil, apart.raw != nil)
		}
		if together.records == nil {
			return
		}
		a, aErr := together.decodeRecords()
		b, bErr := apart.decodeRecords()
		if !reflect.DeepEqual(a, b) || fmt.Sprint(aErr) != fmt.Sprint(bErr) {
			t.Errorf("together: %+v, %v\napart: %+v, %v", a, aErr, b, bErr)
		}
	})
}
