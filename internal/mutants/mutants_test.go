package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestListIsFresh: every mutant can still be made, there are as many as promised, and of every rule that is built.
func TestListIsFresh(t *testing.T) {
	t.Parallel()
	root, files, err := repository(t.Context())
	if err != nil {
		if os.Getenv("COATCHECK_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("not in a repository:", err)
	}
	copied, err := copyTree(root, files, filepath.Join(t.TempDir(), "copy"))
	if err != nil {
		t.Fatal(err)
	}
	ms := mutants()
	if err := check(ms); err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, m := range ms {
		restore, err := copied.apply(m.edits)
		if err != nil {
			t.Errorf("mutant %s: %v", m.name, err)
			continue
		}
		if err := restore(); err != nil {
			t.Fatal(err)
		}
		rules[m.rule] = true
	}
	if len(ms) < 20 {
		t.Errorf("there are %d mutants, want at least 20", len(ms))
	}
	for _, rule := range []string{"R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10"} {
		if !rules[rule] {
			t.Errorf("no mutant breaks %s", rule)
		}
	}
}

// toy is a module whose one test looks at one of its two functions.
func toy(t *testing.T) tree {
	t.Helper()
	from := t.TempDir()
	texts := map[string]string{
		"go.mod":           "module example.com/toy\n\ngo 1.25\n",
		"toy/toy.go":       "package toy\n\nfunc Seen() int { return 1 }\n\nfunc Unseen() int { return 2 }\n\nfunc Wait() {}\n",
		"toy/toy_test.go":  "package toy\n\nimport \"testing\"\n\nfunc TestSeen(t *testing.T) {\n\tWait()\n\tt.Run(\"part\", func(t *testing.T) {\n\t\tif Seen() != 1 {\n\t\t\tt.Error()\n\t\t}\n\t})\n}\n",
		"toy/main_test.go": "package toy\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { os.Exit(m.Run()) }\n",
	}
	var files []string
	for name, text := range texts {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	copied, err := copyTree(from, append(files, "deleted.go"), filepath.Join(t.TempDir(), "copy"))
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// TestHold: only a test that fails counts, and what was not tried never does.
func TestHold(t *testing.T) {
	t.Parallel()
	seen := suite{"./toy", "TestSeen"}
	for name, c := range map[string]struct {
		file, old, new string
		test           suite
		caughtBy, says string
	}{
		"caught":             {"toy/toy.go", "return 1", "return 3", seen, "TestSeen/part", ""},
		"crashes":            {"toy/toy.go", "return 1", "panic(1)", seen, "TestSeen/part", ""},
		"survives":           {"toy/toy.go", "return 2", "return 3", seen, "", ""},
		"does not compile":   {"toy/toy.go", "return 2", "return", seen, "", "does not compile"},
		"has no such test":   {"toy/toy.go", "return 2", "return 3", suite{"./toy", "TestSeen|TestUnseen"}, "", "has no test TestUnseen"},
		"has no such text":   {"toy/toy.go", "return 5", "return 3", seen, "", "rotted"},
		"has the text twice": {"toy/toy.go", "return", "panic(1); return", seen, "", "rotted"},
		"has no such file":   {"toy/other.go", "a", "b", seen, "", "rotted"},
		"ends in silence":    {"toy/main_test.go", "os.Exit(m.Run())", "m.Run(); os.Exit(3)", seen, "", "without a test that failed"},
		"has no database":    {"toy/toy_test.go", "Wait()", `t.Fatal("starting a Postgres for the tests: no room")`, seen, "", "no database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copied := toy(t)
			before, err := os.ReadFile(filepath.Join(copied.root, "toy/toy.go"))
			if err != nil {
				t.Fatal(err)
			}
			o := copied.hold(t.Context(), mutant{name: name, edits: []edit{{c.file, c.old, c.new}}, test: c.test})
			if o.caughtBy != c.caughtBy || (o.err == nil) != (c.says == "") || o.err != nil && !strings.Contains(o.err.Error(), c.says) {
				t.Errorf("caught by %q, %v; want %q, %q\n%s", o.caughtBy, o.err, c.caughtBy, c.says, o.output)
			}
			after, err := os.ReadFile(filepath.Join(copied.root, "toy/toy.go"))
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the mutant was not taken back: %s, %v", after, err)
			}
		})
	}
}

func TestFailing(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]string{
		"=== RUN   TestA\n--- FAIL: TestA (0.01s)\n":                                          "TestA",
		"--- PASS: TestA (0.01s)\n--- FAIL: TestB (0.01s)\n    --- FAIL: TestB/one (0.00s)\n": "TestB/one",
		"panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestC (2m0s)\n":              "TestC (hung)",
		"fatal error: all goroutines are asleep - deadlock!\n":                                "a crash",
		"the connection was cut\n":                                                            "",
	} {
		if got := failing(output); got != want {
			t.Errorf("%q: got %q, want %q", output, got, want)
		}
	}
}

// TestReport: the closing line tells the true numbers, and all but a clean sweep is an error.
func TestReport(t *testing.T) {
	t.Parallel()
	m := mutant{name: "m", rule: "R1", test: suite{"./toy", "TestSeen"}}
	var out bytes.Buffer
	r := report{out: &out}
	caught, survived := outcome{caughtBy: "TestSeen"}, outcome{}
	r.mutant(m, caught)
	r.mutant(m, survived)
	if text := out.String(); !strings.Contains(text, "caught by toy TestSeen") || !strings.Contains(text, "SURVIVED ./toy -run TestSeen") {
		t.Error(text)
	}
	if err := r.total([]outcome{caught, caught}, 0); err != nil || !strings.HasSuffix(out.String(), "\nmutants=2 caught=2\n") {
		t.Error(err, out.String())
	}
	if err := r.total([]outcome{caught, survived}, 0); err == nil || !strings.HasSuffix(out.String(), "\nmutants=2 caught=1\n") {
		t.Error(err, out.String())
	}
	if err := r.total([]outcome{caught, {err: os.ErrNotExist}}, 0); err == nil {
		t.Error("a mutant that was not tried counts as caught")
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := []mutant{{name: "a"}, {name: "b"}, {name: "c"}}
	if got, err := choose(all, "c,a"); err != nil || len(got) != 2 || got[0].name != "c" {
		t.Error(got, err)
	}
	if _, err := choose(all, "d"); err == nil {
		t.Error("an unknown name is no error")
	}
}
